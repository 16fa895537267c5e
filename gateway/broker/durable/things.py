"""How each kind of thing becomes rows of a batch. Pure.

`write` is called once a thing and batch, with its newest state; what it adds to the batch counts as
on disk from then on.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from gateway.broker.changes import Delivery
from gateway.broker.durable.batch import Batch
from gateway.broker.durable.encoding import (
    encode_message,
    encode_numbers,
    encode_principal,
    encode_subscription,
)
from gateway.broker.durable.index import NO_MESSAGE, MessageRows, SessionRow
from gateway.broker.message import Message, Subscription


@dataclass(frozen=True, slots=True)
class SessionState:
    """The columns of a session, which its row holds."""

    row: SessionRow


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """A session that is gone with all its rows."""

    row: SessionRow


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription, or None where it was removed."""

    row: SessionRow
    topic_filter: str
    subscription: Subscription | None


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """A delivery on its way; None where it is done."""

    row: SessionRow
    number: int
    delivery: Delivery | None


@dataclass(frozen=True, slots=True)
class DeliveryPacketId:
    """A delivery of which only the packet id is left; `delivery` is known if it was not written."""

    row: SessionRow
    number: int
    delivery: Delivery | None


@dataclass(frozen=True, slots=True)
class ReceivedState:
    """A packet id of a QoS 2 message from the client, or its release."""

    row: SessionRow
    packet_id: int
    is_held: bool


@dataclass(frozen=True, slots=True)
class RetainedState:
    """What is retained for a topic, or None where nothing is."""

    topic: str
    message: Message | None
    owner: str | None


Thing: TypeAlias = (
    SessionState
    | SessionEnd
    | SubscriptionState
    | DeliveryState
    | DeliveryPacketId
    | ReceivedState
    | RetainedState
)


def identity(thing: Thing) -> Hashable:
    """Return what all states of the same thing have in common."""
    match thing:
        case SessionState(row):
            return (row, "session")
        case SessionEnd(row):
            return (row, "end")
        case SubscriptionState(row, topic_filter, _):
            return (row, "subscription", topic_filter)
        case DeliveryState(row, number, _) | DeliveryPacketId(row, number, _):
            return (row, "delivery", number)
        case ReceivedState(row, packet_id, _):
            return (row, "received", packet_id)
        case RetainedState(topic, _, _):
            return topic
        case _:
            assert_never(thing)


def write(batch: Batch, thing: Thing, messages: MessageRows) -> None:
    """Add the rows of a thing to a batch, as far as the disk must learn of it."""
    if isinstance(thing, RetainedState):
        _write_retained(batch, thing)
    elif isinstance(thing, SessionEnd):
        _write_end(batch, thing.row, messages)
    elif not thing.row.is_ended:
        _write_part(batch, thing, messages)


def _write_part(
    batch: Batch,
    thing: SessionState | SubscriptionState | DeliveryState | DeliveryPacketId | ReceivedState,
    messages: MessageRows,
) -> None:
    match thing:
        case SessionState(row):
            _write_session(batch, row)
        case SubscriptionState():
            _write_subscription(batch, thing)
        case DeliveryState():
            _write_delivery(batch, thing, messages)
        case DeliveryPacketId():
            _write_packet_id(batch, thing, messages)
        case ReceivedState():
            _write_received(batch, thing)
        case _:
            assert_never(thing)


def _write_retained(batch: Batch, thing: RetainedState) -> None:
    if thing.message is None:
        batch.add("remove_retained", thing.topic)
    else:
        batch.add("put_retained", thing.topic, thing.owner, encode_message(thing.message))


def _write_subscription(batch: Batch, thing: SubscriptionState) -> None:
    number = thing.row.number
    if thing.subscription is None:
        batch.add("remove_subscription", number, thing.topic_filter)
    else:
        encoded = encode_subscription(thing.subscription)
        batch.add("put_subscription", number, thing.topic_filter, encoded)


def _write_session(batch: Batch, row: SessionRow) -> None:
    row.is_stored = True
    principal, client_id = row.key
    batch.add(
        "put_session",
        row.number,
        principal,
        client_id,
        encode_principal(row.principal),
        row.expiry_s,
        row.left_at_ms,
        row.sent_number,
    )


def _write_end(batch: Batch, row: SessionRow, messages: MessageRows) -> None:
    if row.is_stored:
        batch.add("end_session", row.number)
    for message_row in row.deliveries.values():
        _let_go(batch, message_row, messages)
    row.deliveries.clear()


def _write_delivery(batch: Batch, thing: DeliveryState, messages: MessageRows) -> None:
    row, delivery = thing.row, thing.delivery
    if delivery is None:
        _let_go(batch, row.deliveries.pop(thing.number), messages)
        batch.add("remove_delivery", row.number, thing.number)
        return
    message_row, is_new = messages.refer(delivery.message)
    if is_new:
        batch.add("put_message", message_row, encode_message(delivery.message))
    row.deliveries[delivery.number] = message_row
    _put_delivery(batch, row, delivery, message_row)


def _write_packet_id(batch: Batch, thing: DeliveryPacketId, messages: MessageRows) -> None:
    row = thing.row
    stored = row.deliveries.get(thing.number)
    if stored is not None:
        _let_go(batch, stored, messages)
        batch.add("empty_delivery", row.number, thing.number)
    elif thing.delivery is not None:
        _put_delivery(batch, row, thing.delivery, None)
    row.deliveries[thing.number] = NO_MESSAGE


def _put_delivery(
    batch: Batch, row: SessionRow, delivery: Delivery, message_row: int | None
) -> None:
    batch.add(
        "put_delivery",
        row.number,
        delivery.number,
        delivery.packet_id,
        message_row,
        delivery.qos,
        delivery.is_retained,
        encode_numbers(delivery.subscription_ids),
    )


def _write_received(batch: Batch, thing: ReceivedState) -> None:
    row = thing.row
    if thing.is_held:
        row.packet_ids.add(thing.packet_id)
        batch.add("put_received", row.number, thing.packet_id)
    else:
        row.packet_ids.discard(thing.packet_id)
        batch.add("remove_received", row.number, thing.packet_id)


def _let_go(batch: Batch, message_row: int, messages: MessageRows) -> None:
    if message_row != NO_MESSAGE and messages.let_go(message_row):
        batch.add("remove_message", message_row)
