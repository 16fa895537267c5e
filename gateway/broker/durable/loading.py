"""Reading the database back: what the broker gets, and the index that later changes need."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from gateway.broker.changes import Delivery, SessionKey, StoredSession, StoredState
from gateway.broker.durable.database import DamagedDatabaseError
from gateway.broker.durable.encoding import (
    UnreadableRowError,
    decode_message,
    decode_numbers,
    decode_principal,
    decode_subscription,
)
from gateway.broker.durable.index import NO_MESSAGE, MessageRows, SessionRow
from gateway.broker.durable.schema import (
    DeliveryTable,
    MessageTable,
    ReceivedTable,
    RetainedTable,
    SessionTable,
    SubscriptionTable,
)
from gateway.broker.message import Message, Subscription
from gateway.readings.statements import ask

_NOTHING = Message("", b"", 2, is_retained=False)  # in place of a message that was let go
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """All that is on disk."""

    state: StoredState
    sessions: dict[SessionKey, SessionRow]
    messages: MessageRows
    orphans: list[int]  # rows of messages that no delivery refers to


def load(connection: sqlite3.Connection) -> Loaded:
    """Read everything; raises `DamagedDatabaseError` for a row that makes no sense."""
    try:
        return _load(connection)
    except UnreadableRowError as error:
        raise DamagedDatabaseError(str(error)) from None
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedDatabaseError(f"its rows contradict each other: {error!r}") from None


def _load(connection: sqlite3.Connection) -> Loaded:
    messages = MessageRows()
    rows = _read_sessions(ask(connection, SessionTable.select().order_by(SessionTable.session)))
    by_row: dict[int, Message] = {}
    for number, encoded in ask(connection, MessageTable.select()):
        by_row[number] = decode_message(encoded)
        messages.load(number, by_row[number])
    deliveries: dict[int, list[Delivery]] = defaultdict(list)
    emptied: dict[int, set[int]] = defaultdict(set)
    for session, number, packet_id, message_row, qos, is_retained, identifiers in ask(
        connection,
        DeliveryTable.select().order_by(DeliveryTable.session, DeliveryTable.number),
    ):
        message = _NOTHING
        if message_row is None:
            emptied[session].add(number)
        else:
            message = by_row[message_row]
            messages.refer(message)
        rows[session].deliveries[number] = message_row or NO_MESSAGE
        deliveries[session].append(
            Delivery(
                number, packet_id, message, qos, bool(is_retained), decode_numbers(identifiers)
            )
        )
    subscriptions: dict[int, dict[str, Subscription]] = defaultdict(dict)
    for session, topic_filter, options in ask(connection, SubscriptionTable.select()):
        subscriptions[rows[session].number][topic_filter] = decode_subscription(options)
    for session, packet_id in ask(connection, ReceivedTable.select()):
        rows[session].packet_ids.add(packet_id)
    state = StoredState(
        sessions=tuple(
            StoredSession(
                row.key,
                row.principal,
                row.expiry_s,
                row.left_at_ms,
                row.sent_number,
                subscriptions[number],
                tuple(deliveries[number]),
                frozenset(emptied[number]),
                tuple(sorted(row.packet_ids)),
            )
            for number, row in rows.items()
        ),
        retained=tuple(
            (decode_message(encoded), owner)
            for _, owner, encoded in ask(
                connection, RetainedTable.select().order_by(RetainedTable.topic)
            )
        ),
    )
    by_key = {row.key: row for row in rows.values()}
    return Loaded(state, by_key, messages, messages.unreferred())


def _read_sessions(rows: Rows) -> dict[int, SessionRow]:
    sessions: dict[int, SessionRow] = {}
    for number, principal, client_id, rights, expiry_s, left_at_ms, sent_number in rows:
        sessions[number] = SessionRow(
            number,
            (principal, client_id),
            decode_principal(rights),
            expiry_s,
            left_at_ms,
            sent_number,
            is_stored=True,
        )
    return sessions
