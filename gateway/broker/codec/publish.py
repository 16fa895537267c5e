"""PUBLISH from a client, cut where it lies in the bytes that came: the busy path (section 3.3)."""

import msgspec

from gateway.broker.codec.properties import (
    IN_PUBLISH,
    Property,
    decode_properties,
)
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import MalformedPacketError
from gateway.broker.codec.wire import Fields, nonzero_packet_id


class Publication(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH packet. `raw_topic` is not checked yet; empty, `topic_alias` stands for it."""

    raw_topic: bytes
    payload: bytes
    qos: int
    is_retained: bool
    packet_id: int
    properties: bytes = b""
    expiry_s: int | None = None
    topic_alias: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether it is a QoS 1 message and nothing more."""
        return (
            self.qos == 1
            and not self.is_retained
            and not self.properties
            and self.expiry_s is None
            and not self.topic_alias
        )


def decode_publish(
    first: int, data: bytes, start: int, end: int, *, has_properties: bool
) -> Publication:
    """Decode the PUBLISH with the fixed header `first` and its body between `start` and `end`."""
    qos = first >> 1 & 3
    topic_start = start + 2
    if topic_start > end:
        raise MalformedPacketError("PUBLISH is cut short")
    topic_end = topic_start + (data[start] << 8 | data[start + 1])
    position = topic_end + 2 if qos else topic_end
    if position > end or qos == 3 or (qos == 0 and first & 8):
        raise MalformedPacketError("PUBLISH is cut short, or QoS and DUP contradict")
    packet_id = nonzero_packet_id(data[topic_end] << 8 | data[topic_end + 1]) if qos else 0
    raw_topic, is_retained = data[topic_start:topic_end], bool(first & 1)
    if not has_properties:
        return Publication(raw_topic, data[position:end], qos, is_retained, packet_id)
    fields = Fields(data, position, end)
    properties = decode_properties(fields, IN_PUBLISH)
    payload = data[fields.position : end]
    alias = properties.number(Property.TOPIC_ALIAS, 0)
    if not raw_topic and not alias:
        raise MalformedPacketError("neither a topic nor an alias", Reason.PROTOCOL_ERROR)
    has_expiry = Property.MESSAGE_EXPIRY in properties.values
    expiry_s = properties.number(Property.MESSAGE_EXPIRY, 0) if has_expiry else None
    return Publication(
        raw_topic,
        payload,
        qos,
        is_retained,
        packet_id,
        properties.forwarded,
        expiry_s,
        alias,
    )
