"""Answers questions with garbage, claims heights it does not have, and replays old messages."""

from random import Random

import msgspec

from gateway.lab.cluster import Cluster
from gateway.lab.node import Outgoing
from ledger.types.messages import (
    BlockMessage,
    CertificateMessage,
    ChainMessage,
    Message,
    Status,
)
from tests.simulation.adversaries.base import Adversary, get_targets

KEPT = 50


class Liar(Adversary):
    def __init__(self, cluster: Cluster, index: int, random: Random) -> None:
        super().__init__(cluster, index, random)
        self._old: list[Message] = []

    def deliver(self, peer: bytes, message: Message) -> None:
        super().deliver(peer, message)
        self._old = [*self._old[-KEPT:], message]
        if self.random.random() < 0.1:
            self.scatter(self.random.choice(self._old), 0.3)

    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        targets = get_targets(self.cluster, source, outgoing)
        self.cluster.network.send(source, targets, self._distort(outgoing.message))

    def _distort(self, message: Message) -> Message:
        match message:
            case Status():
                return msgspec.structs.replace(message, height=message.height + 1_000_000)
            case BlockMessage(block):
                return BlockMessage(msgspec.structs.replace(block, transactions=(b"x",)))
            case ChainMessage():
                return msgspec.structs.replace(message, blocks=message.blocks[1:] or message.blocks)
            case CertificateMessage(certificate) if self.random.random() < 0.5:
                signatures = (bytes(64), *certificate.signatures[1:])
                forged = msgspec.structs.replace(certificate, signatures=signatures)
                return CertificateMessage(forged)
            case _:
                return message
