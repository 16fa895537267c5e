"""Exactly once and at least once over links that break at any moment, on both sides, by a seed."""

import os
import random
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import ClosedError, Peer, TcpStream
from tests.spec.mqtt.targets import Address, Target
from tests.spec.mqtt.wire import V5, V311, Answer, Kind, Login, Packet, Prop, Publish
from tests.support.mqtt_brokers import broker_process

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]

MESSAGES = {"in memory": 300, "on disk": 60}  # commits are few: each exchange there takes longer
FIRST_SEED = int(os.environ.get("SMARTSHARE_LINKS_SEED", "1"))
IN_FLIGHT = 8
BREAKS = 0.06  # the chance that the link breaks before a packet is sent or after one was read
JOIN_S = 120.0


class BrokenLinkError(Exception):
    """This side lets the link break now."""


@dataclass(frozen=True, slots=True)
class Way:
    """From whom to whom: `count` messages on `topic` at `qos`."""

    address: Address
    count: int
    topic: str
    qos: int


class Side:
    """A persistent session whose connection breaks by chance; `talk` goes on after each break."""

    def __init__(self, address: Address, version: int, count: int, seed: int) -> None:
        self._address = address
        self.count = count
        self._version = version
        self._name = uuid.uuid4().hex
        self._chance = random.Random(seed)
        self.breaks = 0
        self.is_done = False
        self.failure: Exception | None = None
        self.peer: Peer

    def run(self) -> None:
        try:
            while not self.is_done:
                self._connect()
                try:
                    self.talk()
                except (BrokenLinkError, ClosedError, ConnectionError):
                    self.breaks += 1
                finally:
                    self.peer.close()
        except Exception as failure:  # noqa: BLE001 - told by the test, in its thread
            self.failure = failure

    def talk(self) -> None:
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        self._perhaps_break()
        self.peer.send(data)

    def read(self) -> Packet:
        packet = self.peer.next()
        self._perhaps_break()
        return packet

    def _perhaps_break(self) -> None:
        if self._chance.random() < BREAKS:
            raise BrokenLinkError

    def _connect(self) -> None:
        self.peer = Peer(TcpStream(self._address), self._version)
        pairs = [(Prop.SESSION_EXPIRY, 600)] if self._version == V5 else []
        login = Login(is_clean=False, properties=pairs)
        self.peer.send(wire.connect(self._version, self._name, login))
        assert self.peer.expect(Kind.CONNACK).reason == 0


class Publisher(Side):
    """Sends numbers in order; after a break what was not acknowledged comes again, in order."""

    def __init__(self, way: "Way", version: int, seed: int) -> None:
        super().__init__(way.address, version, way.count, seed)
        self._topic = way.topic
        self._qos = way.qos
        self._next = 0
        self._open: dict[int, int] = {}  # packet id -> number, in the order of sending
        self._released: dict[int, None] = {}  # packet ids with PUBREC and without PUBCOMP

    def talk(self) -> None:
        for packet_id in list(self._released):
            self.send(wire.ack(self._version, Kind.PUBREL, packet_id))
        for packet_id, number in list(self._open.items()):
            self._publish(packet_id, number, dup=True)
        while True:
            while self._next < self.count and len(self._open) + len(self._released) < IN_FLIGHT:
                self._publish_next()
            if not self._open and not self._released:
                self.is_done = True
                return
            self._take(self.read())

    def _publish_next(self) -> None:
        packet_id = next(
            number
            for number in range(1, IN_FLIGHT + 2)
            if number not in self._open and number not in self._released
        )
        # Noted before it is sent: the link may break in between, and the message must come again.
        self._open[packet_id] = self._next
        self._next += 1
        self._publish(packet_id, self._open[packet_id], dup=False)

    def _publish(self, packet_id: int, number: int, *, dup: bool) -> None:
        message = Publish(self._topic, b"%d" % number, self._qos, packet_id, dup=dup)
        self.send(message.encode(self._version))

    def _take(self, packet: Packet) -> None:
        assert isinstance(packet, Answer)
        match packet.kind:
            case Kind.PUBACK:
                self._open.pop(packet.packet_id, None)
            case Kind.PUBREC:
                if self._open.pop(packet.packet_id, None) is not None:
                    self._released[packet.packet_id] = None
                self.send(wire.ack(self._version, Kind.PUBREL, packet.packet_id))
            case Kind.PUBCOMP:
                self._released.pop(packet.packet_id, None)
            case _:
                raise AssertionError(packet)


class Subscriber(Side):
    """Takes a QoS 2 message once for each use of its packet id, and every QoS 1 message."""

    def __init__(self, way: "Way", version: int, seed: int) -> None:
        super().__init__(way.address, version, way.count, seed)
        self._qos = way.qos
        self._known: set[int] = set()  # QoS 2 packet ids without PUBREL
        self.taken: list[int] = []
        self.repeated = 0
        self._connect()
        self.peer.subscribe(way.topic, qos=way.qos)
        self.peer.close()

    def talk(self) -> None:
        # The last number must have come, and its exchange must be over.
        while not (self.count - 1 in self.taken and not self._known):
            packet = self.read()
            if isinstance(packet, Publish):
                self._take(packet)
            else:
                assert packet.kind == Kind.PUBREL
                self._known.discard(packet.packet_id)
                self.send(wire.ack(self._version, Kind.PUBCOMP, packet.packet_id))
        self.is_done = True

    def _take(self, message: Publish) -> None:
        self.repeated += message.dup
        if message.packet_id not in self._known:
            self.taken.append(int(message.payload))
        if self._qos == 2:
            self._known.add(message.packet_id)
        kind = Kind.PUBREC if self._qos == 2 else Kind.PUBACK
        self.send(wire.ack(self._version, kind, message.packet_id))


@pytest.fixture(scope="module", params=list(MESSAGES))
def storage(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def target(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    home = tmp_path_factory.mktemp("broker") / "home"
    arguments = ("--home", str(home)) if storage == "on disk" else ()
    with broker_process(*arguments) as target:
        yield target


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize(
    ("publisher_version", "subscriber_version"), [(V311, V5), (V5, V311)], ids=["3to5", "5to3"]
)
def test_every_message_arrives_and_at_qos_2_once(
    target: Target, storage, publisher_version, subscriber_version, qos
):
    way = Way(target.tcp, MESSAGES[storage], uuid.uuid4().hex, qos)
    subscriber = Subscriber(way, subscriber_version, FIRST_SEED)
    publisher = Publisher(way, publisher_version, FIRST_SEED + 1_000)
    threads = [threading.Thread(target=side.run) for side in (subscriber, publisher)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN_S)
    assert not any(thread.is_alive() for thread in threads)
    assert (subscriber.failure, publisher.failure) == (None, None)

    assert subscriber.breaks
    assert publisher.breaks
    assert subscriber.repeated  # or nothing was tried
    numbers = list(range(way.count))
    if qos == 2:
        assert subscriber.taken == numbers
    else:
        assert list(dict.fromkeys(subscriber.taken)) == numbers  # in order, but for repetitions
