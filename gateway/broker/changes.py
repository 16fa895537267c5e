"""What a `SessionJournal` keeps: the changes that a broker must know again after it was killed.

Only sessions with an expiry of more than 0 are kept, and of those only messages of QoS 1 and 2.
A delivery is one message on its way to one session. Its `number` grows by one with each delivery of
the session and is never used again; its `packet_id` is given with it, before it is sent for the
first time, so that a QoS 2 message goes out under the same id after a crash [MQTT-4.4.0-1].
"""

from typing import TypeAlias

import msgspec

from gateway.broker.message import Message, Subscription
from gateway.model.principal import Principal

SessionKey: TypeAlias = tuple[str, str]
"""Name of the principal, and client id."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message on its way to one session, at the QoS and with the flags that hold for it.

    The same `Message` object is in the deliveries of all sessions that get it: store it once.
    `subscription_ids` are those of MQTT 5.
    """

    number: int
    packet_id: int  # 0 for QoS 0, which is never kept
    message: Message
    qos: int
    is_retained: bool
    subscription_ids: tuple[int, ...] = ()


class SessionKept(msgspec.Struct, frozen=True):
    """A client that wants to be remembered has connected: a new session, or one resumed."""

    key: SessionKey
    principal: Principal
    expiry_s: int


class SessionLeft(msgspec.Struct, frozen=True):
    """The connection is over: the session waits from now on, for `expiry_s` seconds.

    `sent_number` is the last delivery that was sent at least once; later ones are no duplicates.
    """

    key: SessionKey
    left_at_ms: int
    expiry_s: int
    sent_number: int


class SessionEnded(msgspec.Struct, frozen=True):
    """The session is gone, and with it its subscriptions, deliveries and packet ids."""

    key: SessionKey


class Subscribed(msgspec.Struct, frozen=True):
    """A subscription was made, or its options were replaced."""

    key: SessionKey
    topic_filter: str
    subscription: Subscription


class Unsubscribed(msgspec.Struct, frozen=True):
    """A subscription was removed."""

    key: SessionKey
    topic_filter: str


class MessageQueued(msgspec.Struct, frozen=True, gc=False):
    """A message of QoS 1 or 2 waits for this session, or is on its way to it."""

    key: SessionKey
    delivery: Delivery


class DeliveryReceived(msgspec.Struct, frozen=True, gc=False):
    """PUBREC came: of the delivery only the packet id is left, until PUBCOMP."""

    key: SessionKey
    number: int


class DeliveryDone(msgspec.Struct, frozen=True, gc=False):
    """PUBACK or PUBCOMP came, or the message expired or may not be received any more."""

    key: SessionKey
    number: int


class PacketIdReceived(msgspec.Struct, frozen=True, gc=False):
    """A QoS 2 message came from the client and was passed on; it must not be passed on again."""

    key: SessionKey
    packet_id: int


class PacketIdReleased(msgspec.Struct, frozen=True, gc=False):
    """PUBREL came: the packet id may be used for a new message."""

    key: SessionKey
    packet_id: int


class RetainedPut(msgspec.Struct, frozen=True):
    """A message is retained for its topic, in place of an earlier one. Owner None: the gateway."""

    message: Message
    owner: str | None


class RetainedRemoved(msgspec.Struct, frozen=True):
    """Nothing is retained for this topic any more."""

    topic: str


Change: TypeAlias = (
    MessageQueued
    | DeliveryDone
    | DeliveryReceived
    | PacketIdReceived
    | PacketIdReleased
    | Subscribed
    | Unsubscribed
    | SessionKept
    | SessionLeft
    | SessionEnded
    | RetainedPut
    | RetainedRemoved
)


class StoredSession(msgspec.Struct, frozen=True):
    """One session as it is read at the start.

    `left_at_ms` is None where the broker was killed while the client was connected; then
    `sent_number` is not known, and every delivery counts as sent before. `received_numbers` are the
    deliveries of which only the packet id is left.
    """

    key: SessionKey
    principal: Principal
    expiry_s: int
    left_at_ms: int | None
    sent_number: int
    subscriptions: dict[str, Subscription]
    deliveries: tuple[Delivery, ...]  # by number
    received_numbers: frozenset[int]
    received_packet_ids: tuple[int, ...]


class StoredState(msgspec.Struct, frozen=True):
    """All that was kept."""

    sessions: tuple[StoredSession, ...] = ()
    retained: tuple[tuple[Message, str | None], ...] = ()
