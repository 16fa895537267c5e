"""`smartshare broker`: the broker alone as a process, over TCP and WebSocket, and its users."""

import json
import re
import signal
from pathlib import Path

import pytest

from tests.support.broker_process import WAIT_S, StartBroker, Subscriber, smartshare

pytestmark = pytest.mark.integration


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
        (("--listen", "nonsense", "--anonymous"), "is not HOST:PORT"),
        (("--tls", "127.0.0.1:0", "--anonymous"), "TLS needs certificates"),
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
