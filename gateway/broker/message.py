"""An application message on its way through the broker, the same for every protocol version."""

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False):
    """What a publisher sent, as subscribers get it; `is_retained` is the RETAIN flag it came with.

    `properties` are MQTT 5 properties that travel unaltered (payload format, content type, response
    topic, correlation data, user properties), encoded and in their order [MQTT-3.3.2-17].
    `expires_at_ms` is Unix time, 0 for a message that never expires.
    """

    topic: str
    payload: bytes
    qos: int
    is_retained: bool
    properties: bytes = b""
    expires_at_ms: int = 0


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """The options of one subscription; MQTT 3.1.1 has only the QoS. `identifier` 0 means none."""

    qos: int
    is_no_local: bool = False
    is_retain_as_published: bool = False
    retain_handling: int = 0
    identifier: int = 0
