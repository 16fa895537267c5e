"""Floods from one side: readers that never read, retained messages, wildcards. The others are served.

SMARTSHARE_FLOOD_SECONDS (600 is the full run) says how long the flood at readers that never read lasts.
"""

import itertools
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.integration.broker.conftest import RunningBroker
from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import WAIT_S, Peer, TcpStream
from tests.spec.mqtt.targets import Target
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Publish
from tests.support.mqtt_brokers import broker_process

FLOOD_S = float(os.environ.get("SMARTSHARE_FLOOD_SECONDS", "5"))
STUCK = 10
RSS_MAX_BYTES = 150 * 1024 * 1024
PAYLOAD = bytes(1_000)
SERVED_WITHIN_S = 5.0  # a ping, on a machine shared with other tests
OWN = "ss/v1/gw1/dev/meter"

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(FLOOD_S + 120)]


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


@pytest.fixture
def opened(target: Target) -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def connect(version: int = V5, login: Login | None = None) -> Peer:
        peers.append(Peer(TcpStream(target.tcp), version))
        peers[-1].send(wire.connect(version, uuid.uuid4().hex, login))
        assert peers[-1].expect(Kind.CONNACK).reason == 0
        return peers[-1]

    yield connect
    for peer in peers:
        peer.close()


class SmallStream(TcpStream):
    """A connection whose receive buffer is as small as the kernel allows."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.connect(address)


def stuck_reader(target: Target, topic: str, qos: int) -> Peer:
    peer = Peer(SmallStream(target.tcp), V311)
    peer.send(wire.connect(V311, uuid.uuid4().hex)).expect(Kind.CONNACK)
    peer.subscribe(topic, qos=qos)
    return peer


def flood(address: tuple[str, int], topic: str, stop: threading.Event) -> None:
    """Publish as fast as the broker takes it, at QoS 0 and 1; acknowledgements are read and forgotten."""
    peer = Peer(TcpStream(address), V311)
    peer.send(wire.connect(V311, uuid.uuid4().hex)).expect(Kind.CONNACK)
    ids = itertools.cycle(range(1, 65_536))
    while not stop.is_set():
        batch = [Publish(topic, PAYLOAD, n % 2, next(ids)).encode(V311) for n in range(20)]
        peer.send(*batch)
        for _ in range(10):
            peer.expect(Kind.PUBACK)
    peer.close()


def test_readers_that_never_read_cost_little_and_the_others_lose_nothing(target: Target, opened):
    assert target.process is not None
    process = psutil.Process(target.process.pid)
    stuck = [stuck_reader(target, "flood/#", number % 3) for number in range(STUCK)]
    reader, writer = opened(), opened()
    reader.subscribe("calm", qos=1)
    stop = threading.Event()
    flooding = threading.Thread(target=flood, args=(target.tcp, "flood/x", stop))
    flooding.start()
    peak_bytes, sent = 0, 0
    try:
        deadline = time.monotonic() + FLOOD_S
        while time.monotonic() < deadline:
            writer.publish("calm", b"%d" % sent, 1)
            assert reader.message().payload == b"%d" % sent
            sent += 1
            peak_bytes = max(peak_bytes, process.memory_info().rss)
    finally:
        stop.set()
        flooding.join(WAIT_S)
        for peer in stuck:
            peer.close()

    assert not flooding.is_alive()
    assert sent > FLOOD_S
    assert peak_bytes < RSS_MAX_BYTES, f"{peak_bytes >> 20} MiB"


def test_wildcards_piled_up_do_not_slow_the_others(target: Target, opened):
    """As many filters as a session may have, each of which matches everything in many ways."""
    healthy = opened()
    crowd = [opened() for _ in range(8)]
    filters = ["/".join(["+"] * depth + ["#"]) for depth in range(15)]
    filters += ["/".join("+" if bits >> n & 1 else "a" for n in range(16)) for bits in range(34)]
    for peer in crowd:
        for name in filters:
            assert peer.subscribe(name) == (0,)
    topic, slowest_s = "/".join("a" * 16), 0.0

    for _ in range(50):
        crowd[0].send(Publish(topic).encode(V5))
        started = time.monotonic()
        healthy.ping()
        slowest_s = max(slowest_s, time.monotonic() - started)

    assert slowest_s < SERVED_WITHIN_S
    for peer in crowd:
        assert [m.topic for m in peer.messages()].count(topic) == 50


def test_a_filter_made_to_backtrack_is_a_filter_like_any_other(opened):
    """GHSA-2hjf-7455-w946: filters became regular expressions that never came to an end."""
    peer = opened()
    for name in ("+/" * 15 + "#", "+/" * 15 + "a", "a/+/" * 7 + "b"):
        peer.subscribe(name)

    started = time.monotonic()
    peer.publish("a/" * 15 + "b")
    peer.publish("a" * 250)

    assert time.monotonic() - started < SERVED_WITHIN_S


def test_too_many_subscriptions_are_refused_and_the_rest_kept(opened):
    peer = opened()
    assert not peer.messages()  # it listens to itself before there is no room
    reasons = [peer.subscribe(f"many/{number}")[0] for number in range(700)]

    granted = reasons.count(0)
    assert 10 <= granted < 700
    assert reasons == [0] * granted + [0x97] * (700 - granted)
    peer.publish("many/0")
    peer.publish("many/699")
    assert [m.topic for m in peer.messages()] == ["many/0"]


def test_a_flood_of_retained_messages_ends_at_its_limit(broker: RunningBroker):
    """A device fills its own share of the store; what others keep stays, and its own can be changed."""
    address = ("127.0.0.1", broker.port)
    meter, service = Peer(TcpStream(address), V5), Peer(TcpStream(address), V5)
    for peer, user in ((meter, "meter"), (service, "service")):
        login = Login(username=user, password=f"{user}-pw".encode())
        assert peer.send(wire.connect(V5, user, login)).expect(Kind.CONNACK).reason == 0
    service.publish("shared/x", b"kept by another", 1, retain=True)

    reasons = [
        meter.publish(f"{OWN}/state/{number}", b"x", 1, retain=True) for number in range(300)
    ]

    kept = reasons.count(0)
    assert 10 <= kept < 300
    assert reasons == [0] * kept + [0x97] * (300 - kept)
    assert meter.publish(f"{OWN}/state/0", b"changed", 1, retain=True) == 0
    assert meter.publish(f"{OWN}/state/1", b"", 1, retain=True) == 0
    assert meter.publish(f"{OWN}/state/new", b"x", 1, retain=True) == 0
    assert meter.publish(f"{OWN}/state/newer", b"x", 1, retain=True) == 0x97
    service.subscribe("#")
    found = {m.topic: m.payload for m in service.messages() if m.retain}
    assert found["shared/x"] == b"kept by another"
    assert found[f"{OWN}/state/0"] == b"changed"
    assert len([topic for topic in found if str(topic).startswith(f"{OWN}/state/")]) == kept
    for peer in (meter, service):
        peer.close()


def test_connects_that_fail_late_leave_nothing_behind(target: Target):
    """CVE-2021-34431, CVE-2023-3592: each refused CONNECT with a will kept some memory."""
    assert target.process is not None
    process = psutil.Process(target.process.pid)
    pairs = [(Prop.USER_PROPERTY, ("k", "v" * 1_000))]
    will = wire.Will("a/#", bytes(10_000), properties=pairs)  # wildcard: refused after all of it
    data = wire.connect(V5, "leaky", Login(will=will, properties=pairs))

    def attack(count: int) -> None:
        for _ in range(count):
            peer = Peer(TcpStream(target.tcp), V5).send(data)
            peer.end()
            peer.close()

    attack(200)
    before = process.memory_info().rss
    attack(1_500)  # 18 MB, if it were kept

    assert process.memory_info().rss - before < 8 * 1024 * 1024


def test_qos_2_that_is_never_released_is_bounded(target: Target, opened):
    """CVE-2023-28366: QoS 2 messages repeated with the same packet id were kept each time."""
    assert target.process is not None
    process = psutil.Process(target.process.pid)
    peer = opened(V311)
    message = Publish("leak", bytes(50_000), 2, 7, dup=True).encode(V311)
    peer.send(message).expect(Kind.PUBREC)
    before = process.memory_info().rss

    for _ in range(400):  # 20 MB, if it were kept
        peer.send(message).expect(Kind.PUBREC)

    assert process.memory_info().rss - before < 8 * 1024 * 1024
