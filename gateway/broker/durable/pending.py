"""Changes that wait for their commit, joined so that little is written. Pure.

Rule 1: of each thing (session, subscription, delivery, packet id, retained topic) only the newest
state is written; what came and went between two commits is never written.
Rule 2: a thing is unwritten since its first change that is not on disk. A promise made after that
change is kept once the thing is written or gone.
Rule 3: what was promised to nobody (retained at QoS 0, or by the gateway itself) waits apart, one
value a topic.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import assert_never

from gateway.broker.changes import (
    Change,
    DeliveryDone,
    DeliveryReceived,
    MessageQueued,
    PacketIdReceived,
    PacketIdReleased,
    RetainedPut,
    RetainedRemoved,
    SessionEnded,
    SessionKept,
    SessionKey,
    SessionLeft,
    Subscribed,
    Unsubscribed,
)
from gateway.broker.durable.batch import Batch
from gateway.broker.durable.index import MessageRows, SessionRow
from gateway.broker.durable.things import (
    DeliveryPacketId,
    DeliveryState,
    ReceivedState,
    RetainedState,
    SessionEnd,
    SessionState,
    SubscriptionState,
    Thing,
    identity,
    write,
)

_ROW_BYTES = 64  # of a small row and its index, roughly


class PendingChanges:
    """The things that are not on disk as they are, the longest unwritten first."""

    def __init__(self, sessions: dict[SessionKey, SessionRow], messages: MessageRows) -> None:
        """Sessions and messages are those that are on disk already."""
        self.last = 0  # number of the newest change
        self.bytes = 0  # that the next batch writes, roughly
        self._sessions = sessions
        self._messages = messages
        self._last_session = max((row.number for row in sessions.values()), default=0)
        self._things: OrderedDict[Hashable, tuple[int, Thing]] = OrderedDict()
        self._unpromised: dict[str, RetainedState] = {}

    @property
    def first(self) -> int | None:
        """The oldest change that is unwritten, without the unpromised."""
        return next(iter(self._things.values()))[0] if self._things else None

    @property
    def has_unpromised(self) -> bool:
        """Whether retained values wait that were promised to nobody."""
        return bool(self._unpromised)

    def add(self, change: Change) -> None:
        """Take one change, in the order in which they happen."""
        match change:
            case MessageQueued(key, delivery):
                self._put(DeliveryState(self._sessions[key], delivery.number, delivery))
                self.bytes += len(delivery.message.payload)
            case DeliveryDone(key, number):
                row = self._sessions[key]
                self._remove(DeliveryState(row, number, None), is_stored=number in row.deliveries)
            case DeliveryReceived(key, number):
                self._on_received(self._sessions[key], number)
            case PacketIdReceived(key, packet_id):
                self._put(ReceivedState(self._sessions[key], packet_id, is_held=True))
            case PacketIdReleased(key, packet_id):
                row = self._sessions[key]
                thing = ReceivedState(row, packet_id, is_held=False)
                self._remove(thing, is_stored=packet_id in row.packet_ids)
            case RetainedPut() | RetainedRemoved():
                self._on_retained(change)
            case _:
                self._on_session(change)

    def take(self, *, with_unpromised: bool) -> Batch:
        """Return what waits as one batch; from here on it counts as on disk."""
        batch = Batch(first=self.first or self.last + 1)
        for _, thing in self._things.values():
            write(batch, thing, self._messages)
        self._things.clear()
        self.bytes = 0
        if with_unpromised:
            for thing in self._unpromised.values():
                write(batch, thing, self._messages)
            self._unpromised.clear()
        return batch

    def _put(self, thing: Thing) -> None:
        self.last += 1
        self.bytes += _ROW_BYTES
        name = identity(thing)
        earlier = self._things.get(name)
        self._things[name] = (earlier[0] if earlier is not None else self.last, thing)

    def _remove(self, thing: Thing, *, is_stored: bool) -> None:
        """Take note that a thing is gone: nothing is to be written of one that never was on disk."""
        if is_stored:
            self._put(thing)
        else:
            self.last += 1
            self._things.pop(identity(thing), None)

    def _on_received(self, row: SessionRow, number: int) -> None:
        _, earlier = self._things.get(identity(DeliveryState(row, number, None)), (0, None))
        delivery = earlier.delivery if isinstance(earlier, DeliveryState) else None
        self._put(DeliveryPacketId(row, number, delivery))

    def _on_retained(self, change: RetainedPut | RetainedRemoved) -> None:
        if isinstance(change, RetainedRemoved):
            self._unpromised.pop(change.topic, None)
            self._put(RetainedState(change.topic, None, None))
            return
        message = change.message
        thing = RetainedState(message.topic, message, change.owner)
        is_promised = change.owner is not None and message.qos > 0
        if is_promised or identity(thing) in self._things:
            self._unpromised.pop(message.topic, None)
            self._put(thing)
        else:
            self.last += 1
            self._unpromised[message.topic] = thing

    def _on_session(
        self, change: SessionKept | SessionLeft | SessionEnded | Subscribed | Unsubscribed
    ) -> None:
        match change:
            case SessionKept(key, principal, expiry_s):
                row = self._sessions.get(key)
                if row is None:
                    self._last_session += 1
                    row = SessionRow(self._last_session, key, principal, expiry_s)
                    self._sessions[key] = row
                row.principal, row.expiry_s, row.left_at_ms = principal, expiry_s, None
                self._put(SessionState(row))
            case SessionLeft(key, left_at_ms, expiry_s, sent_number):
                row = self._sessions[key]
                row.left_at_ms, row.expiry_s, row.sent_number = left_at_ms, expiry_s, sent_number
                self._put(SessionState(row))
            case SessionEnded(key):
                row = self._sessions.pop(key)
                row.is_ended = True  # what still waits of it will be left out
                self._put(SessionEnd(row))
            case Subscribed(key, topic_filter, subscription):
                self._put(SubscriptionState(self._sessions[key], topic_filter, subscription))
            case Unsubscribed(key, topic_filter):
                self._put(SubscriptionState(self._sessions[key], topic_filter, None))
            case _:
                assert_never(change)
