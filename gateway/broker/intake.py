"""PUBLISH packets of one connection: from bytes to the store or to subscribers.

Rule: a message is acknowledged only when it is where it must be: a reading in the store, a message
for kept sessions, or a retained one, in the journal. One that nobody keeps waits for nothing.
"""

import struct
from collections.abc import Callable
from functools import lru_cache

from gateway.broker import access
from gateway.broker.answers import Answer
from gateway.broker.codec.connect import is_utf8
from gateway.broker.codec.properties import has_utf8_format
from gateway.broker.codec.publish import Publication, decode_publish
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import (
    MalformedPacketError,
    decode_topic_name,
    is_within_limits,
)
from gateway.broker.codec.version import Version
from gateway.broker.codec.wire import PUBACK, PUBREC
from gateway.broker.core import BrokerCore
from gateway.broker.handover import Handover
from gateway.broker.message import Message
from gateway.broker.session.driver import Session
from gateway.broker.settings import RECEIVE_MAX, TOPIC_ALIAS_MAX
from gateway.broker.trie import Matches
from gateway.model.principal import Principal

_ROUTES_MAX = 256  # topics remembered per connection
_SHORT_LENGTH_MAX = 0x7F  # a remaining length of one byte
_MIDDLE_LENGTH_MAX = 0x3FFF  # of two
_PUBACK_HEAD = b"\x40\x02"
_NO_PACKET_ID = b"\0\0"
_CUTS_MAX = 1_024  # lengths of readings remembered over all connections: each device has a few


class _Route:
    """What this connection's principal may do with one topic, and who gets it."""

    __slots__ = ("is_allowed", "is_telemetry", "matches", "topic", "version")

    def __init__(self, principal: Principal, raw_topic: bytes) -> None:
        self.topic = decode_topic_name(raw_topic)
        self.is_allowed = access.may_publish(principal, self.topic)
        self.is_telemetry = self.is_allowed and access.is_telemetry(principal, self.topic)
        self.matches: Matches = ()
        self.version = -1


