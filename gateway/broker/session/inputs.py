"""What happens to a session. `room` is how many bytes its connection takes now, 0 without one."""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from gateway.broker.message import Message, Subscription


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """A message matched: send it at this QoS now, or queue it.

    `is_replay` marks what was retained before: its flag is set, and as an answer to SUBSCRIBE it
    may be longer than the queue. `has_budget` False: all sessions together hold too much.
    """

    message: Message
    qos: int
    is_retained: bool
    subscription_ids: tuple[int, ...]
    is_replay: bool
    has_budget: bool
    room: int
    now_ms: int


class Writable(msgspec.Struct, frozen=True, gc=False):
    """The connection takes bytes again."""

    room: int
    now_ms: int


class Acknowledged(msgspec.Struct, frozen=True, gc=False):
    """PUBACK came."""

    packet_id: int
    room: int
    now_ms: int


class Unsendable(msgspec.Struct, frozen=True, gc=False):
    """The message with this packet id is longer than its client takes [MQTT-3.1.2-25]."""

    packet_id: int
    room: int
    now_ms: int


class Received(msgspec.Struct, frozen=True, gc=False):
    """PUBREC came; `is_refused` when its reason is a failure."""

    packet_id: int
    is_refused: bool
    room: int
    now_ms: int


class Completed(msgspec.Struct, frozen=True, gc=False):
    """PUBCOMP came."""

    packet_id: int
    room: int
    now_ms: int


class Committed(msgspec.Struct, frozen=True, gc=False):
    """All deliveries up to `number` are on disk, and that `released` was received (0: none)."""

    number: int
    released: int
    room: int
    now_ms: int


class Attached(msgspec.Struct, frozen=True, gc=False):
    """A connection is there, which takes `window` unacknowledged messages at a time.

    Deliveries up to `committed_number`, and all releases, are on disk where the session is kept.
    """

    window: int
    committed_number: int
    room: int
    now_ms: int


class Detached(msgspec.Struct, frozen=True, gc=False):
    """The connection is gone."""


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """A QoS 2 PUBLISH came from the client."""

    packet_id: int


class Noted(msgspec.Struct, frozen=True, gc=False):
    """The readings store takes the QoS 2 message with this packet id."""

    packet_id: int


class Stored(msgspec.Struct, frozen=True, gc=False):
    """The noted message with this packet id is on disk, and nobody else was given it."""

    packet_id: int


class PassedOn(msgspec.Struct, frozen=True, gc=False):
    """The QoS 2 message with this packet id was routed, and stored if it was to be."""

    packet_id: int


class GivenBack(msgspec.Struct, frozen=True, gc=False):
    """The QoS 2 message with this packet id was not taken: the client may send it again."""

    packet_id: int


class Released(msgspec.Struct, frozen=True, gc=False):
    """PUBREL came."""

    packet_id: int


class Forgotten(msgspec.Struct, frozen=True, gc=False):
    """The readings store has the packet id no more, and that is on disk."""

    packet_id: int


class Subscribed(msgspec.Struct, frozen=True, gc=False):
    """A subscription was granted."""

    topic_filter: str
    subscription: Subscription


class Unsubscribed(msgspec.Struct, frozen=True, gc=False):
    """A subscription was given up or withdrawn."""

    topic_filter: str


class Narrowed(msgspec.Struct, frozen=True):
    """The rights may have changed: what `may_receive` refuses is dropped unsent."""

    may_receive: Callable[[str], bool]


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The session is over."""


Input: TypeAlias = (
    Deliver
    | Acknowledged
    | Unsendable
    | Writable
    | Received
    | Completed
    | Committed
    | Attached
    | Detached
    | Arrived
    | Noted
    | Stored
    | PassedOn
    | GivenBack
    | Released
    | Forgotten
    | Subscribed
    | Unsubscribed
    | Narrowed
    | Ended
)
