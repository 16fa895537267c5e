"""The packet network: each fault does what its name says."""

from random import Random

import pytest

from gateway.lab.clockwork import Clockwork
from gateway.lab.network import LinkFaults, PacketNetwork
from ledger.types.messages import GetChain, Message

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
MESSAGE = GetChain(0)


class Wire:
    def __init__(self) -> None:
        self.clockwork = Clockwork()
        self.arrived: list[tuple[int, bytes, bytes]] = []
        self.network = PacketNetwork(self.clockwork, Random(1), self._deliver)

    def _deliver(self, source: bytes, target: bytes, message: Message) -> None:
        self.arrived.append((self.clockwork.now_ms, source, target))

    def send(self, source: bytes, *targets: bytes, times: int = 1) -> int:
        """Return how many messages arrived within a minute."""
        before = len(self.arrived)
        for _ in range(times):
            self.network.send(source, targets, MESSAGE)
        self.clockwork.run_until(self.clockwork.now_ms + 60_000)
        return len(self.arrived) - before


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_without_faults_all_arrives_within_the_latency(wire: Wire):
    assert wire.send(A, B, C, times=50) == 100
    assert all(20 <= time_ms <= 200 for time_ms, _, _ in wire.arrived)


def test_loss_late_and_duplicate(wire: Wire):
    wire.network.faults = LinkFaults(loss=1_000)
    assert wire.send(A, B, times=20) == 0
    wire.network.faults = LinkFaults(loss=500)
    assert 20 < wire.send(A, B, times=100) < 80
    wire.network.faults = LinkFaults(late=1_000, late_ms=(5_000, 6_000))
    start_ms = wire.clockwork.now_ms
    assert wire.send(A, B) == 1
    assert wire.arrived[-1][0] >= start_ms + 5_000
    wire.network.faults = LinkFaults(duplicate=1_000)
    assert wire.send(A, B, times=10) == 20


def test_partitions_and_one_way_cuts(wire: Wire):
    wire.network.partition({A: 1})
    assert (wire.send(A, B), wire.send(B, A), wire.send(B, C)) == (0, 0, 1)
    wire.network.heal()
    wire.network.cut_one_way(A, B)
    assert (wire.send(A, B), wire.send(B, A)) == (0, 1)
    wire.network.mend_one_way(A, B)
    assert wire.send(A, B) == 1


def test_a_flapping_link_is_down_half_the_time_and_whole_at_the_end(wire: Wire):
    wire.network.flap((A, B), 1_000, 10_000)
    for moment_ms in range(100, 10_000, 100):
        wire.clockwork.at(moment_ms, wire.network.send, A, (B,), MESSAGE)
    wire.clockwork.run_until(10_500)
    assert 35 <= len(wire.arrived) <= 65
    assert wire.send(A, B, times=10) == 10
