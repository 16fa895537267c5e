"""Two honest nodes with one key, as after a copied disk; each half of the network hears mostly one."""

import struct
from random import Random

from gateway.lab.cluster import Cluster
from gateway.lab.node import LabNode, Outgoing
from ledger.crypto.hashing import sha256
from ledger.types.messages import Message
from tests.simulation.adversaries.base import Adversary, get_targets

PERIOD_MS = 15_000  # then the halves are drawn anew


class Twins(Adversary):
    def __init__(self, cluster: Cluster, index: int, random: Random) -> None:
        super().__init__(cluster, index, random)
        self.other = LabNode(
            self.name, cluster.seeds[index], cluster.world, lambda _, out: self._send_as(1, out)
        )
        for core in (self.core, self.other):
            core.is_guarded = True

    def start(self) -> None:
        self.core.start()
        self.other.start()

    def deliver(self, peer: bytes, message: Message) -> None:
        for core in (self.core, self.other):
            if self.random.random() < 0.7:
                core.deliver(peer, message)

    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        self._send_as(0, outgoing)

    def _send_as(self, twin: int, outgoing: Outgoing) -> None:
        period = struct.pack(">I", self.cluster.clockwork.now_ms // PERIOD_MS)
        for target in get_targets(self.cluster, self.name, outgoing):
            half = sha256(target + period)[0] % 2
            if half == twin or self.random.random() < 0.3:
                self.cluster.network.send(self.name, (target,), outgoing.message)
