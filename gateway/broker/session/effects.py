"""What a session wants done, in order. A `Record` comes before what depends on it."""

from typing import TypeAlias

import msgspec

from gateway.broker.changes import Change, Delivery


class SendPublish(msgspec.Struct, frozen=True, gc=False):
    """Send a message to the client; `is_dup` when it was sent before."""

    delivery: Delivery
    is_dup: bool


class SendRelease(msgspec.Struct, frozen=True, gc=False):
    """Send PUBREL [MQTT-4.3.3-1]; `is_known` False when no message has that packet id."""

    packet_id: int
    is_known: bool


class SendReceipt(msgspec.Struct, frozen=True, gc=False):
    """Send PUBREC again: the message is known."""

    packet_id: int


class SendComplete(msgspec.Struct, frozen=True, gc=False):
    """Send PUBCOMP; `is_known` False when no message had that packet id."""

    packet_id: int
    is_known: bool


class PassOn(msgspec.Struct, frozen=True, gc=False):
    """The QoS 2 message that arrived is new: store or route it."""


class Note(msgspec.Struct, frozen=True, gc=False):
    """Put the packet id into the commit of the reading that the store takes now."""

    packet_id: int


class Forget(msgspec.Struct, frozen=True, gc=False):
    """Take the packet id out of the readings store; tell `Forgotten` once that is on disk."""

    packet_id: int


class Refuse(msgspec.Struct, frozen=True, gc=False):
    """The client did what it must not: close its connection."""

    text: str


class Record(msgspec.Struct, frozen=True, gc=False):
    """Hand a change to the journal."""

    change: Change


class AwaitCommit(msgspec.Struct, frozen=True, gc=False):
    """Once all that is recorded is on disk, tell `Committed(number, released)`."""

    number: int = 0
    released: int = 0


class Drop(msgspec.Struct, frozen=True, gc=False):
    """A limit made the session drop a message: count it."""


Effect: TypeAlias = (
    SendPublish
    | SendRelease
    | SendReceipt
    | SendComplete
    | PassOn
    | Note
    | Forget
    | Refuse
    | Record
    | AwaitCommit
    | Drop
)
