"""A started broker in a thread of its own, on asyncio and on uvloop; raw peers and paho clients."""

import asyncio
import contextlib
import queue
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
import uvloop
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from gateway.broker.broker import EmbeddedBroker
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.errors import AuthenticatorBusyError, SettingsError
from gateway.model.observation import DeviceMessage
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import DeviceMessages, TelemetrySource
from tests.support.broker_process import BrokerProcess, StartBroker as StartProcess
from tests.support.mqtt_peer import Mqtt, Raw

WAIT_S = 30.0
UP = "ss/v1/gw1/dev/{}/up"


def device(name: str) -> Principal:
    own = f"ss/v1/gw1/dev/{name}"
    return Principal(
        name, PrincipalKind.DEVICE, (f"{own}/#",), (f"{own}/#", "shared/#"), (f"{own}/up",)
    )


PRINCIPALS = {
    "meter": device("meter"),
    "other": device("other"),
    "service": Principal("service", PrincipalKind.SERVICE, ("#",), ("#",)),
}


class Passwords:
    """Everyone's password is their name, spelled with `-pw`; `meanwhile` happens before `late`."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self._meanwhile = meanwhile

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        if username == "broken":
            raise SettingsError("credentials.json: not a map")
        if username == "busy":
            raise AuthenticatorBusyError("too many")
        if username == "late":
            self._meanwhile()
            return PRINCIPALS["meter"]
        return PRINCIPALS.get(username) if password == f"{username}-pw".encode() else None


class Sink:
    """A store that the test opens and shuts: while shut, readings wait."""

    def __init__(self) -> None:
        self.is_open = True
        self.stored: list[DeviceMessage] = []
        self.waiting: list[tuple[DeviceMessage, TelemetrySource]] = []
        self.arrived: queue.Queue[DeviceMessage] = queue.Queue()

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        if self.is_open and not self.waiting:
            asyncio.get_running_loop().call_soon(self.commit)
        for one in messages:
            for payload in one.payloads:
                message = DeviceMessage(one.device, one.topic, payload)
                self.waiting.append((message, one.source))
                self.arrived.put(message)

    def commit(self) -> None:
        waiting, self.waiting = self.waiting, []
        for message, source in waiting:
            self.stored.append(message)
            source.settled(1)


class RunningBroker:
    """A broker in its thread; `run` calls a function on its event loop and returns the result."""

    def __init__(self, settings: BrokerSettings, new_loop: Callable[[], Any]) -> None:
        self.settings = settings
        self.sink = Sink()
        self.broker: EmbeddedBroker
        self._new_loop = new_loop
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=self._main)

    def start(self) -> "RunningBroker":
        self._thread.start()
        self.port = self._started.result(WAIT_S)
        return self

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def run(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(WAIT_S)

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=self._new_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.meanwhile: Callable[[], None] = lambda: self.broker.disconnect({"meter"})
        passwords = Passwords(lambda: self.meanwhile())
        self.broker = EmbeddedBroker(self.settings, passwords, self.sink, SystemClock())
        await self.broker.start()
        self._started.set_result(self.broker.port)
        await self._stop.wait()
        await self.broker.stop()


StartBroker = Callable[..., RunningBroker]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def start_broker(request: pytest.FixtureRequest) -> Iterator[StartBroker]:
    """Start a broker with changed limits."""
    started: list[RunningBroker] = []

    def start(**limits: Any) -> RunningBroker:
        settings = replace(BrokerSettings("gw1", port=0), **limits)
        started.append(RunningBroker(settings, request.param).start())
        return started[-1]

    yield start
    for broker in started:
        broker.stop()


@pytest.fixture
def broker(start_broker: StartBroker) -> RunningBroker:
    return start_broker()


@pytest.fixture
def mqtt() -> type[Mqtt]:
    return Mqtt


@pytest.fixture
def raw(broker: RunningBroker) -> Iterator[Callable[..., Raw]]:
    """Open a raw connection to the broker."""
    peers: list[Raw] = []

    def connect(*packets: bytes, **options: Any) -> Raw:
        peers.append(Raw(options.pop("port", broker.port), **options))
        return peers[-1].send(*packets)

    yield connect
    for peer in peers:
        peer.socket.close()


class Paho:
    """A paho client as a user would write it, with what it received in a queue."""

    def __init__(self, port: int, user: str, client_id: str, clean: bool) -> None:
        self.received: queue.Queue[MQTTMessage] = queue.Queue()
        self.session_present: bool | None = None
        self._connected = threading.Event()
        self._granted: queue.Queue[list[int]] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id, clean_session=clean)
        self.client.username_pw_set(user, f"{user}-pw")
        self.client.on_connect = self._on_connect
        self.client.on_message = lambda _client, _userdata, message: self.received.put(message)
        self.client.on_subscribe = lambda _c, _u, _mid, reasons, _p: self._granted.put(
            [reason.value for reason in reasons]
        )
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._connected.wait(WAIT_S)

    def subscribe(self, topic_filter: str, qos: int) -> list[int]:
        self.client.subscribe(topic_filter, qos)
        return self._granted.get(timeout=WAIT_S)

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(WAIT_S)

    def next(self) -> MQTTMessage:
        return self.received.get(timeout=WAIT_S)

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, _client: Any, _userdata: Any, flags: Any, reason: Any, _p: Any) -> None:
        if not reason.is_failure:
            self.session_present = flags.session_present
            self._connected.set()


@pytest.fixture
def paho(broker: RunningBroker) -> Iterator[Callable[..., Paho]]:
    """Connect a paho client to the broker."""
    clients: list[Paho] = []

    def connect(user: str, client_id: str | None = None, clean: bool = True) -> Paho:
        client_id = client_id or f"{user}-{uuid.uuid4().hex[:8]}"
        clients.append(Paho(broker.port, user, client_id, clean))
        return clients[-1]

    yield connect
    for client in clients:
        with contextlib.suppress(RuntimeError):
            client.stop()


@pytest.fixture
def start_process() -> Iterator[StartProcess]:
    started: list[BrokerProcess] = []

    def start(*arguments: str) -> BrokerProcess:
        started.append(BrokerProcess(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()
