"""Moves a session: hands inputs to its machine and performs the effects, in order.

Rule: nothing is awaited; what must wait for the disk is done in the journal's call back, if the
connection that it was meant for is still there.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import assert_never

from gateway.broker.changes import (
    Delivery,
    SessionEnded,
    SessionKept,
    SessionKey,
    SessionLeft,
    StoredSession,
)
from gateway.broker.codec.reasons import Reason
from gateway.broker.exchanges import Exchanges
from gateway.broker.message import Message, Subscription
from gateway.broker.outbound import OutboundBudget
from gateway.broker.recorder import Recorder
from gateway.broker.session import inputs
from gateway.broker.session.effects import (
    AwaitCommit,
    Drop,
    Effect,
    Forget,
    Note,
    PassOn,
    Record,
    Refuse,
    SendComplete,
    SendPublish,
    SendReceipt,
    SendRelease,
)
from gateway.broker.session.machine import apply, is_sent_at_once
from gateway.broker.session.outlet import Outlet
from gateway.broker.session.receiving import forget_all
from gateway.broker.session.state import SessionLimits, SessionState, get_size
from gateway.broker.trie import Grant
from gateway.clock import Clock
from gateway.model.principal import Principal


class Session:
    """A session with its connection; `outlet` is None while nobody is connected."""

    __slots__ = (
        "_budget",
        "_clock",
        "_exchanges",
        "_recorder",
        "_unsendable",
        "expiry_s",
        "outlet",
        "principal",
        "state",
    )

    def __init__(
        self,
        key: SessionKey,
        principal: Principal,
        limits: SessionLimits,
        shared: tuple[OutboundBudget, Recorder, Exchanges, Clock],
    ) -> None:
        self._budget, self._recorder, self._exchanges, self._clock = shared
        self.principal = principal
        self.expiry_s = 0
        self.outlet: Outlet | None = None
        self.state = SessionState(key, limits)
        self._unsendable: list[int] = []  # packet ids of messages too large for the client

    @property
    def key(self) -> SessionKey:
        """What names the session: nobody reaches a session of another principal."""
        return self.state.key

    @property
    def is_connected(self) -> bool:
        """Whether a client is there."""
        return self.outlet is not None

    @property
    def queued(self) -> int:
        """How many messages wait to be sent."""
        return len(self.state.queue)

    @property
    def held(self) -> int:
        """How many messages are queued or not acknowledged."""
        return len(self.state.queue) + len(self.state.inflight)

    @property
    def held_bytes(self) -> int:
        """What those messages take of the budget."""
        return self.state.held_bytes

    def deliver(self, message: Message, grant: Grant) -> bool:
        """Send a message now, or queue it; False when a limit made it drop the message."""
        is_retained = message.is_retained and grant.is_retain_as_published
        return self._deliver(message, grant, is_retained=is_retained, is_replay=False)

    def replay(self, message: Message, grant: Grant) -> bool:
        """Send what was retained before the subscription [MQTT-3.3.1-8]."""
        return self._deliver(message, grant, is_retained=True, is_replay=True)

    def pump(self) -> None:
        """Send what waits, now that the peer takes more."""
        if self.state.queue:
            self._apply(inputs.Writable(self._room(), self._clock.now_ms()))

    def attach(self, outlet: Outlet, window: int, expiry_s: int) -> None:
        """Give the session a connection; `resume` sends what waits, after CONNACK."""
        self.outlet = outlet
        self.state.window = window
        self.set_expiry(expiry_s)

    def set_expiry(self, expiry_s: int) -> None:
        """Note how long the session outlives its connection; one that does not is not kept."""
        state, was_kept = self.state, self.state.is_kept
        self.expiry_s = expiry_s
        state.queues_offline = expiry_s > 0
        state.is_kept = self._recorder.is_durable and expiry_s > 0
        if state.is_kept:
            self._recorder.record(SessionKept(state.key, self.principal, expiry_s))
        elif was_kept:
            self._end_on_disk()

    def resume(self) -> None:
        """Send what was in flight again and then what waits, once all that is on disk."""
        if self.state.is_kept:
            numbers = self.outlet, self.state.last_number
            self._recorder.after_commit(partial(self._resume, *numbers))
        else:
            self._resume(self.outlet, self.state.last_number, None)

    def detach(self) -> None:
        """Take the connection away; the session waits or is ended by its owner."""
        self.outlet = None
        self._apply(inputs.Detached())
        state = self.state
        if state.is_kept:
            left = SessionLeft(state.key, self._clock.now_ms(), self.expiry_s, state.sent_number)
            self._recorder.record(left)

    def end(self) -> None:
        """Drop everything, and take nothing any more."""
        if self.state.is_kept:
            self._end_on_disk()
        self._apply(inputs.Ended())

    def restore(self, stored: StoredSession, noted: Collection[int]) -> None:
        """Become what was on disk. A delivery that may have been sent will be marked DUP.

        `noted` are the packet ids of which the readings store has the reading.
        """
        state = self.state
        self.expiry_s = stored.expiry_s
        state.is_kept = state.queues_offline = True
        state.subscriptions.update(stored.subscriptions)
        state.received.update(dict.fromkeys(stored.received_packet_ids, True))
        state.recorded.update(stored.received_packet_ids)
        state.noted.update(noted)
        for delivery in stored.deliveries:
            state.packet_ids.add(delivery.packet_id)
            state.last_number = delivery.number
            state.last_packet_id = delivery.packet_id
            if delivery.number in stored.received_numbers:
                state.released[delivery.packet_id] = delivery.number
            else:
                state.queue.append(delivery)
        was_connected = stored.left_at_ms is None
        state.last_number = max(state.last_number, stored.sent_number)
        state.sent_number = state.last_number if was_connected else stored.sent_number
        state.held_bytes = sum(get_size(delivery.message) for delivery in state.queue)
        self._budget.hold(state.held_bytes)

    def acknowledge(self, packet_id: int) -> None:
        """Take PUBACK."""
        self._apply(inputs.Acknowledged(packet_id, self._room(), self._clock.now_ms()))

    def receive(self, packet_id: int, *, is_refused: bool) -> None:
        """Take PUBREC."""
        event = inputs.Received(packet_id, is_refused, self._room(), self._clock.now_ms())
        self._apply(event)

    def complete(self, packet_id: int) -> None:
        """Take PUBCOMP."""
        self._apply(inputs.Completed(packet_id, self._room(), self._clock.now_ms()))

    def release(self, packet_id: int) -> None:
        """Take PUBREL."""
        self._apply(inputs.Released(packet_id))

    def arrive(self, packet_id: int) -> bool:
        """Take a QoS 2 PUBLISH; tell whether it is new and must be passed on."""
        return self._apply(inputs.Arrived(packet_id))

    def is_noted(self, packet_id: int) -> bool:
        """Whether the readings store has the QoS 2 message with its packet id, or is taking it."""
        return packet_id in self.state.noted

    def note(self, packet_id: int) -> None:
        """Note that the readings store takes a QoS 2 message now."""
        self._apply(inputs.Noted(packet_id))

    def stored(self, packet_id: int) -> None:
        """Note that a noted message is on disk and was given to nobody else."""
        self._apply(inputs.Stored(packet_id))

    def passed_on(self, packet_id: int) -> None:
        """Note that a QoS 2 message was routed, and stored if it was to be."""
        self._apply(inputs.PassedOn(packet_id))

    def forgotten(self, packet_id: int) -> None:
        """Note that the readings store has a packet id no more."""
        self._apply(inputs.Forgotten(packet_id))

    def give_back(self, packet_id: int) -> None:
        """Note that a QoS 2 message was not taken."""
        self._apply(inputs.GivenBack(packet_id))

    def subscribe(self, topic_filter: str, subscription: Subscription) -> None:
        """Note a subscription."""
        self._apply(inputs.Subscribed(topic_filter, subscription))

    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a subscription."""
        self._apply(inputs.Unsubscribed(topic_filter))

    def keep_only(self, principal: Principal, may_receive: Callable[[str], bool]) -> None:
        """Continue under `principal` as it is now; messages it may not receive are dropped."""
        self.principal = principal
        self._apply(inputs.Narrowed(may_receive))

    def _deliver(
        self, message: Message, grant: Grant, *, is_retained: bool, is_replay: bool
    ) -> bool:
        qos, outlet = min(message.qos, grant.qos), self.outlet
        room = outlet.room() if outlet is not None else 0
        now_ms = self._clock.now_ms()
        if outlet is not None and is_sent_at_once(self.state, qos, room):
            delivery = Delivery(0, 0, message, qos, is_retained, grant.identifiers)
            outlet.send_publish(delivery, now_ms, is_dup=False)
            return True
        has_budget = self._budget.has_room(len(message.payload))
        event = inputs.Deliver(
            message, qos, is_retained, grant.identifiers, is_replay, has_budget, room, now_ms
        )
        return self._apply(event)

    def _resume(self, outlet: Outlet | None, number: int, failure: str | None) -> None:
        if outlet is None or self.outlet is not outlet:
            return
        if failure is not None:
            outlet.close(failure, Reason.SERVER_UNAVAILABLE)
            return
        window, now_ms = self.state.window, self._clock.now_ms()
        self._apply(inputs.Attached(window, number, outlet.room(), now_ms))

    def _end_on_disk(self) -> None:
        is_in_store = bool(self.state.noted)
        self._recorder.record(SessionEnded(self.key))
        if forget_all(self.state):
            self._exchanges.end(self.key, is_in_store=is_in_store)

    def _room(self) -> int:
        return self.outlet.room() if self.outlet is not None else 0

    def _apply(self, event: inputs.Input) -> bool:
        """Perform what follows; for a message that comes or goes, tell whether it does so."""
        is_passed = self._apply_one(event)
        while self._unsendable:  # in turn: a queue of nothing else must not pile up calls
            packet_ids, self._unsendable = self._unsendable, []
            for packet_id in packet_ids:
                self._apply_one(inputs.Unsendable(packet_id, self._room(), self._clock.now_ms()))
        return is_passed

    def _apply_one(self, event: inputs.Input) -> bool:
        held_bytes = self.state.held_bytes
        effects = apply(self.state, event)
        if self.state.held_bytes != held_bytes:
            self._budget.hold(self.state.held_bytes - held_bytes)
        is_passed = isinstance(event, inputs.Deliver)
        for effect in effects:
            if isinstance(effect, SendPublish):
                self._send(effect)
            elif isinstance(effect, Drop):
                is_passed = False
            elif isinstance(effect, PassOn):
                is_passed = True
            else:
                self._perform(effect)
        return is_passed

    def _send(self, effect: SendPublish) -> None:
        outlet, delivery = self.outlet, effect.delivery
        if outlet is None:
            return
        now_ms = self._clock.now_ms()
        if not outlet.send_publish(delivery, now_ms, is_dup=effect.is_dup) and delivery.qos:
            self._unsendable.append(delivery.packet_id)

    def _perform(self, effect: Effect) -> None:
        outlet = self.outlet
        match effect:
            case Record():
                self._recorder.record(effect.change)
            case Note() | Forget() | AwaitCommit():
                self._keep(effect)
            case SendRelease() if outlet is not None:
                outlet.send_release(effect.packet_id, is_known=effect.is_known)
            case SendReceipt() if outlet is not None:
                outlet.send_receipt(effect.packet_id)
            case SendComplete() if outlet is not None:
                outlet.send_complete(effect.packet_id, is_known=effect.is_known)
            case Refuse() if outlet is not None:
                outlet.close(effect.text, Reason.RECEIVE_MAXIMUM_EXCEEDED)
            case SendRelease() | SendReceipt() | SendComplete() | Refuse():
                pass  # the connection is gone
            case SendPublish() | PassOn() | Drop():
                pass  # done by `_apply`
            case _:
                assert_never(effect)

    def _keep(self, effect: Note | Forget | AwaitCommit) -> None:
        match effect:
            case Note(packet_id):
                self._exchanges.note(self.key, packet_id)
            case Forget(packet_id):
                self._exchanges.forget(self.key, packet_id, partial(self.forgotten, packet_id))
            case AwaitCommit():
                self._recorder.after_commit(partial(self._committed, self.outlet, effect))
            case _:
                assert_never(effect)

    def _committed(self, outlet: Outlet | None, effect: AwaitCommit, failure: str | None) -> None:
        if outlet is None or self.outlet is not outlet:
            return  # what was meant for that connection goes out again on the next
        if failure is not None:
            outlet.close(failure, Reason.SERVER_UNAVAILABLE)
            return
        room, now_ms = outlet.room(), self._clock.now_ms()
        self._apply(inputs.Committed(effect.number, effect.released, room, now_ms))
