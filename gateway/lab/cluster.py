"""Many nodes on one packet network in virtual time."""

import struct
from collections.abc import Callable, Sequence
from random import Random  # noqa: TID251 - the type only: the seeded generator is handed in
from typing import Protocol

from gateway.lab.application import LabApplication, Members
from gateway.lab.clockwork import Clockwork
from gateway.lab.network import PacketNetwork
from gateway.lab.node import LabNode, Outgoing, World
from gateway.lab.signatures import SignatureScheme
from ledger.consensus.effects import Broadcast, Gossip, Send
from ledger.consensus.epoch import Tip
from ledger.consensus.state import Rules
from ledger.crypto.hashing import sha256
from ledger.types.messages import Message

GENESIS_TIME_MS = 1_800_000_000_000  # any Unix time will do
SLOT_MS = 3_000


class Participant(Protocol):
    """Whatever has a place in the network: an honest node or an adversary."""

    name: bytes

    def start(self) -> None:
        """Come up."""
        ...

    def deliver(self, peer: bytes, message: Message) -> None:
        """Take a message."""
        ...


def make_seed(index: int) -> bytes:
    """Return the secret of a run's agent number `index`."""
    return sha256(b"lab agent" + struct.pack(">I", index))


class Cluster:
    """The agents of a run, by number; all of them know each other."""

    def __init__(
        self,
        random: Random,
        scheme: SignatureScheme,
        *,
        agents: int,
        set_of: Callable[[int], Sequence[int]],
        epoch_blocks: int = 0,
        heartbeat_ms: int = SLOT_MS,
    ) -> None:
        self.random = random
        self.clockwork = Clockwork()
        self.seeds = [make_seed(index) for index in range(agents)]
        self.names = [sha256(b"node" + seed) for seed in self.seeds]
        keys = [scheme.public_key(seed) for seed in self.seeds]
        chain_id = sha256(b"lab chain")
        rules = Rules(chain_id, SLOT_MS, heartbeat_ms)
        genesis = Tip(0, 0, chain_id, GENESIS_TIME_MS)
        members: Members = lambda epoch: tuple((self.names[i], keys[i]) for i in set_of(epoch))  # noqa: E731 - it closes over the run
        application = LabApplication(chain_id, members, epoch_blocks)
        self.world = World(rules, application, scheme, self.clockwork, genesis)
        self.network = PacketNetwork(self.clockwork, random, self._deliver)
        self.nodes: dict[int, LabNode] = {}
        self._participants: dict[bytes, Participant] = {}

    def add_node(self, index: int) -> LabNode:
        """Give an agent an honest node."""
        node = LabNode(self.names[index], self.seeds[index], self.world, self.route)
        self.nodes[index] = node
        self.add_participant(node)
        return node

    def add_participant(self, participant: Participant) -> None:
        """Let somebody take the place of their name."""
        self._participants[participant.name] = participant

    def start(self) -> None:
        """Start everybody, within a tenth of a second."""
        for participant in self._participants.values():
            self.clockwork.at(self.random.randint(0, 100), participant.start)

    def route(self, source: bytes, outgoing: Outgoing) -> None:
        """Put what a node sends on the network."""
        match outgoing:
            case Send(peer, message):
                if peer in self._participants:
                    self.network.send(source, (peer,), message)
            case Broadcast(message):
                self.network.send(source, self.others(source), message)
            case Gossip(message, peers):
                others = self.others(source)
                chosen = self.random.sample(others, min(peers, len(others)))
                self.network.send(source, chosen, message)

    def others(self, name: bytes) -> list[bytes]:
        """Return everybody else."""
        return [other for other in self.names if other != name]

    def _deliver(self, source: bytes, target: bytes, message: Message) -> None:
        participant = self._participants.get(target)
        if participant is not None:
            participant.deliver(source, message)
