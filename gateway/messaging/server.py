"""Answering requests over MQTT: how a service of Smartshare is reached by the others.

Every request gets one response, also where it is malformed, unknown or fails; handlers run in
threads, and what waits for them is bounded.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import msgspec

from gateway.errors import GatewayError
from gateway.messaging.client import (
    PAYLOAD_BYTES_MAX,
    MqttConnection,
    MqttLogin,
    Service,
    parse_object,
)
from gateway.model import topics
from ledger.errors import LedgerError

_log = logging.getLogger(__name__)

Handler = Callable[[dict[str, Any]], dict[str, Any]]

_TRANSACTION_LENGTH_MAX = 64
_REQUESTS_AT_ONCE = 4
_REQUESTS_WAITING_MAX = 64  # beyond that a request is answered with an error at once
_TRANSACTIONS_REMEMBERED = 256  # QoS 1 may deliver a request twice; it is run once


class RpcServer:
    """Answers the requests of one service, and publishes for it; reconnects for ever.

    A handler gets the request without its transaction id, in a thread, and returns the response's
    fields; a `GatewayError` or `LedgerError` that it raises becomes the `error` of the response.
    """

    def __init__(
        self,
        login: MqttLogin,
        service: Service,
        handlers: Mapping[str, Handler],
        *,
        executor: Executor | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        self._gateway = login.gateway
        self._service = service
        self._handlers = dict(handlers)
        self._on_connect = on_connect
        self._executor = executor or ThreadPoolExecutor(_REQUESTS_AT_ONCE, f"rpc-{service}")
        self._owns_executor = executor is None
        self._lock = threading.Lock()
        self._waiting_count = 0
        self._is_stopping = False
        self._recent: OrderedDict[str, None] = OrderedDict()
        self._connection = MqttConnection(login, self._on_message)

    def start(self) -> None:
        """Begin to connect and to answer; returns at once."""
        self._connection.subscribe(topics.request(self._gateway, self._service, "+"))
        self._connection.keep_open(self._on_connect or (lambda: None))

    def stop(self) -> None:
        """End answering: running handlers finish, waiting requests are dropped."""
        with self._lock:
            self._is_stopping = True
        if self._owns_executor:
            self._executor.shutdown(wait=True, cancel_futures=True)
        self._connection.close()

    @property
    def is_alive(self) -> bool:
        """False once the connection's thread died: no request will be answered any more."""
        return self._connection.is_alive

    def publish_newest(self, topic: str, payload: bytes) -> None:
        """Retain a topic's newest value at the broker, now and after each reconnect."""
        self._connection.publish_newest(topic, payload)

    def _on_message(self, topic: str, payload: bytes) -> None:
        verb = topic.rsplit("/", 1)[-1]
        request = parse_object(payload)
        transaction = request.pop("transaction", None) if request is not None else None
        if request is None:
            self._respond(verb, None, {"error": "the request is not a JSON object"})
        elif (
            not isinstance(transaction, str) or not 0 < len(transaction) <= _TRANSACTION_LENGTH_MAX
        ):
            self._respond(verb, None, {"error": "the request has no `transaction` text of its own"})
        elif verb not in self._handlers:
            known = ", ".join(sorted(self._handlers))
            self._respond(
                verb, transaction, {"error": f"no such request: {verb}; there are {known}"}
            )
        elif self._is_new(transaction):
            self._submit(verb, transaction, request)

    def _is_new(self, transaction: str) -> bool:
        if transaction in self._recent:
            return False
        self._recent[transaction] = None
        if len(self._recent) > _TRANSACTIONS_REMEMBERED:
            self._recent.popitem(last=False)
        return True

    def _submit(self, verb: str, transaction: str, request: dict[str, Any]) -> None:
        job: Future[None] | None = None
        with self._lock:
            if not self._is_stopping and self._waiting_count < _REQUESTS_WAITING_MAX:
                self._waiting_count += 1
                job = self._executor.submit(self._answer, verb, transaction, request)
        if job is None:
            self._respond(verb, transaction, {"error": f"{self._service} is busy; try again"})
        else:
            job.add_done_callback(self._on_done)

    def _on_done(self, job: "Future[None]") -> None:
        with self._lock:
            self._waiting_count -= 1
        if not job.cancelled() and job.exception() is not None:
            _log.error(
                "%s: a response could not be encoded", self._service, exc_info=job.exception()
            )

    def _answer(self, verb: str, transaction: str, request: dict[str, Any]) -> None:
        try:
            response = self._handlers[verb](request)
        except (GatewayError, LedgerError) as error:
            response = {"error": str(error)}
        except Exception:  # noqa: BLE001 - a request that meets a bug must not end the service
            _log.exception("%s: the request %s failed", self._service, verb)
            response = {"error": f"{verb} failed inside {self._service}; its log says why"}
        self._respond(verb, transaction, response)

    def _respond(self, verb: str, transaction: str | None, response: dict[str, Any]) -> None:
        # A wildcard or an odd name in a verb could not be answered on a topic of its own.
        if not topics.is_name(verb):
            return
        payload = msgspec.json.encode({**response, "transaction": transaction})
        if len(payload) > PAYLOAD_BYTES_MAX:
            error = f"the response to {verb} has {len(payload)} bytes, too many to send"
            payload = msgspec.json.encode({"error": error, "transaction": transaction})
        self._connection.publish(topics.response(self._gateway, self._service, verb), payload)
