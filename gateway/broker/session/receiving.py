"""The receiving side of QoS 2 (MQTT section 4.3.3), a part of the machine.

Rule: a message from the client is stored and passed on once for each use of its packet id.
"""

from typing import TypeAlias, assert_never

from gateway.broker.changes import PacketIdReceived, PacketIdReleased
from gateway.broker.session.effects import (
    Effect,
    Forget,
    Note,
    PassOn,
    Record,
    Refuse,
    SendComplete,
    SendReceipt,
)
from gateway.broker.session.inputs import (
    Arrived,
    Forgotten,
    GivenBack,
    Noted,
    PassedOn,
    Released,
    Stored,
)
from gateway.broker.session.state import SessionState

Effects: TypeAlias = tuple[Effect, ...]
NOTHING: Effects = ()
Receiving: TypeAlias = Arrived | Noted | Stored | PassedOn | GivenBack | Released | Forgotten


def apply_received(state: SessionState, event: Receiving) -> Effects:
    """Apply one input of the receiving side."""
    packet_id = event.packet_id
    match event:
        case Arrived():
            return process_arrived(state, packet_id)
        case Noted():
            return process_noted(state, packet_id)
        case Stored():
            state.received[packet_id] = True
            return NOTHING
        case PassedOn():
            return process_passed_on(state, packet_id)
        case GivenBack():
            state.received.pop(packet_id, None)
            state.noted.discard(packet_id)
            return NOTHING
        case Released():
            return process_released(state, packet_id)
        case Forgotten():
            return process_forgotten(state, packet_id)
        case _:
            assert_never(event)


def process_arrived(state: SessionState, packet_id: int) -> Effects:
    """Tell whether a QoS 2 message is new; one seen before gets its PUBREC again at most.

    One whose reading was stored before the process was killed is new but for that: it is noted.
    """
    if packet_id in state.received:
        return (SendReceipt(packet_id),) if state.received[packet_id] else NOTHING
    held = max(len(state.received), len(state.noted))
    if packet_id not in state.noted and held >= state.limits.received_max:
        return (Refuse("too many QoS 2 messages await their PUBREL"),)
    state.received[packet_id] = False
    return (PassOn(),)


def process_noted(state: SessionState, packet_id: int) -> Effects:
    """Keep the packet id together with the reading, where the session outlives the process."""
    if not state.is_kept:
        return NOTHING
    state.noted.add(packet_id)
    return (Note(packet_id),)


def process_passed_on(state: SessionState, packet_id: int) -> Effects:
    """Record the packet id in the turn in which the message was routed."""
    state.received[packet_id] = True
    if not state.is_kept:
        return NOTHING
    state.recorded.add(packet_id)
    return (Record(PacketIdReceived(state.key, packet_id)),)


def process_released(state: SessionState, packet_id: int) -> Effects:
    """Free the packet id; the answer is PUBCOMP, also to a PUBREL that came before."""
    if state.received.get(packet_id) is False:
        return (Refuse("PUBREL before its PUBREC"),)
    if packet_id in state.forgetting:
        return NOTHING  # PUBCOMP follows
    if packet_id in state.noted:
        state.received[packet_id] = True
        state.forgetting.add(packet_id)
        return (Forget(packet_id),)
    return _complete(state, packet_id, is_known=packet_id in state.received)


def process_forgotten(state: SessionState, packet_id: int) -> Effects:
    """Go on with the journal: the packet id may be used anew when neither has it."""
    if packet_id not in state.forgetting:
        return NOTHING  # the session is over
    state.forgetting.discard(packet_id)
    state.noted.discard(packet_id)
    return _complete(state, packet_id, is_known=True)


def forget_all(state: SessionState) -> bool:
    """Keep no packet id on disk any more; tell whether any was."""
    was_any = bool(state.noted or state.recorded)
    for held in (state.noted, state.recorded, state.forgetting):
        held.clear()
    return was_any


def _complete(state: SessionState, packet_id: int, *, is_known: bool) -> Effects:
    state.received.pop(packet_id, None)
    complete = SendComplete(packet_id, is_known)
    if packet_id not in state.recorded:
        return (complete,)
    state.recorded.discard(packet_id)
    return (Record(PacketIdReleased(state.key, packet_id)), complete)
