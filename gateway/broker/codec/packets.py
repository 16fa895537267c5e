"""Packets from clients, decoded; one shape for both versions of the protocol."""

from typing import Final

import msgspec

from gateway.broker.codec.reasons import Reason
from gateway.broker.message import Subscription

MQTT_3_1_1: Final = 4  # protocol levels
MQTT_5: Final = 5
FOREVER_S: Final = 0xFFFFFFFF  # a session that never expires
RECEIVE_MAX_DEFAULT: Final = 65_535


class Will(msgspec.Struct, frozen=True, gc=False):
    """What to publish when a connection ends without DISCONNECT.

    `expiry_s` counts from the publication; None means that the message never expires.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: bytes = b""
    expiry_s: int | None = None
    delay_s: int = 0


class Connect(msgspec.Struct, frozen=True):
    """A CONNECT packet. `level` other than 4 and 5 leaves the other fields empty.

    `expiry_s` is how long the session outlives its connection: MQTT 3.1.1 knows never and for ever.
    `packet_bytes_max` 0 means that the client sets no limit. A bridge of MQTT 3.1.1 wants what MQTT 5
    calls no local and retain as published.
    """

    level: int
    client_id: str = ""
    is_clean: bool = True
    keep_alive_s: int = 0
    username: str = ""
    password: bytes = b""
    will: Will | None = None
    expiry_s: int = 0
    receive_max: int = RECEIVE_MAX_DEFAULT
    packet_bytes_max: int = 0
    topic_alias_max: int = 0
    wants_problem_information: bool = True
    wants_response_information: bool = False
    authentication_method: str = ""
    is_bridge: bool = False

    def __repr__(self) -> str:
        """Leave the password out: representations end up in logs."""
        return f"Connect(client_id={self.client_id!r}, username={self.username!r})"


class Subscribe(msgspec.Struct, frozen=True):
    """A SUBSCRIBE packet: filters with their options, in order, possibly one more than once."""

    packet_id: int
    asked: tuple[tuple[str, Subscription], ...]


class Unsubscribe(msgspec.Struct, frozen=True):
    """An UNSUBSCRIBE packet."""

    packet_id: int
    filters: tuple[str, ...]


class Disconnect(msgspec.Struct, frozen=True):
    """A DISCONNECT packet. `expiry_s` None leaves the session's expiry as it was."""

    reason: int = Reason.SUCCESS
    expiry_s: int | None = None


class Welcome(msgspec.Struct, frozen=True):
    """What CONNACK tells a client whose session is open. `None` and "" are left out."""

    is_session_present: bool
    receive_max: int
    packet_bytes_max: int
    topic_alias_max: int
    assigned_client_id: str = ""
    expiry_s: int | None = None
    keep_alive_s: int | None = None
    response_information: str = ""
