"""What adversaries share: an honest machine inside, whose every message they see before the network.

They know no secret but their own, and may sign with it whatever they like.
"""

from random import Random

import msgspec

from gateway.lab.cluster import Cluster
from gateway.lab.node import LabNode, Outgoing
from gateway.smart_agent.judge import VoteRequest
from ledger.codec.canonical import encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import Proposal
from ledger.consensus.effects import Broadcast, Gossip, Send
from ledger.crypto.domains import VoteKind, header_hash
from ledger.types.block import Block, Certificate, Vote
from ledger.types.messages import Message, Propose


class Adversary:
    """Behaves as its honest core does, but for what a subclass changes."""

    is_guarded = (
        False  # whether one guard judges all its votes, so that it cannot contradict itself
    )

    def __init__(self, cluster: Cluster, index: int, random: Random) -> None:
        self.cluster = cluster
        self.random = random
        self.name = cluster.names[index]
        self.core = self.make_core(index)

    def make_core(self, index: int) -> LabNode:
        core = LabNode(self.name, self.cluster.seeds[index], self.cluster.world, self.on_send)
        core.is_guarded = self.is_guarded
        return core

    def start(self) -> None:
        self.core.start()

    def deliver(self, peer: bytes, message: Message) -> None:
        self.core.deliver(peer, message)

    def on_send(self, source: bytes, outgoing: Outgoing) -> None:
        self.cluster.route(source, outgoing)

    def is_member(self) -> bool:
        return self.core.epoch.our_seat is not None

    def sign(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> Vote:
        vote = self.core.sign_unguarded(VoteRequest(kind, epoch, slot, block_hash))
        for observer in self.cluster.world.observers:
            observer.on_vote(self.core, vote)
        return vote

    def scatter(self, message: Message, chance: float) -> None:
        """Send to each other node with this chance."""
        targets = [t for t in self.cluster.others(self.name) if self.random.random() < chance]
        self.cluster.network.send(self.name, targets, message)


def get_proposal(outgoing: Outgoing) -> Propose | None:
    """Return the proposal that a broadcast carries."""
    if isinstance(outgoing, Broadcast) and isinstance(outgoing.message, Propose):
        return outgoing.message
    return None


def vary(proposal: Proposal, transactions: tuple[bytes, ...], **changed: object) -> Proposal:
    """Return another block in the place of one, whose header fits its transactions."""
    root = merkle_root(transactions)
    header = msgspec.structs.replace(proposal.header, transactions_root=root, **changed)
    block = Block(encode(header), transactions)
    return Proposal(header, header_hash(block.header), block)


def get_targets(cluster: Cluster, source: bytes, outgoing: Outgoing) -> list[bytes]:
    """Return to whom a message would go."""
    match outgoing:
        case Send(peer, _):
            return [peer]
        case Broadcast():
            return cluster.others(source)
        case Gossip(_, peers):
            others = cluster.others(source)
            return cluster.random.sample(others, min(peers, len(others)))


def find_state_root(core: LabNode, block_hash: bytes) -> bytes | None:
    """Return the state root behind a block that this node knows."""
    block = find_block(core, block_hash)
    if block is not None:
        return block.header.state_root
    return core._state_roots.get(block_hash)


def find_block(core: LabNode, block_hash: bytes) -> Proposal | None:
    """Return a block that is open or final here."""
    known = core.machine.state.blocks.get(block_hash)
    if known is not None:
        return known
    chain = (stored.proposal for stored in reversed(core.disk.chain))
    return next((block for block in chain if block.hash == block_hash), None)


def find_proof(core: LabNode, slot: int, block_hash: bytes) -> Certificate | None:
    """Return a certificate of a block, if one is still here."""
    if slot == 0:
        return None
    held = core.machine.state.certificates.for_block(slot)
    if held is not None and held.block_hash == block_hash:
        return held
    proofs = (stored.proof for stored in reversed(core.disk.chain) if stored.proof is not None)
    certificates = (proof.certificate for proof in proofs)
    return next((c for c in certificates if c.block_hash == block_hash), None)
