"""MQTT 5 packets. One `Mqtt5` belongs to one connection: it knows its limits and topic aliases."""

from collections.abc import Sequence
from typing import Final

from gateway.broker.changes import Delivery
from gateway.broker.codec.packets import Connect, Disconnect, Subscribe, Unsubscribe, Welcome
from gateway.broker.codec.properties import (
    IN_ACK,
    IN_DISCONNECT,
    IN_SUBSCRIBE,
    IN_UNSUBSCRIBE,
    Property,
    decode_properties,
    encode_properties,
    encode_property,
)
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import (
    SHARED_PREFIX,
    MalformedPacketError,
    decode_topic_filter,
)
from gateway.broker.codec.wire import (
    CONNACK,
    DISCONNECT,
    PUBLISH,
    SUBACK,
    UNSUBACK,
    Fields,
    check_filter_count,
    decode_filters,
    encode_blob,
    encode_frame,
    encode_length,
    nonzero_packet_id,
)
from gateway.broker.message import Message, Subscription

OUTGOING_ALIASES_MAX: Final = 16  # topics of one client that are worth a table; it asks for them
_DUP: Final = 0x08
_NO_REASON_BYTES: Final = 2  # an acknowledgement of nothing but a packet id means success
_NO_PROPERTIES_BYTES: Final = 3
_OPTIONS_RESERVED: Final = 0xC0
_WELCOME_DEFAULTS: Final = {Property.RECEIVE_MAXIMUM: 65_535, Property.TOPIC_ALIAS_MAXIMUM: 0}


class PublishParts:
    """PUBLISH encoded once for all MQTT 5 clients that get a message in the same form."""

    def __init__(self) -> None:
        self._message: Message | None = None
        self._parts: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def get(self, delivery: Delivery, flags: int, expiry_s: int) -> tuple[bytes, bytes]:
        """Return what comes before and after the packet id; at QoS 0, the whole and nothing."""
        message = delivery.message
        if message is not self._message:
            self._message, self._parts = message, {}
        parts = self._parts.get((flags, expiry_s))
        if parts is None:
            properties = _encode_message_properties(message, expiry_s)
            parts = _encode_parts(delivery, flags, message.topic, properties)
            self._parts[flags, expiry_s] = parts
        return parts


