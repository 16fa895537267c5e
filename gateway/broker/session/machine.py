"""The session's rules: (state, input) -> effects. No clock, no socket, no codec.

Rule 1: a message of QoS 1 or 2 stays until the client acknowledged it; a new connection of the same
session gets it again, marked DUP, in the old order [MQTT-4.4.0-1, 4.6.0-1].
Rule 2: what waits is bounded in number and bytes; beyond that new messages are dropped and counted.
Rule 3: of a kept session, a QoS 2 message is sent, and a PUBREL too, only once it is on disk: so
a crash never makes one message two.
"""

from collections import deque
from collections.abc import Callable
from typing import assert_never

from gateway.broker.changes import (
    Delivery,
    DeliveryDone,
    DeliveryReceived,
    MessageQueued,
    Subscribed as SubscribedChange,
    Unsubscribed as UnsubscribedChange,
)
from gateway.broker.session.effects import (
    AwaitCommit,
    Drop,
    Effect,
    Record,
    SendPublish,
    SendRelease,
)
from gateway.broker.session.inputs import (
    Acknowledged,
    Attached,
    Committed,
    Completed,
    Deliver,
    Detached,
    Ended,
    Input,
    Narrowed,
    Received,
    Subscribed,
    Unsendable,
    Unsubscribed,
    Writable,
)
from gateway.broker.session.receiving import apply_received, forget_all
from gateway.broker.session.state import SessionState, get_inflight_count, get_size

PACKET_ID_MAX = 65_535

Effects = tuple[Effect, ...]
NOTHING: Effects = ()


def apply(state: SessionState, event: Input) -> Effects:
    """Apply one input; one that does not fit changes nothing."""
    match event:
        case Deliver():
            return process_deliver(state, event)
        case Acknowledged() | Unsendable():
            return process_acknowledged(state, event)
        case Writable():
            return tuple(_pump(state, event.room, event.now_ms))
        case Received() | Completed() | Committed():
            return _apply_two_step(state, event)
        case Subscribed() | Unsubscribed():
            return process_subscriptions(state, event)
        case Attached() | Detached() | Narrowed() | Ended():
            return _apply_lifecycle(state, event)
        case _:
            return apply_received(state, event)


def is_sent_at_once(state: SessionState, qos: int, room: int) -> bool:
    """Tell whether a message changes nothing here: it is sent and forgotten [MQTT-4.3.1-1]."""
    return qos == 0 and room > 0 and state.is_connected and not state.queue


def process_deliver(state: SessionState, event: Deliver) -> Effects:
    """Take a message for the client, or drop it where a limit says so."""
    qos = event.qos
    if state.is_over or (not state.is_connected and (qos == 0 or not state.queues_offline)):
        return NOTHING  # MQTT keeps no QoS 0 message for an absent client: nothing was lost
    size = get_size(event.message)
    if not _has_room(state, event, size):
        return (Drop(),)
    packet_id = _next_packet_id(state) if qos else 0
    if qos and not packet_id:
        return (Drop(),)
    state.last_number += 1
    delivery = Delivery(
        state.last_number,
        packet_id,
        event.message,
        qos,
        event.is_retained,
        event.subscription_ids,
    )
    state.queue.append(delivery)
    state.held_bytes += size
    if not state.is_kept or not qos:
        return tuple(_pump(state, event.room, event.now_ms))
    effects: list[Effect] = [Record(MessageQueued(state.key, delivery))]
    if qos == 2 and state.is_connected:
        effects.append(AwaitCommit(number=delivery.number))
    effects += _pump(state, event.room, event.now_ms)
    return tuple(effects)


def process_acknowledged(state: SessionState, event: Acknowledged | Unsendable) -> Effects:
    """The message has arrived, or never will. One that is not in flight changes nothing."""
    delivery = state.inflight.get(event.packet_id)
    if delivery is None or (delivery.qos == 2 and isinstance(event, Acknowledged)):
        return NOTHING
    effects = _finish(state, delivery)
    effects += _pump(state, event.room, event.now_ms)
    return tuple(effects)


def process_received(state: SessionState, event: Received) -> Effects:
    """The QoS 2 message has arrived; PUBREL is the answer [MQTT-4.3.3-1]."""
    packet_id = event.packet_id
    delivery = state.inflight.get(packet_id)
    if delivery is None or delivery.qos != 2:
        return NOTHING if event.is_refused else _release(state, packet_id)
    if event.is_refused:
        effects = _finish(state, delivery)
        effects += _pump(state, event.room, event.now_ms)
        return tuple(effects)
    return (*_receive(state, delivery), *_release(state, packet_id))


def process_committed(state: SessionState, event: Committed) -> Effects:
    """Send what waited for the disk (rule 3)."""
    effects: list[Effect] = []
    if event.released in state.releasing:
        state.releasing.discard(event.released)
        effects.append(SendRelease(event.released, event.released in state.released))
    state.committed_number = max(state.committed_number, event.number)
    effects += _pump(state, event.room, event.now_ms)
    return tuple(effects)


def process_completed(state: SessionState, event: Completed) -> Effects:
    """The packet id is free again."""
    number = state.released.pop(event.packet_id, None)
    if number is None:
        return NOTHING
    state.packet_ids.discard(event.packet_id)
    effects = _done(state, number)
    effects += _pump(state, event.room, event.now_ms)
    return tuple(effects)


def process_attached(state: SessionState, event: Attached) -> Effects:
    """First what was in flight goes out again, in the old order [MQTT-4.4.0-1, 4.6.0-1]."""
    state.is_connected = True
    state.window = event.window
    state.committed_number = event.committed_number
    state.queue.extendleft(reversed(state.inflight.values()))
    state.inflight.clear()
    state.releasing.clear()
    effects: list[Effect] = [SendRelease(packet_id, is_known=True) for packet_id in state.released]
    if state.is_kept and state.last_number > event.committed_number:
        effects.append(AwaitCommit(number=state.last_number))
    effects += _pump(state, event.room, event.now_ms)
    return tuple(effects)


