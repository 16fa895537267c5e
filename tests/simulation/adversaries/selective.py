"""Honest towards a random half, each time another."""

from gateway.lab.node import Outgoing
from tests.simulation.adversaries.base import Adversary, get_targets


class Selective(Adversary):
    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        targets = get_targets(self.cluster, source, outgoing)
        chosen = [target for target in targets if self.random.random() < 0.5]
        self.cluster.network.send(source, chosen, outgoing.message)
