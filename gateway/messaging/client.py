"""Asking over MQTT: how the command line and the ledger reach each other through the broker.

A request is one JSON object on `.../<service>/request/<verb>`, its `transaction` names it; the
response on `.../response/<verb>` carries the same `transaction`, and an `error` where it failed.
Bytes travel as hexadecimal text. This is the only module that knows paho-mqtt; it blocks and uses
threads, which suits commands and the ledger process.
"""

import logging
import secrets
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gateway.errors import MessagingError
from gateway.model import topics

_log = logging.getLogger(__name__)

Service = Literal["ledger", "bridge"]

PAYLOAD_BYTES_MAX = 255 * 1024  # with its topic it fits the broker's packet limit
_CONNECT_TIMEOUT_S = 5.0
_KEEP_ALIVE_S = 30
_RECONNECT_MAX_S = 4  # the broker is on this machine: whoever waits longer is the last to be back
_QUEUED_MESSAGES_MAX = 100  # more than a service answers at once; kept while the broker is away


@dataclass(frozen=True, slots=True)
class MqttLogin:
    """Where the gateway's broker is, and as whom to speak to it."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    gateway: str
    client_id: str
    tls: ssl.SSLContext | None = None


class _Client(Client):
    """A paho client that tells whether its thread has died."""

    has_died = False

    def loop_forever(
        self, timeout: float = 1.0, retry_first_connection: bool = False
    ) -> MQTTErrorCode:
        """Run the thread of `loop_start`; an exception, which nobody would see there, is logged."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception:  # noqa: BLE001 - whatever ends the thread must be seen from outside
            self.has_died = True
            _log.exception(
                "the MQTT connection died; only a restart of this process brings it back"
            )
            return MQTTErrorCode.MQTT_ERR_UNKNOWN


