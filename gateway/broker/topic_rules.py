"""What may be a topic name, a topic filter or a string (MQTT 3.1.1 sections 1.5.3 and 4.7)."""

from gateway.broker.settings import TOPIC_BYTES_MAX, TOPIC_LEVELS_MAX


class MalformedPacketError(Exception):
    """A packet that MQTT 3.1.1 forbids; its connection is closed and no other is touched."""


def decode_text(raw: bytes) -> str:
    """Return an MQTT string; ill-formed UTF-8 or U+0000 is malformed [MQTT-1.5.3-1, 1.5.3-2]."""
    if 0 in raw:
        raise MalformedPacketError("a string holds the null character")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedPacketError("a string is not well-formed UTF-8") from error


def is_topic_name(topic: str) -> bool:
    """Tell whether a string may be published to: not empty and without wildcards."""
    return bool(topic) and "+" not in topic and "#" not in topic


def decode_topic_name(raw: bytes) -> str:
    """Return a topic to publish to: not empty, no wildcards [MQTT-3.3.2-2, 4.7.3-1]."""
    topic = decode_text(raw)
    if not is_topic_name(topic):
        raise MalformedPacketError("a topic name is empty or holds a wildcard")
    return topic


def decode_topic_filter(raw: bytes) -> str:
    """Return a filter whose wildcards stand alone, `#` last [MQTT-4.7.1-2, 4.7.1-3, 4.7.3-1]."""
    topic_filter = decode_text(raw)
    levels = topic_filter.split("/")
    if not topic_filter or "#" in levels[:-1]:
        raise MalformedPacketError("a topic filter is empty or holds # before its last level")
    if any(len(level) > 1 and ("+" in level or "#" in level) for level in levels):
        raise MalformedPacketError("a wildcard shares its level with other characters")
    return topic_filter


def is_within_limits(topic: str) -> bool:
    """Tell whether a name or filter is short and flat enough to be routed here."""
    return len(topic.encode()) <= TOPIC_BYTES_MAX and topic.count("/") < TOPIC_LEVELS_MAX
