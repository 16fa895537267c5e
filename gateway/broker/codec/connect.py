"""CONNECT, of both versions (section 3.1 of either standard)."""

from gateway.broker.codec.packets import (
    FOREVER_S,
    MQTT_3_1_1,
    MQTT_5,
    RECEIVE_MAX_DEFAULT,
    Connect,
    Will,
)
from gateway.broker.codec.properties import (
    IN_CONNECT,
    IN_WILL,
    NO_PROPERTIES,
    Properties,
    Property,
    decode_properties,
    has_utf8_format,
)
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.topic_rules import MalformedPacketError, decode_topic_name
from gateway.broker.codec.wire import Fields

_CLEAN = 0x02
_WILL = 0x04
_WILL_QOS = 0x18
_WILL_RETAIN = 0x20
_PASSWORD = 0x40
_USERNAME = 0x80
_BRIDGE = 0x80  # of the protocol level: mosquitto's bridges set it, outside of the standard


def decode_connect(body: bytes) -> Connect:
    """Decode a CONNECT body; one of another protocol level only tells its level."""
    fields = Fields(body)
    if fields.blob() != b"MQTT":
        raise MalformedPacketError("the protocol name is not MQTT")
    level = fields.byte()
    is_bridge = level == MQTT_3_1_1 | _BRIDGE
    level = MQTT_3_1_1 if is_bridge else level
    if level not in (MQTT_3_1_1, MQTT_5):
        return Connect(level)
    flags = fields.byte()
    _check_flags(flags, level)
    keep_alive_s = fields.word()
    is_clean = bool(flags & _CLEAN)
    properties = decode_properties(fields, IN_CONNECT) if level == MQTT_5 else NO_PROPERTIES
    if Property.AUTHENTICATION_DATA in properties.values and not properties.text(
        Property.AUTHENTICATION_METHOD
    ):
        raise MalformedPacketError("authentication data without method", Reason.PROTOCOL_ERROR)
    client_id = fields.text()
    will = _decode_will(fields, flags, level) if flags & _WILL else None
    username = fields.text() if flags & _USERNAME else ""
    password = fields.blob() if flags & _PASSWORD else b""
    fields.finish()
    default_expiry_s = 0 if is_clean or level == MQTT_5 else FOREVER_S
    return Connect(
        level=level,
        client_id=client_id,
        is_clean=is_clean,
        keep_alive_s=keep_alive_s,
        username=username,
        password=password,
        will=will,
        expiry_s=properties.number(Property.SESSION_EXPIRY, default_expiry_s),
        receive_max=properties.number(Property.RECEIVE_MAXIMUM, RECEIVE_MAX_DEFAULT),
        packet_bytes_max=properties.number(Property.MAXIMUM_PACKET_SIZE, 0),
        topic_alias_max=properties.number(Property.TOPIC_ALIAS_MAXIMUM, 0),
        wants_problem_information=_has_wish(properties, Property.REQUEST_PROBLEM_INFORMATION, 1),
        wants_response_information=_has_wish(properties, Property.REQUEST_RESPONSE_INFORMATION, 0),
        authentication_method=properties.text(Property.AUTHENTICATION_METHOD),
        is_bridge=is_bridge,
    )


def _has_wish(properties: Properties, wish: Property, default: int) -> bool:
    return bool(properties.number(wish, default))


def _check_flags(flags: int, level: int) -> None:
    if flags & 0x01:
        raise MalformedPacketError("CONNECT's reserved flag is set [MQTT-3.1.2-3]")
    if level == MQTT_3_1_1 and flags & _PASSWORD and not flags & _USERNAME:
        raise MalformedPacketError("a password without a user name [MQTT-3.1.2-22]")
    if flags & _WILL_QOS == _WILL_QOS or (not flags & _WILL and flags & (_WILL_QOS | _WILL_RETAIN)):
        raise MalformedPacketError("will flags contradict each other [MQTT-3.1.2-11..15]")


def _decode_will(fields: Fields, flags: int, level: int) -> Will:
    properties = decode_properties(fields, IN_WILL) if level == MQTT_5 else NO_PROPERTIES
    topic = decode_topic_name(fields.blob())
    payload = fields.blob()
    if has_utf8_format(properties.forwarded) and not is_utf8(payload):
        raise MalformedPacketError(
            "a will is not the UTF-8 it is said to be", Reason.PAYLOAD_FORMAT_INVALID
        )
    has_expiry = Property.MESSAGE_EXPIRY in properties.values
    return Will(
        topic=topic,
        payload=payload,
        qos=(flags & _WILL_QOS) >> 3,
        retain=bool(flags & _WILL_RETAIN),
        properties=properties.forwarded,
        expiry_s=properties.number(Property.MESSAGE_EXPIRY, 0) if has_expiry else None,
        delay_s=properties.number(Property.WILL_DELAY, 0),
    )


def is_utf8(payload: bytes) -> bool:
    """Tell whether a payload is the UTF-8 that its publisher calls it."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
