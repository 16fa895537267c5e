"""MQTT 5 packets, written here byte by byte and not by the broker's codec."""


def varint(value: int) -> bytes:
    encoded = b""
    while True:
        value, low = value >> 7, value & 0x7F
        encoded += bytes((low | (0x80 if value else 0),))
        if not value:
            return encoded


def blob(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def frame(first: int, body: bytes) -> bytes:
    return bytes((first,)) + varint(len(body)) + body


def properties(*encoded: bytes) -> bytes:
    joined = b"".join(encoded)
    return varint(len(joined)) + joined


def byte(identifier: int, value: int) -> bytes:
    return bytes((identifier, value))


def word(identifier: int, value: int) -> bytes:
    return bytes((identifier,)) + value.to_bytes(2, "big")


def long(identifier: int, value: int) -> bytes:
    return bytes((identifier,)) + value.to_bytes(4, "big")


def text(identifier: int, value: str | bytes) -> bytes:
    return bytes((identifier,)) + blob(value)


def user(key: str, value: str) -> bytes:
    return b"\x26" + blob(key) + blob(value)


def connect(
    client_id: str = "c",
    *encoded: bytes,
    clean: bool = True,
    keep_alive: int = 0,
    will: tuple[str, str] | None = None,
    will_properties: bytes = b"\0",
    flags: int = 0,
    tail: bytes = b"",
) -> bytes:
    flags |= (2 if clean else 0) | (0x04 if will else 0)
    body = blob("MQTT") + bytes((5, flags)) + keep_alive.to_bytes(2, "big")
    body += properties(*encoded) + blob(client_id)
    if will:
        body += will_properties + blob(will[0]) + blob(will[1])
    return frame(0x10, body + tail)


def publish(
    topic: str, payload: bytes, *encoded: bytes, qos: int = 0, packet_id: int = 1, flags: int = 0
) -> bytes:
    body = blob(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
    return frame(0x30 | qos << 1 | flags, body + properties(*encoded) + payload)


def subscribe(topic_filter: str, options: int, *encoded: bytes, packet_id: int = 1) -> bytes:
    body = packet_id.to_bytes(2, "big") + properties(*encoded) + blob(topic_filter)
    return frame(0x82, body + bytes((options,)))


def unsubscribe(*filters: str, packet_id: int = 1) -> bytes:
    return frame(0xA2, packet_id.to_bytes(2, "big") + b"\0" + b"".join(blob(f) for f in filters))


def ack(kind: int, packet_id: int, reason: int | None = None) -> bytes:
    flags = 2 if kind == 6 else 0
    tail = b"" if reason is None else bytes((reason,))
    return frame(kind << 4 | flags, packet_id.to_bytes(2, "big") + tail)


def disconnect(reason: int = 0, *encoded: bytes) -> bytes:
    return frame(0xE0, bytes((reason,)) + (properties(*encoded) if encoded else b""))
