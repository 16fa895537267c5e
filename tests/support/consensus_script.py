"""A consensus machine as a script: inputs by hand, effects to compare, a clock that stands still."""

from typing import Any

from ledger.codec.canonical import encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import NO_SIGNERS, Proposal
from ledger.consensus.certificate import build_certificate
from ledger.consensus.effects import Effect, VerifySignatures, WakeAt
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.inputs import (
    Input,
    MessageReceived,
    Now,
    SignaturesVerified,
    Started,
    Ticked,
)
from ledger.consensus.machine import Machine
from ledger.consensus.state import Rules, State
from ledger.crypto.domains import NO_HASH, VoteKind, header_hash
from ledger.params import PROTOCOL_VERSION
from ledger.types.block import Block, Certificate, Header, Vote
from ledger.types.messages import Propose

CHAIN = b"c" * 32
ROOT = Tip(0, 0, CHAIN, 100_000)
RULES = Rules(CHAIN, slot_ms=3_000, heartbeat_ms=30_000)
NODES = tuple(bytes([65 + seat]) * 32 for seat in range(4))
KEYS = tuple(bytes([97 + seat]) * 32 for seat in range(4))
N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


class Script:
    """A machine whose clock starts one slot after the root, so that a block is due at once."""

    def __init__(self, *, agents: int = 4, seat: int | None = 0) -> None:
        self.epoch = Epoch(0, NODES[:agents], KEYS[:agents], bytes(32), ROOT, seat)
        self.machine = Machine(RULES, self.epoch, ROOT)
        self.now_ms = 50_000

    @property
    def state(self) -> State:
        return self.machine.state

    def give(self, happened: Input) -> list[Effect]:
        """Give an input; return its effects but for the wake time."""
        now = Now(ROOT.time_ms + 3_000 + self.now_ms - 50_000, self.now_ms)
        effects = self.machine.handle(happened, now)
        return [effect for effect in effects if not isinstance(effect, WakeAt)]

    def start(self, *, has_work: bool = True) -> list[Effect]:
        self.give(Started((), ()))
        return self.give(Ticked(has_work))

    def hear(self, *votes: Vote) -> list[Effect]:
        return self.give(SignaturesVerified(NODES[1], votes, (), None))

    def propose(self, proposal: Proposal, *certificates: Certificate) -> list[Effect]:
        leader = self.epoch.leader(proposal.header.slot)
        vote = Vote(N, 0, proposal.header.slot, proposal.hash, leader, b"s" * 64)
        message = Propose(proposal.block, vote, certificates)
        asked = self.give(MessageReceived(NODES[leader], message))
        if not any(isinstance(effect, VerifySignatures) for effect in asked):
            return asked
        return self.give(SignaturesVerified(NODES[leader], (vote,), certificates, message))

    def block(self, slot: int = 1, parent: Proposal | None = None, **changed: Any) -> Proposal:
        fields: dict[str, Any] = {
            "version": PROTOCOL_VERSION,
            "chain_id": CHAIN,
            "epoch": 0,
            "slot": slot,
            "height": 1 if parent is None else parent.header.height + 1,
            "parent_slot": 0 if parent is None else parent.header.slot,
            "parent_hash": CHAIN if parent is None else parent.hash,
            "time_ms": 103_000 if parent is None else parent.header.time_ms + 3_000,
            "proposer": NODES[self.epoch.leader(slot)],
            "seal": False,
            "transactions_root": merkle_root(()),
            "state_root": NO_HASH,
            "outcomes_root": NO_HASH,
            "reveal": NO_HASH,
            "parent_signers": NO_SIGNERS,
            "next_set_hash": NO_HASH,
        }
        header = Header(**{**fields, **changed})
        block = Block(encode(header), ())
        return Proposal(header, header_hash(block.header), block)


def vote(kind: VoteKind, slot: int, block_hash: bytes, voter: int) -> Vote:
    return Vote(kind, 0, slot, block_hash, voter, bytes([voter]) * 64)


def certificate(kind: VoteKind, slot: int, block_hash: bytes, *voters: int) -> Certificate:
    return build_certificate([vote(kind, slot, block_hash, voter) for voter in voters])


def seat_that_follows(slot: int = 1) -> int:
    """A seat that does not lead the slot."""
    return (Script().epoch.leader(slot) + 1) % 4


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]
