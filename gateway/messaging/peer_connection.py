"""One connection to another node's listener, over paho-mqtt: made once, never remade.

paho runs a thread of its own; whoever uses this gets called there and must hand over to its event loop.
What waits to be sent is bounded in bytes: a slow peer loses messages, it does not cost memory.
"""

import logging
import ssl
import threading
from dataclasses import dataclass, field
from typing import Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ledger.crypto.hashing import sha256

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 5.0
_KEEP_ALIVE_S = 15  # a peer that went silent is noticed within 23 s also where TCP says nothing
_QUEUED_BYTES_MAX = 8 * 1024 * 1024  # some of the largest answers
_QUEUED_MESSAGES_MAX = 2_000


@dataclass(frozen=True, slots=True)
class PeerLogin:
    """Where to connect, and as whom. `will_topic` is published empty when we vanish."""

    host: str
    port: int
    client_id: str
    username: str
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None
    will_topic: str | None = None


class PeerConnectionEvents(Protocol):
    """What happens; called on paho's thread."""

    def on_open(self, channel: bytes | None) -> None:
        """The listener let us in. `channel` is the SHA-256 of its certificate, None without TLS."""
        ...

    def on_message(self, topic: str, payload: bytes) -> None:
        """A message came."""
        ...

    def on_closed(self, reason: str) -> None:
        """The connection ended, or never stood; said once."""
        ...


class PeerConnection:
    """Connects in the background; `close` ends it and its thread."""

    def __init__(
        self, login: PeerLogin, filters: tuple[str, ...], events: PeerConnectionEvents
    ) -> None:
        self._login = login
        self._filters = filters
        self._events = events
        # Never held while paho is called: paho calls back with locks of its own in its hands.
        self._lock = threading.Lock()
        self._queued: dict[int, int] = {}  # sizes by message id
        self._acknowledged_early: set[int] = set()  # before `publish` knew the message's id
        self._queued_bytes = 0
        self._is_closed = False
        self._client = _make_client(login)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish

    def open(self) -> None:
        """Begin to connect; the events tell what comes of it."""
        self._client.connect_async(self._login.host, self._login.port, _KEEP_ALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        """Say goodbye and end the thread; blocks for a moment, and not from an event."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> bool:
        """Send at QoS 1; False when too much waits already, or the connection is gone."""
        if self._queued_bytes + len(payload) > _QUEUED_BYTES_MAX:
            return False
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return False
        with self._lock:
            if info.mid in self._acknowledged_early:
                self._acknowledged_early.discard(info.mid)
            else:
                self._queued[info.mid] = len(payload)
                self._queued_bytes += len(payload)
        return True

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._end(f"refused: {reason}")
        else:
            client.subscribe([(topic_filter, 1) for topic_filter in self._filters])

    def _on_subscribe(
        self,
        client: Client,
        _userdata: object,
        _message_id: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._end("the listener refused a subscription")
            client.disconnect()
            return
        self._events.on_open(_channel_of(client.socket()))

    def _on_connect_fail(self, client: Client, _userdata: object) -> None:
        self._end("cannot be reached")
        client.disconnect()  # paho would try again for ever: `loop_forever` retries a first connection

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._end(f"closed: {reason}")

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            self._events.on_message(message.topic, bytes(message.payload))
        except Exception:  # noqa: BLE001 - what left here would end paho's thread for good
            _log.exception("a message of a peer was dropped")

    def _on_publish(
        self,
        _client: Client,
        _userdata: object,
        message_id: int,
        _reason: ReasonCode,
        _properties: Properties,
    ) -> None:
        with self._lock:
            size = self._queued.pop(message_id, None)
            if size is None:
                self._acknowledged_early.add(message_id)
            else:
                self._queued_bytes -= size

    def _end(self, reason: str) -> None:
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        self._events.on_closed(reason)


def _make_client(login: PeerLogin) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2,
        login.client_id,
        protocol=MQTTProtocolVersion.MQTTv311,
        reconnect_on_failure=False,
    )
    client.username_pw_set(login.username, login.password)
    client.connect_timeout = _CONNECT_TIMEOUT_S
    client.max_queued_messages_set(_QUEUED_MESSAGES_MAX)
    client.max_inflight_messages_set(200)  # beyond the round trips of a slow link
    if login.will_topic is not None:
        client.will_set(login.will_topic, b"", qos=1, retain=True)
    if login.tls is not None:
        client.tls_set_context(login.tls)
    return client


def peer_tls_context() -> ssl.SSLContext:
    """Return the context for listeners of peers, who make their certificates themselves.

    It verifies nothing: the handshake binds the peer's key to the certificate that was seen.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _channel_of(connected: object) -> bytes | None:
    """Return the RFC 5929 tls-server-end-point binding for certificates hashed by SHA-256."""
    if not isinstance(connected, ssl.SSLSocket):
        return None
    certificate = connected.getpeercert(binary_form=True)
    return None if certificate is None else sha256(certificate)