def process_subscriptions(state: SessionState, event: Subscribed | Unsubscribed) -> Effects:
    """Note the subscription, or its end."""
    change: SubscribedChange | UnsubscribedChange
    if isinstance(event, Subscribed):
        state.subscriptions[event.topic_filter] = event.subscription
        change = SubscribedChange(state.key, event.topic_filter, event.subscription)
    else:
        state.subscriptions.pop(event.topic_filter, None)
        change = UnsubscribedChange(state.key, event.topic_filter)
    return (Record(change),) if state.is_kept else NOTHING


def process_narrowed(state: SessionState, may_receive: Callable[[str], bool]) -> Effects:
    """Drop what the client may not receive any more, sent or not."""
    effects: list[Effect] = []
    for delivery in list(state.inflight.values()):
        if may_receive(delivery.message.topic):
            continue
        # The client may wait for PUBREL already: its packet id is not free before PUBCOMP.
        effects += _receive(state, delivery) if delivery.qos == 2 else _finish(state, delivery)
    kept: deque[Delivery] = deque()
    for delivery in state.queue:
        if may_receive(delivery.message.topic):
            kept.append(delivery)
        else:
            effects += _forget(state, delivery)
    state.queue = kept
    return tuple(effects)


def process_ended(state: SessionState) -> Effects:
    """Hold nothing, and take nothing any more."""
    state.is_over = True
    state.is_connected = state.is_kept = False
    for held in (state.queue, state.inflight, state.released, state.packet_ids, state.received):
        held.clear()
    forget_all(state)
    state.held_bytes = 0
    return NOTHING


def _apply_lifecycle(state: SessionState, event: Attached | Detached | Narrowed | Ended) -> Effects:
    match event:
        case Attached():
            return process_attached(state, event)
        case Detached():
            state.is_connected = False
            return NOTHING
        case Narrowed():
            return process_narrowed(state, event.may_receive)
        case Ended():
            return process_ended(state)
        case _:
            assert_never(event)


def _apply_two_step(state: SessionState, event: Received | Completed | Committed) -> Effects:
    match event:
        case Received():
            return process_received(state, event)
        case Completed():
            return process_completed(state, event)
        case Committed():
            return process_committed(state, event)
        case _:
            assert_never(event)


def _pump(state: SessionState, room: int, now_ms: int) -> list[Effect]:
    """Send from the queue while the peer takes bytes and the window is open."""
    effects: list[Effect] = []
    queue = state.queue
    while queue and room > 0 and state.is_connected:
        delivery = queue[0]
        qos = delivery.qos
        if qos and get_inflight_count(state) >= state.window:
            break
        if qos == 2 and state.is_kept and delivery.number > state.committed_number:
            break  # rule 3; what comes behind waits too, so that the order stays
        queue.popleft()
        size = get_size(delivery.message)
        is_dup = bool(qos) and delivery.number <= state.sent_number
        if not is_dup and 0 < delivery.message.expires_at_ms <= now_ms:
            effects += _forget(state, delivery)  # [MQTT-3.3.2-5]
            continue
        if qos:
            state.inflight[delivery.packet_id] = delivery
        else:
            state.held_bytes -= size
        state.sent_number = max(state.sent_number, delivery.number)
        effects.append(SendPublish(delivery, is_dup))
        room -= size
    return effects


def _has_room(state: SessionState, event: Deliver, size: int) -> bool:
    limits = state.limits
    bytes_max = limits.queue_bytes_max
    if event.is_replay:
        bytes_max += limits.replay_bytes_max
    elif len(state.queue) >= limits.queue_messages_max:
        return False
    if state.held_bytes + size > bytes_max:
        return False
    return event.has_budget or event.qos > 0


def _finish(state: SessionState, delivery: Delivery) -> list[Effect]:
    del state.inflight[delivery.packet_id]
    return _forget(state, delivery)


def _forget(state: SessionState, delivery: Delivery) -> list[Effect]:
    state.held_bytes -= get_size(delivery.message)
    state.packet_ids.discard(delivery.packet_id)
    return _done(state, delivery.number) if delivery.qos else []


def _done(state: SessionState, number: int) -> list[Effect]:
    return [Record(DeliveryDone(state.key, number))] if state.is_kept else []


def _receive(state: SessionState, delivery: Delivery) -> list[Effect]:
    """Keep only packet id and number of a QoS 2 message."""
    del state.inflight[delivery.packet_id]
    state.held_bytes -= get_size(delivery.message)
    state.released[delivery.packet_id] = delivery.number
    return [Record(DeliveryReceived(state.key, delivery.number))] if state.is_kept else []


def _release(state: SessionState, packet_id: int) -> Effects:
    """Answer PUBREC; what is kept is released from disk only, and waits for that once."""
    is_known = packet_id in state.released
    if not (state.is_kept and is_known):
        return (SendRelease(packet_id, is_known),)
    if packet_id in state.releasing:
        return NOTHING
    state.releasing.add(packet_id)
    return (AwaitCommit(released=packet_id),)


def _next_packet_id(state: SessionState) -> int:
    """Return a packet id that is free, 0 when none is [MQTT-2.3.1-2, 2.3.1-4]."""
    taken = state.packet_ids
    if len(taken) >= PACKET_ID_MAX:
        return 0
    packet_id = state.last_packet_id
    while True:
        packet_id = packet_id % PACKET_ID_MAX + 1
        if packet_id not in taken:
            taken.add(packet_id)
            state.last_packet_id = packet_id
            return packet_id
