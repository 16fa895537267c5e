"""Hears everything and says nothing."""

from gateway.lab.node import Outgoing
from tests.simulation.adversaries.base import Adversary


class Silent(Adversary):
    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        pass
