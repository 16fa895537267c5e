"""Strangers who guess, stall and crowd: none of it reaches a client that is who it says it is.

SMARTSHARE_HOSTILE_CONNECTS (10000 is the full run) says how many wrong CONNECTs there are.
"""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.broker.conftest import RunningBroker
from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import Peer, TcpStream, reasons_of
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Will
from tests.support.broker_process import SMARTSHARE
from tests.support.network_lab import network_lab

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CONNECTS = int(os.environ.get("SMARTSHARE_HOSTILE_CONNECTS", "1000"))
CHECKED_EVERY = 100
OWN = "ss/v1/gw1/dev/meter"
RSS_MAX_BYTES = 100 * 1024 * 1024
LET_IN_WITHIN_S = 5.0  # a second on a machine that does nothing else


@pytest.fixture
def open_peer(broker: RunningBroker) -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def open_peer(version: int, name: str, login: Login) -> Peer:
        peers.append(Peer(TcpStream(("127.0.0.1", broker.port)), version))
        return peers[-1].send(wire.connect(version, name, login))

    yield open_peer
    for peer in peers:
        peer.close()


def login(user: str, *, will: Will | None = None, keep: bool = False) -> Login:
    pairs = [(Prop.SESSION_EXPIRY, 600)] if keep else []
    return Login(not keep, 0, will, user, f"{user}-pw".encode(), pairs)


def wrong_logins(number: int) -> Login:
    """Each kind of wrong in turn, always under the victim's client identifier."""
    return (
        Login(username="meter", password=b"guess"),
        Login(is_clean=False, username="meter", password=b""),
        Login(will=Will(f"{OWN}/state", b"forged", 1, retain=True), username="meter"),
        Login(username="nobody", password=b"meter-pw"),
        Login(),
        Login(username="\u00b5" * 200, password=bytes(1_000)),
    )[number % 6]


def test_wrong_connects_never_disturb_the_victim(
    broker: RunningBroker, open_peer: Callable[..., Peer]
):
    will = Will(f"{OWN}/state", b"the victim is gone", 1)
    victim = open_peer(V5, "m1", login("meter", will=will, keep=True))
    assert victim.expect(Kind.CONNACK).reason == 0
    victim.subscribe(f"{OWN}/set", qos=1)
    watcher = open_peer(V311, "watcher", login("service"))
    assert watcher.expect(Kind.CONNACK).reason == 0
    watcher.subscribe(f"{OWN}/state", qos=1)

    for number in range(CONNECTS):
        version = V5 if number % 2 else V311
        stranger = Peer(TcpStream(("127.0.0.1", broker.port)), version)
        stranger.send(wire.connect(version, "m1", wrong_logins(number // 2)))
        assert all(reason for reason in reasons_of(stranger.end(), Kind.CONNACK))
        stranger.close()
        if number % CHECKED_EVERY == 0:
            watcher.publish(f"{OWN}/set", b"%d" % number, 1)
            assert victim.message().payload == b"%d" % number

    assert not watcher.messages()
    watcher.publish(f"{OWN}/set", b"waits", 1)
    assert victim.unacknowledged().payload == b"waits"
    victim.disconnect()
    victim = open_peer(V5, "m1", Login(False, 0, None, "meter", b"meter-pw"))
    assert victim.expect(Kind.CONNACK).session_present
    assert victim.message().payload == b"waits"


@pytest.mark.parametrize("version", [V311, V5])
def test_another_users_client_of_the_same_name_is_another_session(
    open_peer: Callable[..., Peer], version
):
    victim = open_peer(version, "same", login("meter", keep=True))
    assert victim.expect(Kind.CONNACK).reason == 0
    victim.subscribe(f"{OWN}/set", qos=1)

    other = open_peer(version, "same", login("other", keep=True))
    connack = other.expect(Kind.CONNACK)

    assert (connack.reason, connack.session_present) == (0, False)
    service = open_peer(version, "s", login("service"))
    service.expect(Kind.CONNACK)
    service.publish(f"{OWN}/set", b"x", 1)
    assert victim.message().payload == b"x"
    other.send(wire.PINGREQ)
    assert other.next() == wire.Answer(Kind.PINGRESP)


CROWD = textwrap.dedent("""
    import socket, sys
    address, connect = (sys.argv[1], 1883), b"\\x10\\x80\\x01\\x00\\x04MQTT\\x04"
    crowd = []
    for number in range(1_200):
        peer = socket.socket()
        peer.settimeout(5)
        try:
            peer.connect(address)
            if number % 6 == 0:
                peer.send(connect)
        except OSError:
            pass
        crowd.append(peer)
    print("crowded", flush=True)
    sys.stdin.read()
""")
VISITOR = textwrap.dedent("""
    import socket, sys, time
    host, data = sys.argv[1], bytes.fromhex(sys.argv[2])
    started = time.monotonic()
    peer = socket.create_connection((host, 1883), 30)
    peer.sendall(data)
    answer = peer.recv(4)
    print(time.monotonic() - started, answer.hex())
""")


@pytest.mark.timeout(120)
def test_a_crowd_of_silent_and_half_finished_strangers_keeps_nobody_out(tmp_path: Path):
    home = tmp_path / "home"
    added = subprocess.run(
        [*SMARTSHARE, "broker", "user", "add", "ann", "--home", home],
        capture_output=True,
        text=True,
        check=True,
    )
    password = added.stdout.split("password")[1].split()[0]
    connect = wire.connect(V311, "visitor", Login(username="ann", password=password.encode()))
    with network_lab("broker", "crowd", "device") as lab:
        address = lab.addresses["broker"]
        command = [*SMARTSHARE, "broker", "--listen", f"{address}:1883", "--home", str(home)]
        broker = subprocess.Popen(
            lab.command("broker", *command), stdout=subprocess.PIPE, text=True
        )
        crowd: subprocess.Popen[str] | None = None
        try:
            assert broker.stdout is not None
            assert "ready" in broker.stdout.readline()
            crowd = subprocess.Popen(
                lab.command("crowd", sys.executable, "-c", CROWD, address),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            assert crowd.stdout is not None
            assert crowd.stdout.readline() == "crowded\n"

            visit = subprocess.run(
                lab.command("device", sys.executable, "-c", VISITOR, address, connect.hex()),
                capture_output=True,
                text=True,
                check=True,
            )

            took_s, answer = visit.stdout.split()
            assert bytes.fromhex(answer) == b"\x20\2\0\0"
            assert float(took_s) < LET_IN_WITHIN_S
            assert psutil.Process(broker.pid).memory_info().rss < RSS_MAX_BYTES
        finally:
            for process in (crowd, broker):
                if process is not None:
                    process.terminate()
                    process.communicate(timeout=30)


def test_places_come_back_when_strangers_are_gone(start_broker: Callable[..., RunningBroker]):
    broker = start_broker(unauthenticated_max=4, connections_loopback_reserved=0)
    address = ("127.0.0.1", broker.port)
    for _ in range(20):
        strangers = [TcpStream(address) for _ in range(4)]
        for stranger in strangers:
            stranger.close()

    deadline = time.monotonic() + 10
    while broker.run(lambda: broker.broker.counters.connections) and time.monotonic() < deadline:
        time.sleep(0.02)
    peer = Peer(TcpStream(address), V5).send(wire.connect(V5, "m", login("meter")))
    assert peer.expect(Kind.CONNACK).reason == 0
    peer.close()
