"""One running broker of each kind for the whole run; a desk that opens named, tidied connections."""

import itertools
import uuid
from collections.abc import Iterator

import pytest

from tests.spec.mqtt import targets, wire
from tests.spec.mqtt.deviations import known_deviation
from tests.spec.mqtt.peer import WAIT_S, Peer, Stream, TcpStream, reasons_of
from tests.spec.mqtt.targets import Target
from tests.spec.mqtt.wire import V5, Answer, Kind, Login, Packet, Prop, Properties, Will

KEEP_S = 3_600
KNOWN_TO_FAIL_WAIT_S = 0.7


@pytest.fixture(scope="session")
def running_targets() -> Iterator[dict[str, Target]]:
    running: dict[str, Target] = {}
    yield running
    failures = {}
    for target in running.values():
        failures[target.name] = target.traceback()
        target.stop()
    assert not any(failures.values()), failures


@pytest.fixture(params=targets.names())
def target(request: pytest.FixtureRequest, running_targets: dict[str, Target]) -> Target:
    """A broker; started when the first test wants it."""
    reason = targets.why_missing(request.param)
    if reason is not None:
        pytest.skip(reason)
    if request.param not in running_targets:
        running_targets[request.param] = targets.start(request.param)
    return running_targets[request.param]


class Desk:
    """Opens connections to the broker; names and topics are this test's own."""

    def __init__(self, target: Target, version: int, wait_s: float) -> None:
        self.target = target
        self._wait_s = wait_s
        self.version = version
        self._own = uuid.uuid4().hex[:10]
        self._numbers = itertools.count()
        self._peers: list[Peer] = []
        self._kept: set[str] = set()

    @property
    def is_ours(self) -> bool:
        return self.target.name in {targets.OURS, targets.DURABLE}

    def topic(self, name: str) -> str:
        return f"{self._own}/{name}"

    def name(self, client_id: str | None = None) -> str:
        return f"{self._own}{client_id if client_id is not None else next(self._numbers)}"

    def open(self, stream: Stream | None = None) -> Peer:
        """Open a connection without CONNECT."""
        peer = Peer(stream or TcpStream(self.target.tcp), self.version, self._wait_s)
        self._peers.append(peer)
        return peer

    def connect(
        self,
        client_id: str | None = None,
        *,
        keep: bool = False,
        clean: bool | None = None,
        will: Will | None = None,
        keep_alive_s: int = 0,
        pairs: Properties = (),
    ) -> Peer:
        """Connect and be accepted. `keep` asks for a session that outlives the connection."""
        return self.login(
            client_id, keep=keep, clean=clean, will=will, keep_alive_s=keep_alive_s, pairs=pairs
        )[0]

    def login(
        self,
        client_id: str | None = None,
        *,
        keep: bool = False,
        clean: bool | None = None,
        will: Will | None = None,
        keep_alive_s: int = 0,
        pairs: Properties = (),
    ) -> tuple[Peer, Answer]:
        """Connect and be accepted; returns the CONNACK too."""
        name = self.name(client_id)
        if keep:
            self._kept.add(name)
            if self.version == V5 and not any(key == Prop.SESSION_EXPIRY for key, _ in pairs):
                pairs = (*pairs, (Prop.SESSION_EXPIRY, KEEP_S))
        login = Login(not keep if clean is None else clean, keep_alive_s, will, properties=pairs)
        peer = self.open().send(wire.connect(self.version, name, login))
        connack = peer.expect(Kind.CONNACK)
        assert connack.reason == 0, connack
        return peer, connack

    def refused(self, data: bytes) -> list[Packet]:
        """Send bytes on a new connection; it must be closed. Returns what came before."""
        peer = self.open().send(data)
        packets = peer.end()
        assert all(reason for reason in reasons_of(packets, Kind.CONNACK)), packets
        return packets

    def broken(self, peer: Peer, *reasons: int) -> None:
        """The connection must end; with MQTT 5 a DISCONNECT may say why [MQTT-4.13.1-1].

        Our own broker must say it, with the reason the standard names, or one of those it allows.
        """
        told = reasons_of(peer.end(), Kind.DISCONNECT)
        assert len(told) <= 1
        assert all(code >= 0x80 for code in told)
        if self.is_ours and self.version == V5:
            assert told, "no DISCONNECT"
            assert told[0] in reasons, f"{told[0]:#x} instead of {reasons}"

    def tidy(self) -> None:
        """End all connections and the sessions that were to be kept."""
        for peer in self._peers:
            peer.close()
        for name in self._kept:
            peer = self.open().send(wire.connect(self.version, name))
            peer.disconnect()


@pytest.fixture
def mqtt(request: pytest.FixtureRequest, target: Target, version: int) -> Iterator[Desk]:
    """Connections of one version to one broker. Where it is known to fail, waiting is short."""
    if version not in target.speaks:
        pytest.skip("this broker does not speak this version")
    deviation = known_deviation(target, request.node.name)
    if deviation is not None:
        request.applymarker(pytest.mark.xfail(reason=deviation.reason, strict=deviation.is_strict))
    desk = Desk(target, version, WAIT_S if deviation is None else KNOWN_TO_FAIL_WAIT_S)
    yield desk
    desk.tidy()
