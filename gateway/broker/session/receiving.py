"""The receiving side of QoS 2 (MQTT section 4.3.3), a part of the machine.

Rule: a message from the client is passed on once for each use of its packet id.
"""

from typing import TypeAlias, assert_never

from gateway.broker.changes import PacketIdReceived, PacketIdReleased
from gateway.broker.session.effects import (
    Effect,
    PassOn,
    Record,
    Refuse,
    SendComplete,
    SendReceipt,
)
from gateway.broker.session.inputs import Arrived, GivenBack, PassedOn, Released
from gateway.broker.session.state import SessionState

Effects: TypeAlias = tuple[Effect, ...]
NOTHING: Effects = ()


def apply_received(
    state: SessionState, event: Arrived | PassedOn | GivenBack | Released
) -> Effects:
    """Apply one input of the receiving side."""
    packet_id = event.packet_id
    match event:
        case Arrived():
            return process_arrived(state, packet_id)
        case PassedOn():
            state.received[packet_id] = True
            return (Record(PacketIdReceived(state.key, packet_id)),) if state.is_kept else NOTHING
        case GivenBack():
            state.received.pop(packet_id, None)
            return NOTHING
        case Released():
            return process_released(state, packet_id)
        case _:
            assert_never(event)


def process_arrived(state: SessionState, packet_id: int) -> Effects:
    """Tell whether a QoS 2 message is new; one seen before gets its PUBREC again at most."""
    if packet_id in state.received:
        return (SendReceipt(packet_id),) if state.received[packet_id] else NOTHING
    if len(state.received) >= state.limits.received_max:
        return (Refuse("too many QoS 2 messages await their PUBREL"),)
    state.received[packet_id] = False
    return (PassOn(),)


def process_released(state: SessionState, packet_id: int) -> Effects:
    """Free the packet id; the answer is PUBCOMP, also to a PUBREL that came before."""
    if state.received.get(packet_id) is False:
        return (Refuse("PUBREL before its PUBREC"),)
    is_known = state.received.pop(packet_id, None) is not None
    complete = SendComplete(packet_id, is_known)
    if not (state.is_kept and is_known):
        return (complete,)
    return (Record(PacketIdReleased(state.key, packet_id)), complete)
