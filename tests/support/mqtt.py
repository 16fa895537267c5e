"""MQTT 3.1.1 packets as the broker writes them, for scripts of its own parts."""

from gateway.broker.changes import Delivery
from gateway.broker.codec.reasons import Reason
from gateway.broker.codec.v3 import Mqtt311
from gateway.broker.message import Message


def encode_publish(
    message: Message, qos: int, packet_id: int = 0, *, is_dup: bool = False
) -> bytes:
    delivery = Delivery(1, packet_id, message, qos, message.is_retained)
    return Mqtt311().encode_publish(delivery, 0, is_dup=is_dup)


def encode_ack(kind: int, packet_id: int) -> bytes:
    return Mqtt311().encode_ack(kind, packet_id, Reason.SUCCESS)
