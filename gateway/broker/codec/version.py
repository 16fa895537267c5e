"""What the two versions of the protocol have in common, seen from a connection."""

from collections.abc import Sequence
from typing import Protocol

from gateway.broker.changes import Delivery
from gateway.broker.codec.packets import Disconnect, Subscribe, Unsubscribe, Welcome
from gateway.broker.codec.reasons import Reason


class Version(Protocol):
    """Decodes and encodes the packets of one connection."""

    @property
    def has_reasons(self) -> bool:
        """Whether acknowledgements can say that something was refused."""
        ...

    def decode_ack(self, body: bytes) -> tuple[int, int]:
        """Return packet id and reason of PUBACK, PUBREC, PUBREL or PUBCOMP."""
        ...

    def decode_subscribe(self, body: bytes, filters_max: int) -> Subscribe:
        """Decode SUBSCRIBE with 1 to `filters_max` filters."""
        ...

    def decode_unsubscribe(self, body: bytes, filters_max: int) -> Unsubscribe:
        """Decode UNSUBSCRIBE with 1 to `filters_max` filters."""
        ...

    def decode_disconnect(self, body: bytes) -> Disconnect:
        """Decode DISCONNECT."""
        ...

    def encode_welcome(self, welcome: Welcome) -> bytes:
        """Encode CONNACK for a session that is open."""
        ...

    def encode_refusal(self, reason: Reason) -> bytes:
        """Encode CONNACK for a client that is not let in."""
        ...

    def encode_suback(self, packet_id: int, results: Sequence[int]) -> bytes:
        """Encode SUBACK: for each filter, in order, the granted QoS or a reason."""
        ...

    def encode_unsuback(self, packet_id: int, results: Sequence[Reason]) -> bytes:
        """Encode UNSUBACK."""
        ...

    def encode_ack(self, kind: int, packet_id: int, reason: Reason, detail: str = "") -> bytes:
        """Encode PUBACK, PUBREC, PUBREL or PUBCOMP."""
        ...

    def encode_farewell(self, reason: Reason) -> bytes:
        """Encode DISCONNECT, b"" where a server has none."""
        ...

    def encode_publish(self, delivery: Delivery, now_ms: int, *, is_dup: bool) -> bytes:
        """Encode PUBLISH; b"" when the client takes no packet as long."""
        ...