class Intake:
    """Takes the PUBLISH packets of a session's connection."""

    def __init__(
        self, core: BrokerCore, session: Session, version: Version, handover: Handover
    ) -> None:
        self._core = core
        self._tally = core.tally
        self._session = session
        self._version = version
        self._handover = handover
        self.is_behind = handover.is_behind
        self._trie = core.trie
        self._has_properties = version.has_reasons
        self._routes: dict[bytes, _Route] = {}
        self._aliases: dict[int, bytes] = {}
        # The last plain reading of QoS 1: a packet that begins with the same fixed header and topic,
        # or at least the same flags and topic, is like it in all but packet id and payload.
        self._last_route: _Route | None = None
        self._last_head = b""  # all before the packet id
        self._last_cut = _cut(0, 2, 0)
        self.last_length = 0
        self._last_size = 0  # of its payload
        self._last_first = 0
        self._last_topic = b""

    def take_like_last(self, data: bytes, position: int, count_max: int) -> int:
        """Take the packets from `position` on that are readings like the last; return how many.

        Each takes `last_length` bytes. Where subscribers get them too, they are left to `take`.
        """
        route, head, length = self._last_route, self._last_head, self.last_length
        if route is None or not data.startswith(head, position):
            return 0
        if route.version != self._trie.version or route.matches:
            return 0
        whole = (len(data) - position) // length
        if not whole:
            return 0
        size = self._last_size
        count_max = self._handover.room(size, min(count_max, whole))
        has_properties = self._has_properties
        if has_properties:
            count_max = min(count_max, self._room_for_unanswered())
        packets: list[bytes] = []
        payloads: list[bytes] = []
        cut = self._last_cut
        for start in range(position, position + count_max * length, length):
            begin, packet_id, payload = cut(data, start)
            if (
                begin != head
                or packet_id == _NO_PACKET_ID
                or (has_properties and data[start + length - size - 1])
            ):
                break
            packets.append(_PUBACK_HEAD + packet_id)
            payloads.append(payload)
        count = len(packets)
        if count:
            self._tally.received += count
            self._handover.take(route.topic, payloads, count * size, packets)
        return count

    def take(self, first: int, data: bytes, start: int, end: int) -> None:
        """Take the PUBLISH whose body lies between `start` and `end`."""
        last = self._last_route
        if (
            last is not None
            and first == self._last_first
            and data.startswith(self._last_topic, start, end)
            and self._take_plain(last, data, start + len(self._last_topic), end)
        ):
            return
        has_reasons = self._version.has_reasons
        published = decode_publish(first, data, start, end, has_properties=has_reasons)
        self._tally.received += 1
        raw_topic = published.raw_topic
        if has_reasons:
            raw_topic = self._resolve_alias(published)
            self._check_receive_maximum(published.qos)
        route = self._routes.get(raw_topic) or self._new_route(raw_topic)
        if published.qos == 2 and not self._session.arrive(published.packet_id):
            return
        refusal = self._get_refusal(route, published)
        if refusal is not None:
            self._refuse(route, published, refusal)
        elif route.is_telemetry and published.is_plain:
            packet_id = published.packet_id.to_bytes(2, "big")
            self._take_reading(route, published.payload, packet_id)
            self._remember(route, first, data, (start, end))
        else:
            self._pass_on(route, published)

    def _take_plain(self, route: _Route, data: bytes, position: int, end: int) -> bool:
        """Take a reading of `route` whose packet id is at `position`; False if it is more than that."""
        start = position + 2
        packet_id = data[position:start]
        if self._version.has_reasons:
            if start >= end or data[start]:
                return False  # it has properties
            start += 1
            self._check_receive_maximum(1)
        if start > end or packet_id == _NO_PACKET_ID:
            return False
        self._tally.received += 1
        self._take_reading(route, data[start:end], packet_id)
        return True

    def _take_reading(self, route: _Route, payload: bytes, packet_id: bytes) -> None:
        """Hand over a reading of QoS 1 that carries nothing beside its payload."""
        matches = self._find_matches(route)
        if matches:
            core = self._core
            recorded = core.recorder.count
            message = Message(route.topic, payload, 1, is_retained=False)
            core.distribute(message, matches, self._session)
            if core.recorder.count != recorded:
                number = int.from_bytes(packet_id, "big")
                self._handover.take_kept(route.topic, payload, number)
                return
        packet = _PUBACK_HEAD + packet_id
        self._handover.take(route.topic, (payload,), len(payload), (packet,))

    def _find_matches(self, route: _Route) -> Matches:
        trie = self._trie
        if route.version != trie.version:
            route.version = trie.version
            route.matches = trie.match(route.topic)
        return route.matches

    def _remember(self, route: _Route, first: int, data: bytes, body: tuple[int, int]) -> None:
        """Note how a plain reading begins."""
        start, end = body
        length = end - start
        head = start - (2 if length <= _SHORT_LENGTH_MAX else 3)
        topic_end = start + 2 + (data[start] << 8 | data[start + 1])
        is_usual = length <= _MIDDLE_LENGTH_MAX and data[head] == first
        self._last_route = route if is_usual else None
        self._last_first = first
        self._last_head = data[head:topic_end]
        self._last_topic = data[start:topic_end]
        self.last_length = end - head
        between = 3 if self._has_properties else 2  # packet id, length of no properties
        self._last_size = end - topic_end - between
        self._last_cut = _cut(topic_end - head, between, self._last_size)

    def _pass_on(self, route: _Route, published: Publication) -> None:
        message = self._message(route, published)
        if route.is_telemetry and published.qos == 2:
            self._handover.take_once(message, published.packet_id)
            return
        recorded = self._core.recorder.count
        self._core.route(message, self._session.principal, self._session)
        is_recorded = self._core.recorder.count != recorded
        if not route.is_telemetry:
            self._answer(published, is_recorded=is_recorded)
            return
        packet_id, payload = published.packet_id, published.payload
        if published.qos == 1 and is_recorded:
            self._handover.take_kept(route.topic, payload, packet_id)
        else:
            packet = self._handover.encode_success(PUBACK, packet_id) if published.qos else b""
            self._handover.take(route.topic, (payload,), len(payload), (packet,))

    def _answer(self, published: Publication, *, is_recorded: bool) -> None:
        handover, packet_id = self._handover, published.packet_id
        if published.qos == 2:
            answer = Answer(handover.encode_success(PUBREC, packet_id))
            handover.answers.expect(answer)
            handover.complete_once(packet_id, answer)
        elif published.qos == 1:
            packet = handover.encode_success(PUBACK, packet_id)
            if not is_recorded:
                handover.answers.send_in_turn(packet)
                return
            answer = Answer(packet)
            handover.answers.expect(answer)
            handover.after_commit(answer)

    def _new_route(self, raw_topic: bytes) -> _Route:
        route = _Route(self._session.principal, raw_topic)
        if len(self._routes) >= _ROUTES_MAX:
            self._routes.clear()
        self._routes[raw_topic] = route
        return route

    def _resolve_alias(self, published: Publication) -> bytes:
        """Return the topic; an alias stands for it, or is set by it (MQTT 5 section 3.3.2.3.4)."""
        alias = published.topic_alias
        if alias > TOPIC_ALIAS_MAX:
            raise MalformedPacketError(f"topic alias {alias}", Reason.TOPIC_ALIAS_INVALID)
        if published.raw_topic:
            if alias:
                self._aliases[alias] = published.raw_topic
            return published.raw_topic
        known = self._aliases.get(alias)
        if known is None:
            raise MalformedPacketError("a topic alias that was not set", Reason.PROTOCOL_ERROR)
        return known

    def _check_receive_maximum(self, qos: int) -> None:
        """Refuse more unanswered messages than CONNACK allowed [MQTT-3.3.4-9]."""
        if qos and self._room_for_unanswered() <= 0:
            received = self._session.state.received
            waiting = self._handover.answers.owed() + sum(received.values())
            if waiting >= RECEIVE_MAX:
                raise MalformedPacketError(
                    "more unacknowledged messages than allowed", Reason.RECEIVE_MAXIMUM_EXCEEDED
                )

    def _room_for_unanswered(self) -> int:
        """Return how many more messages may be unanswered; not less than this, if it is positive."""
        return RECEIVE_MAX - len(self._handover.answers.places) - len(self._session.state.received)

    def _get_refusal(self, route: _Route, published: Publication) -> Reason | None:
        if not route.is_allowed:
            is_near = is_within_limits(route.topic)
            return Reason.NOT_AUTHORIZED if is_near else Reason.TOPIC_NAME_INVALID
        if has_utf8_format(published.properties) and not is_utf8(published.payload):
            return Reason.PAYLOAD_FORMAT_INVALID
        if published.is_retained and self._version.has_reasons:
            message = self._message(route, published)
            if not self._core.can_retain(message, self._session.principal):
                return Reason.QUOTA_EXCEEDED
        return None

    def _refuse(self, route: _Route, published: Publication, refusal: Reason) -> None:
        """Drop the message. It is still acknowledged [MQTT-3.3.5-2]; MQTT 5 is told why."""
        if refusal is Reason.NOT_AUTHORIZED or refusal is Reason.TOPIC_NAME_INVALID:
            self._tally.denied += 1
            if not route.topic.startswith("$"):  # bridges publish there unasked
                self._core.reporter.denied(self._session.principal, "publish to", route.topic)
        else:
            self._tally.dropped += 1
        packet_id = published.packet_id
        was_taken = published.qos == 2 and self._session.is_noted(packet_id)
        if not self._version.has_reasons or was_taken:
            self._answer(published, is_recorded=False)
        elif published.qos:
            if published.qos == 2:
                self._session.give_back(packet_id)
            kind = PUBACK if published.qos == 1 else PUBREC
            packet = self._version.encode_ack(kind, packet_id, refusal)
            self._handover.answers.send_in_turn(packet)

    def _message(self, route: _Route, published: Publication) -> Message:
        expiry_s = published.expiry_s
        expires_at_ms = 0 if expiry_s is None else self._core.clock.now_ms() + expiry_s * 1_000
        return Message(
            route.topic,
            published.payload,
            published.qos,
            published.is_retained,
            published.properties,
            expires_at_ms,
        )


@lru_cache(maxsize=_CUTS_MAX)
def _cut(head: int, between: int, payload: int) -> Callable[[bytes, int], tuple[bytes, ...]]:
    """Return what parts a packet at some place into its head, packet id and payload, of given sizes."""
    return struct.Struct(f"{head}s2s{between - 2}x{payload}s").unpack_from