class MqttConnection:
    """One paho client with its thread; subscribes again after each reconnect.

    What the broker had retained is not delivered: a request or a response is for the moment, and
    one that was retained would come again at each connection.
    """

    def __init__(self, login: MqttLogin, on_message: Callable[[str, bytes], None]) -> None:
        self.login = login
        self._on_message_callback = on_message
        self._on_ready: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._answered = threading.Event()  # CONNACK came, or the attempt failed
        self._failure: str | None = None
        self._filters: dict[str, Future[None]] = {}
        self._subscribing: dict[int, str] = {}
        self._newest: dict[str, bytes] = {}
        self._is_connected = False
        self._is_ready = False  # connected, and all that was subscribed to is granted or refused
        self._client = _Client(
            CallbackAPIVersion.VERSION2, login.client_id, protocol=MQTTProtocolVersion.MQTTv311
        )
        if login.username:
            self._client.username_pw_set(login.username, login.password)
        if login.tls is not None:
            self._client.tls_set_context(login.tls)
        self._client.connect_timeout = _CONNECT_TIMEOUT_S
        self._client.reconnect_delay_set(1, _RECONNECT_MAX_S)
        self._client.max_queued_messages_set(_QUEUED_MESSAGES_MAX)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    @property
    def is_alive(self) -> bool:
        """False once the thread died: there will be no connection any more."""
        return not self._client.has_died

    def open(self) -> None:
        """Connect and wait for the broker's answer. Raises `MessagingError`."""
        login = self.login
        try:
            self._client.connect(login.host, login.port, _KEEP_ALIVE_S)
        except OSError as error:
            raise MessagingError(
                f"cannot reach the gateway's broker at {login.host}:{login.port} ({error}); "
                "is `smartshare gateway` running?"
            ) from error
        self._client.loop_start()
        if not self._answered.wait(_CONNECT_TIMEOUT_S) or self._failure is not None:
            failure = self._failure or "it did not answer"
            self.close()
            raise MessagingError(
                f"the broker at {login.host}:{login.port} did not let {login.username} in: {failure}"
            )

    def keep_open(self, on_ready: Callable[[], None]) -> None:
        """Connect in the background, again and again.

        `on_ready` follows each success, once the broker has answered all subscriptions.
        """
        self._on_ready = on_ready
        self._client.connect_async(self.login.host, self.login.port, _KEEP_ALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect and end the thread; not to be called from a callback."""
        self._client.disconnect()
        self._client.loop_stop()

    def subscribe(self, topic_filter: str) -> "Future[None]":
        """Subscribe now and after each reconnect; the future fails where the broker refuses."""
        with self._lock:
            granted = self._filters.get(topic_filter)
            if granted is None:
                granted = self._filters[topic_filter] = Future()
                self._send_subscribe(topic_filter)
        return granted

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand a message at QoS 1 to paho's queue; False when it is full or there is no connection."""
        info = self._client.publish(topic, payload, qos=1)
        return info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS

    def publish_newest(self, topic: str, payload: bytes) -> None:
        """Retain a topic's newest value, now and after each reconnect; older ones never wait.

        At QoS 0: it is told again, so the broker need not commit each value before it answers.
        """
        with self._lock:
            self._newest[topic] = payload
            if self._is_connected:
                self._client.publish(topic, payload, qos=0, retain=True)

    def _send_subscribe(self, topic_filter: str) -> None:
        result, message_id = self._client.subscribe(topic_filter, qos=1)
        if result == MQTTErrorCode.MQTT_ERR_SUCCESS and message_id is not None:
            self._subscribing[message_id] = topic_filter

    def _on_connect(
        self,
        _client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            if self._failure is None:
                _log.warning("the broker refused %s: %s", self.login.username, reason)
            self._failure = f"{reason}; check the user's password file"
        else:
            self._failure = None
            with self._lock:
                self._subscribing.clear()
                for topic_filter in self._filters:
                    self._send_subscribe(topic_filter)
                for topic, payload in self._newest.items():
                    self._client.publish(topic, payload, qos=0, retain=True)
                self._is_connected = True
                self._is_ready = False
            self._tell_when_ready()
        self._answered.set()

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        with self._lock:
            self._is_connected = False
        if reason.is_failure and not flags.is_disconnect_packet_from_server:
            _log.info("the connection to the broker was lost (%s); paho connects again", reason)

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        message_id: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        self._settle(message_id, reasons)
        self._tell_when_ready()

    def _tell_when_ready(self) -> None:
        with self._lock:
            if self._is_ready or self._subscribing:
                return
            self._is_ready = True
        self._on_ready()

    def _settle(self, message_id: int, reasons: list[ReasonCode]) -> None:
        with self._lock:
            topic_filter = self._subscribing.pop(message_id, None)
            granted = self._filters.get(topic_filter) if topic_filter else None
        if topic_filter is None or granted is None or granted.done():
            return
        if any(reason.is_failure for reason in reasons):
            with self._lock:
                del self._filters[topic_filter]
            granted.set_exception(
                MessagingError(f"{self.login.username} may not subscribe to {topic_filter}")
            )
        else:
            granted.set_result(None)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.retain:
            return
        try:
            self._on_message_callback(message.topic, bytes(message.payload))
        except Exception:  # noqa: BLE001 - what left here would end paho's thread for good
            _log.exception("a message from the broker was dropped")


class RpcClient:
    """Asks the gateway or the ledger. A context manager: connected inside the `with` block."""

    def __init__(self, login: MqttLogin) -> None:
        self._connection = MqttConnection(login, self._on_message)
        self._gateway = login.gateway
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[dict[str, Any]]] = {}

    def __enter__(self) -> Self:
        """Connect. Raises `MessagingError` with one line that says what to do."""
        self._connection.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        self._connection.close()

    def call(
        self, service: Service, verb: str, body: dict[str, Any], timeout_s: float = 10.0
    ) -> dict[str, Any]:
        """Return the response without its transaction id.

        Raises `MessagingError` where there is no answer in time, or the answer is an error.
        """
        transaction = secrets.token_hex(8)
        payload = msgspec.json.encode({**body, "transaction": transaction})
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise MessagingError(
                f"the request {service}/{verb} has {len(payload)} bytes; "
                f"at most {PAYLOAD_BYTES_MAX} can be sent"
            )
        answer: Future[dict[str, Any]] = Future()
        with self._lock:
            self._waiting[transaction] = answer
        try:
            granted = self._connection.subscribe(topics.response(self._gateway, service, verb))
            granted.result(timeout_s)
            self._connection.publish(topics.request(self._gateway, service, verb), payload)
            response = answer.result(timeout_s)
        except TimeoutError as error:
            raise MessagingError(
                f"no answer to {service}/{verb} within {timeout_s:g} s; is `smartshare "
                f"{'gateway' if service == 'bridge' else service}` running?"
            ) from error
        finally:
            with self._lock:
                del self._waiting[transaction]
        if "error" in response:
            raise MessagingError(str(response["error"]))
        return response

    def _on_message(self, topic: str, payload: bytes) -> None:
        response = parse_object(payload)
        transaction = response.pop("transaction", None) if response is not None else None
        with self._lock:
            answer = self._waiting.get(transaction) if isinstance(transaction, str) else None
            if answer is not None and response is not None and not answer.done():
                answer.set_result(response)
        if response is None:
            _log.warning("a response on %s is not a JSON object", topic)


def parse_object(payload: bytes) -> dict[str, Any] | None:
    """Return a payload's JSON object, or None for anything else."""
    try:
        return msgspec.json.decode(payload, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
