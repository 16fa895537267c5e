"""A session at an external broker: paho-mqtt in a thread of its own, events on the event loop.

Rule 1: a QoS 1 message is acknowledged when the caller says so, not when it was received.
Rule 2: events come in the order in which paho saw them; those of a connection end with `disconnected`.
Rule 3: a lost connection is made again for ever, with growing pauses; the session is kept by the
broker meanwhile.
"""

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

_log = logging.getLogger(__name__)

_CONNECT_TIMEOUT_S = 10.0
_KEEP_ALIVE_S = 30
_PAUSE_MIN_S = 1
_PAUSE_MAX_S = 30
_QUEUED_MESSAGES_MAX = 1_000  # of ours, kept while the broker is away


@dataclass(frozen=True, slots=True)
class ClusterLogin:
    """Where the external broker is, and as whom to speak to it."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class ClusterMessage:
    """A message as it came; `packet_id` is 0 for QoS 0."""

    topic: str
    payload: bytes
    packet_id: int
    is_dup: bool
    is_retained: bool


class ClusterEvents(Protocol):
    """What the event loop is told."""

    def connected(self, *, is_resumed: bool) -> None:
        """A connection stands; `is_resumed` when the broker kept the session."""
        ...

    def disconnected(self, reason: str) -> None:
        """The connection is over, or could not be made."""
        ...

    def message(self, message: ClusterMessage) -> None:
        """A message came."""
        ...

    def published(self, message_id: int) -> None:
        """The broker has acknowledged one of ours."""
        ...


class _Client(Client):
    """A paho client whose thread goes on after an error in it."""

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """Run the thread of `loop_start`."""
        while True:
            try:
                return super().loop_forever(timeout, retry_first_connection)
            except Exception:  # noqa: BLE001 - whatever paho meets, the next connection may do better
                _log.exception("the connection to the external broker failed")
                time.sleep(_PAUSE_MIN_S)


class ClusterClient:
    """The paho client with its thread. Create and call it on the event loop's thread.

    The thread must be paho's own: only then does it leave all writing to it.
    """

    def __init__(self, login: ClusterLogin, events: ClusterEvents) -> None:
        self._login = login
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()  # the thread is started and ended by one caller at a time
        self._is_stopping = False
        self._restart: asyncio.Future[None] | None = None
        self._client = self._make_client(login)

    def start(self) -> None:
        """Connect in the background."""
        self._client.connect_async(self._login.host, self._login.port, _KEEP_ALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Disconnect and end the thread; it blocks until that is done."""
        with self._lock:
            self._is_stopping = True
            self._end()

    def drop_connection(self) -> None:
        """End this connection, so that the broker sends again what was not acknowledged."""
        self._restart = self._loop.run_in_executor(None, self._start_anew)

    def _start_anew(self) -> None:
        with self._lock:
            self._end()
            if not self._is_stopping:
                self.start()

    def _end(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def acknowledge(self, packet_id: int) -> None:
        """Send PUBACK, if there is a connection: paho would send it ahead of the next CONNECT."""
        if self._client.is_connected():
            self._client.ack(packet_id, 1)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Send a message at QoS 1; return its id, which `published` names later."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def subscribe(self, filters: Iterable[str]) -> None:
        """Subscribe at QoS 1."""
        asked = [(one, 1) for one in filters]
        if asked:
            self._client.subscribe(asked)

    def unsubscribe(self, filters: Iterable[str]) -> None:
        """Unsubscribe."""
        asked = list(filters)
        if asked:
            self._client.unsubscribe(asked)

    def _make_client(self, login: ClusterLogin) -> Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            login.client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        client.reconnect_delay_set(_PAUSE_MIN_S, _PAUSE_MAX_S)
        if login.username:
            client.username_pw_set(login.username, login.password)
        if login.tls is not None:
            client.tls_set_context(login.tls)
        client.connect_timeout = _CONNECT_TIMEOUT_S
        client.max_queued_messages_set(_QUEUED_MESSAGES_MAX)
        client.on_connect = self._on_connect
        client.on_connect_fail = lambda *_: self._tell(
            self._events.disconnected, "it cannot be reached"
        )
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        return client

    def _tell(self, event: Any, *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(event, *arguments)

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._tell(self._events.disconnected, f"it refused us: {reason}")
            return
        is_resumed = bool(flags.session_present)
        self._tell(lambda: self._events.connected(is_resumed=is_resumed))

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._tell(self._events.disconnected, str(reason))

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # no topic of ours; a broker that keeps to the standard never sends it
        came = ClusterMessage(
            topic,
            bytes(message.payload),
            message.mid if message.qos else 0,
            bool(message.dup),
            bool(message.retain),
        )
        self._tell(self._events.message, came)

    def _on_publish(
        self,
        _client: Client,
        _userdata: object,
        message_id: int,
        reason: ReasonCode,  # noqa: ARG002 - MQTT 3.1.1 has none
        _properties: Properties | None,
    ) -> None:
        self._tell(self._events.published, message_id)
