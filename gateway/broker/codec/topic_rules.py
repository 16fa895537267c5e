"""What may be a topic name, a topic filter or a string (MQTT sections 1.5.3, 4.7 and 4.8)."""

from typing import Final

from gateway.broker.codec.reasons import Reason

TOPIC_BYTES_MAX = 256  # the longest of ours is 90; foreign devices stay far below
TOPIC_LEVELS_MAX = 16  # bounds the work of one match

SHARED_PREFIX: Final = "$share/"


class MalformedPacketError(Exception):
    """A packet that MQTT forbids; its connection is closed and no other is touched."""

    def __init__(self, text: str, reason: Reason = Reason.MALFORMED_PACKET) -> None:
        super().__init__(text)
        self.reason = reason


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
    if topic_filter.startswith(SHARED_PREFIX):
        share = levels[1]
        if not share or "+" in share or "#" in share or levels[2:] in ([], [""]):
            raise MalformedPacketError(
                "a shared subscription without name or filter [MQTT-4.8.2-1, 4.8.2-2]",
                Reason.PROTOCOL_ERROR,
            )
    return topic_filter


def split_shared(topic_filter: str) -> tuple[str, str]:
    """Return the share's name, "" for a subscription that is not shared, and what it matches."""
    if not topic_filter.startswith(SHARED_PREFIX):
        return "", topic_filter
    _, share, shared_filter = topic_filter.split("/", 2)
    return share, shared_filter


def is_within_limits(topic: str) -> bool:
    """Tell whether a name or filter is short and flat enough to be routed here."""
    return len(topic.encode()) <= TOPIC_BYTES_MAX and topic.count("/") < TOPIC_LEVELS_MAX