class Mqtt5:
    """The `Version` of a client of level 5."""

    has_reasons = True

    def __init__(self, connect: Connect, parts: PublishParts) -> None:
        self._parts = parts
        self._packet_bytes_max = connect.packet_bytes_max
        self._has_details = connect.wants_problem_information
        self._aliases_max = min(connect.topic_alias_max, OUTGOING_ALIASES_MAX)
        self._aliases: dict[str, int] = {}

    def decode_ack(self, body: bytes) -> tuple[int, int]:
        """Return packet id and reason; what follows may be left out (section 3.4.2.1)."""
        if len(body) == _NO_REASON_BYTES:
            return nonzero_packet_id(body[0] << 8 | body[1]), Reason.SUCCESS
        fields = Fields(body)
        packet_id = nonzero_packet_id(fields.word())
        reason = fields.byte()
        if fields.has_more():
            decode_properties(fields, IN_ACK)
        fields.finish()
        return packet_id, reason

    def decode_subscribe(self, body: bytes, filters_max: int) -> Subscribe:
        """Decode SUBSCRIBE with its options (section 3.8.3.1)."""
        fields = Fields(body)
        packet_id = nonzero_packet_id(fields.word())
        properties = decode_properties(fields, IN_SUBSCRIBE)
        identifier = properties.number(Property.SUBSCRIPTION_IDENTIFIER, 0)
        asked: list[tuple[str, Subscription]] = []
        while fields.has_more():
            topic_filter = decode_topic_filter(fields.blob())
            asked.append((topic_filter, _decode_options(fields.byte(), identifier, topic_filter)))
            check_filter_count(len(asked), filters_max)
        if not asked:
            raise MalformedPacketError(
                "SUBSCRIBE without a topic filter [MQTT-3.8.3-2]", Reason.PROTOCOL_ERROR
            )
        return Subscribe(packet_id, tuple(asked))

    def decode_unsubscribe(self, body: bytes, filters_max: int) -> Unsubscribe:
        """Decode UNSUBSCRIBE."""
        fields = Fields(body)
        packet_id = nonzero_packet_id(fields.word())
        decode_properties(fields, IN_UNSUBSCRIBE)
        return Unsubscribe(packet_id, decode_filters(fields, filters_max))

    def decode_disconnect(self, body: bytes) -> Disconnect:
        """Decode DISCONNECT; an empty one is normal."""
        if not body:
            return Disconnect()
        fields = Fields(body)
        reason = fields.byte()
        expiry_s: int | None = None
        if fields.has_more():
            properties = decode_properties(fields, IN_DISCONNECT)
            if Property.SESSION_EXPIRY in properties.values:
                expiry_s = properties.number(Property.SESSION_EXPIRY, 0)
        fields.finish()
        return Disconnect(reason, expiry_s)

    def encode_welcome(self, welcome: Welcome) -> bytes:
        """Encode CONNACK with the limits that were negotiated (section 3.2.2.3)."""
        told: list[tuple[Property, int | str | None]] = [
            (Property.SESSION_EXPIRY, welcome.expiry_s),
            (Property.RECEIVE_MAXIMUM, welcome.receive_max),
            (Property.MAXIMUM_PACKET_SIZE, welcome.packet_bytes_max),
            (Property.ASSIGNED_CLIENT_ID, welcome.assigned_client_id or None),
            (Property.TOPIC_ALIAS_MAXIMUM, welcome.topic_alias_max),
            (Property.SERVER_KEEP_ALIVE, welcome.keep_alive_s),
            (Property.RESPONSE_INFORMATION, welcome.response_information or None),
        ]
        encoded = b"".join(
            encode_property(identifier, value)
            for identifier, value in told
            if value is not None and value != _WELCOME_DEFAULTS.get(identifier)
        )
        flags = int(welcome.is_session_present)
        return encode_frame(CONNACK, bytes((flags, Reason.SUCCESS)) + encode_properties(encoded))

    def encode_refusal(self, reason: Reason) -> bytes:
        """Encode CONNACK; a refusal never tells of a session [MQTT-3.2.2-6]."""
        return encode_frame(CONNACK, bytes((0, reason, 0)))

    def encode_suback(self, packet_id: int, results: Sequence[int]) -> bytes:
        """Encode SUBACK with one reason per filter, in order [MQTT-3.9.3-1]."""
        return encode_frame(SUBACK, packet_id.to_bytes(2, "big") + b"\0" + bytes(results))

    def encode_unsuback(self, packet_id: int, results: Sequence[Reason]) -> bytes:
        """Encode UNSUBACK with one reason per filter, in order [MQTT-3.11.3-1]."""
        return encode_frame(UNSUBACK, packet_id.to_bytes(2, "big") + b"\0" + bytes(results))

    def encode_ack(self, kind: int, packet_id: int, reason: Reason, detail: str = "") -> bytes:
        """Encode an acknowledgement; `detail` is told where the client wants it and takes it."""
        body = packet_id.to_bytes(2, "big")
        if reason is Reason.SUCCESS:
            return encode_frame(kind, body)
        if detail and self._has_details:
            told = encode_properties(encode_property(Property.REASON_STRING, detail))
            packet = encode_frame(kind, body + bytes((reason,)) + told)
            if not self._is_too_large(packet):  # [MQTT-3.4.2-2]
                return packet
        return encode_frame(kind, body + bytes((reason,)))

    def encode_farewell(self, reason: Reason) -> bytes:
        """Encode DISCONNECT."""
        return encode_frame(DISCONNECT, bytes((reason,)))

    def encode_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bytes:
        """Encode PUBLISH; b"" when the client takes no packet as long [MQTT-3.1.2-24]."""
        message, qos = delivery.message, delivery.qos
        flags = is_dup * _DUP | qos << 1 | delivery.is_retained
        # What is left of the expiry, rounded up: it was not over when this was handed out.
        expiry_s = max(1, -((now_ms - message.expires_at_ms) // 1_000)) * bool(
            message.expires_at_ms
        )
        if delivery.subscription_ids or self._aliases_max:
            head, tail = self._encode_own(delivery, flags, expiry_s)
        else:
            head, tail = self._parts.get(delivery, flags, expiry_s)
        packet = head + delivery.packet_id.to_bytes(2, "big") + tail if qos else head
        return b"" if self._is_too_large(packet) else packet

    def _encode_own(self, delivery: Delivery, flags: int, expiry_s: int) -> tuple[bytes, bytes]:
        """Encode what only this client gets: its subscription identifiers and topic aliases."""
        message = delivery.message
        properties = _encode_message_properties(message, expiry_s)
        for identifier in delivery.subscription_ids:
            properties += encode_property(Property.SUBSCRIPTION_IDENTIFIER, identifier)
        alias = self._aliases.get(message.topic, 0)
        topic = "" if alias else message.topic
        is_new = not alias and len(self._aliases) < self._aliases_max
        if is_new:
            alias = len(self._aliases) + 1
        if not alias:
            return _encode_parts(delivery, flags, topic, properties)
        with_alias = properties + encode_property(Property.TOPIC_ALIAS, alias)
        head, tail = _encode_parts(delivery, flags, topic, with_alias)
        # One that is not sent after all must not be used later: the client never saw it.
        if is_new and not self._is_too_large(head + b"\0\0" * (delivery.qos > 0) + tail):
            self._aliases[message.topic] = alias
        return head, tail

    def _is_too_large(self, packet: bytes) -> bool:
        return 0 < self._packet_bytes_max < len(packet)


def _decode_options(options: int, identifier: int, topic_filter: str) -> Subscription:
    qos, retain_handling = options & 3, options >> 4 & 3
    if options & _OPTIONS_RESERVED:
        raise MalformedPacketError("reserved bits in subscription options [MQTT-3.8.3-5]")
    if qos == 3 or retain_handling == 3:
        raise MalformedPacketError("subscription options out of range", Reason.PROTOCOL_ERROR)
    is_no_local = bool(options & 4)
    if is_no_local and topic_filter.startswith(SHARED_PREFIX):
        raise MalformedPacketError(
            "no local on a shared subscription [MQTT-3.8.3-4]", Reason.PROTOCOL_ERROR
        )
    return Subscription(qos, is_no_local, bool(options & 8), retain_handling, identifier)


def _encode_message_properties(message: Message, expiry_s: int) -> bytes:
    if not expiry_s:
        return message.properties
    return encode_property(Property.MESSAGE_EXPIRY, expiry_s) + message.properties


def _encode_parts(
    delivery: Delivery, flags: int, topic: str, properties: bytes
) -> tuple[bytes, bytes]:
    payload, qos = delivery.message.payload, delivery.qos
    name = encode_blob(topic.encode())
    rest = encode_properties(properties) + payload
    length = len(name) + len(rest) + (2 if qos else 0)
    head = bytes((PUBLISH << 4 | flags,)) + encode_length(length) + name
    return (head, rest) if qos else (head + rest, b"")
