"""`smartshare broker`: the broker alone as a process, over TCP and WebSocket, and its users."""

import json
import queue
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.integration

SMARTSHARE = (sys.executable, "-m", "gateway.cli.main")
WAIT_S = 30.0


class BrokerProcess:
    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*SMARTSHARE, "broker", "--listen", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready = self.process.stdout.readline()
        self.ports = {
            scheme: int(port) for scheme, port in re.findall(r"(\w+)://\S+:(\d+)", self.ready)
        }

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, errors


StartBroker = Callable[..., BrokerProcess]


@pytest.fixture
def start_process() -> Iterator[StartBroker]:
    started: list[BrokerProcess] = []

    def start(*arguments: str) -> BrokerProcess:
        started.append(BrokerProcess(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


class Subscriber:
    """A paho client that subscribed to everything; `answer` is CONNACK's code."""

    def __init__(self, port: int, transport: Any = "tcp", login: tuple[str, str] | None = None):
        self.messages: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.events: queue.Queue[str] = queue.Queue()
        self.client = Client(CallbackAPIVersion.VERSION2, transport=transport)
        if login is not None:
            self.client.username_pw_set(*login)
        self.client.on_connect = lambda *a: self.events.put(str(a[3]))
        self.client.on_disconnect = lambda *_: self.events.put("disconnected")
        self.client.on_subscribe = lambda *_: self.events.put("subscribed")
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.answer = self.events.get(timeout=WAIT_S)
        if self.answer == "Success":
            self.client.subscribe("#", qos=2)
            assert self.events.get(timeout=WAIT_S) == "subscribed"

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.messages.put((message.topic, bytes(message.payload)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def smartshare(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*SMARTSHARE, *arguments], capture_output=True, text=True, timeout=WAIT_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_tells_its_address_serves_and_stops_cleanly(start_process: StartBroker, number: int):
    broker = start_process("--anonymous")
    with Subscriber(broker.ports["mqtt"]) as subscriber:
        subscriber.client.publish("any/topic/at all", b"1", qos=2)
        assert subscriber.messages.get(timeout=WAIT_S) == ("any/topic/at all", b"1")

    assert re.fullmatch(r"broker ready: mqtt://127\.0\.0\.1:\d+\n", broker.ready)
    assert broker.stop(number) == (0, "")


def test_tcp_and_websocket_clients_meet(start_process: StartBroker):
    broker = start_process("--anonymous", "--ws", "127.0.0.1:0")
    with (
        Subscriber(broker.ports["mqtt"]) as plain,
        Subscriber(broker.ports["ws"], "websockets") as web,
    ):
        web.client.publish("t", bytes(200_000), qos=1)
        assert plain.messages.get(timeout=WAIT_S) == ("t", bytes(200_000))
        assert web.messages.get(timeout=WAIT_S) == ("t", bytes(200_000))


def test_users_have_passwords_and_a_removed_one_is_put_out(
    start_process: StartBroker, tmp_path: Path
):
    added = smartshare("broker", "user", "add", "ann", "--home", tmp_path, "--json")
    login = ("ann", json.loads(added.stdout)["password"])
    broker = start_process("--home", str(tmp_path))
    with Subscriber(broker.ports["mqtt"], login=("ann", "wrong")) as wrong:
        assert wrong.answer == "Not authorized"
    with Subscriber(broker.ports["mqtt"]) as nobody:
        assert nobody.answer == "Not authorized"
    with Subscriber(broker.ports["mqtt"], login=login) as ann:
        assert ann.answer == "Success"
        smartshare("broker", "user", "remove", "ann", "--home", tmp_path)
        assert ann.events.get(timeout=WAIT_S) == "disconnected"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--listen", "0.0.0.0:0", "--anonymous"), "listens on loopback only, not on 0.0.0.0"),
        (("--anonymous", "--ws", "[::]:0"), "listens on loopback only, not on ::"),
        ((), "who may connect?"),
        (("--listen", "nonsense"), "is not HOST:PORT"),
    ],
)
def test_what_would_let_strangers_in_is_refused(arguments: tuple[str, ...], line: str):
    result = smartshare("broker", *arguments)

    assert (result.returncode, result.stdout) == (1, "")
    (only,) = result.stderr.splitlines()
    assert line in only


@pytest.mark.parametrize("name", ["", "_ledger", "new\nline"])
def test_a_user_name_that_misleads_is_refused(name: str, tmp_path: Path):
    assert smartshare("broker", "user", "add", name, "--home", tmp_path).returncode == 1
