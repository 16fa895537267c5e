"""Chains of headers for light nodes: agents that change, signed end blocks, and answers about them."""

from collections.abc import Sequence

import msgspec

from ledger.codec.canonical import encode
from ledger.codec.merkle import audit_path, merkle_root
from ledger.consensus.certificate import build_certificate, compute_quorum
from ledger.crypto.domains import (
    NO_HASH,
    VoteKind,
    header_hash,
    transaction_id,
    transaction_message,
    vote_message,
)
from ledger.crypto.ed25519 import sign
from ledger.light import AnchorEvidence, Checkpoint, SetChange
from ledger.light.answers import (
    BlockAnswer,
    FinalHeader,
    HeadersAnswer,
    InclusionAnswer,
    ProvenValue,
    StateAnswer,
)
from ledger.params import PROTOCOL_VERSION
from ledger.state.commitment import StateTree
from ledger.types.agent_set import AgentSet, Seat, hash_agent_set
from ledger.types.block import Header, Vote
from ledger.types.genesis import Genesis, GenesisAgent
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.transaction import SignedTransaction, Transaction, Transfer
from tests.support.transactions import Person

START_MS = 1_800_000_000_000
SLOT_MS, HEARTBEAT_MS = 3_000, 30_000
BLOCKS_PER_EPOCH = 10


def agents_of(*names: str) -> tuple[Person, ...]:
    """People in the order of their seats."""
    return tuple(sorted((Person(name) for name in names), key=lambda one: one.address))


def votes_key(one: Person) -> Person:
    return Person(f"{one.name}'s votes")


def make_genesis(agents: Sequence[Person], name: str = "light") -> Genesis:
    return Genesis(
        PROTOCOL_VERSION,
        name,
        START_MS,
        SLOT_MS,
        HEARTBEAT_MS,
        tuple(
            GenesisAgent(one.address, votes_key(one).address, Person(f"{one.name} m").address)
            for one in agents
        ),
        (),
    )


def id_of(raw: bytes) -> bytes:
    """The id of a signed transaction."""
    return transaction_id(msgspec.msgpack.decode(raw, type=SignedTransaction).payload)


class HeaderChain:
    """A chain of which only headers exist; `sets[e]` are the agents of epoch e."""

    def __init__(
        self,
        sets: Sequence[Sequence[Person]],
        genesis: Genesis | None = None,
        step_ms: int = SLOT_MS,
    ) -> None:
        self.sets = sets
        self.genesis = genesis or make_genesis(sets[0])
        self.chain_id = genesis_chain_id(self.genesis)
        self.tree = StateTree.from_items([(b"akey", b"value"), (b"aother", b"x")])
        self.step_ms = step_ms

    def header(self, height: int, /, **changes: object) -> Header:
        """The header at a height; the last of its epoch names the next agents."""
        epoch = self.epoch_of(height)
        place = height - 1 - epoch * BLOCKS_PER_EPOCH
        is_end = height % BLOCKS_PER_EPOCH == 0 and epoch + 1 < len(self.sets)
        header = Header(
            version=PROTOCOL_VERSION,
            chain_id=self.chain_id,
            epoch=epoch,
            slot=place + 1,
            height=height,
            parent_slot=place,
            parent_hash=NO_HASH,
            time_ms=START_MS + height * self.step_ms,
            proposer=self.sets[epoch][0].address,
            seal=False,
            transactions_root=merkle_root(self.raws(height)),
            state_root=self.tree.root,
            outcomes_root=merkle_root(self.outcomes(height)),
            reveal=NO_HASH,
            parent_signers=bytes(13),
            next_set_hash=hash_agent_set(self.agent_set(epoch + 1)) if is_end else NO_HASH,
        )
        return msgspec.structs.replace(header, **changes)

    def epoch_of(self, height: int) -> int:
        """The epoch of a block; the last one goes on for ever."""
        return min((height - 1) // BLOCKS_PER_EPOCH, len(self.sets) - 1)

    def agent_set(self, epoch: int) -> AgentSet:
        seats = (Seat(one.address, votes_key(one).address, NO_HASH) for one in self.sets[epoch])
        return AgentSet(epoch, NO_HASH, tuple(seats))

    def certify(
        self, header: Header, people: Sequence[Person] | None = None, count: int | None = None
    ) -> bytes:
        people = self.sets[header.epoch] if people is None else people
        subject = (VoteKind.FINALIZE, header.epoch, header.slot, header_hash(encode(header)))
        message = vote_message(self.chain_id, *subject)
        signers = list(enumerate(people))[: compute_quorum(len(people)) if count is None else count]
        votes = [Vote(*subject, seat, sign(votes_key(one).seed, message)) for seat, one in signers]
        return encode(build_certificate(votes))

    def final(self, height: int, /, **changes: object) -> FinalHeader:
        header = self.header(height, **changes)
        return FinalHeader(encode(header), self.certify(header), ())

    def end(self, epoch: int) -> SetChange:
        final = self.final((epoch + 1) * BLOCKS_PER_EPOCH)
        next_set = encode(self.agent_set(epoch + 1))
        return SetChange(final.header, final.certificate, final.descendants, next_set)

    def checkpoint(self, epoch: int) -> Checkpoint:
        return Checkpoint(epoch, header_hash(self.end(epoch).header))

    def headers(self, epochs: Sequence[int], newest: int | None) -> bytes:
        """An answer to `GetHeaders`: these epochs' end blocks, and the header at a height."""
        ends = tuple(self.end(epoch) for epoch in epochs)
        return encode(HeadersAnswer(ends, None if newest is None else self.final(newest)))

    def state(self, height: int, *keys: bytes) -> bytes:
        known = {b"akey": b"value", b"aother": b"x"}
        values = tuple(ProvenValue(known.get(key), self.tree.prove(key)) for key in keys)
        return encode(StateAnswer(self.final(height), values))

    def raws(self, height: int) -> tuple[bytes, ...]:
        """Three transfers in each block."""
        return tuple(self._transfer(height * 3 + place) for place in range(3))

    def outcomes(self, height: int) -> tuple[bytes, ...]:
        return tuple(
            encode(Outcome(id_of(raw), OutcomeStatus.APPLIED, "", 0, 1, b"", ()))
            for raw in self.raws(height)
        )

    def evidence(self, height: int, place: int) -> AnchorEvidence:
        raws, outcomes, final = self.raws(height), self.outcomes(height), self.final(height)
        return AnchorEvidence(
            transaction=raws[place],
            outcome=outcomes[place],
            position=place,
            count=len(raws),
            transaction_path=audit_path(raws, place),
            outcome_path=audit_path(outcomes, place),
            header=final.header,
            certificate=final.certificate,
            descendants=final.descendants,
        )

    def inclusion(self, height: int, *places: int) -> bytes:
        found = tuple(self.evidence(height, place) for place in places)
        return encode(InclusionAnswer(height, found))

    def block(self, height: int) -> bytes:
        return encode(BlockAnswer(self.final(height), self.raws(height)))

    def _transfer(self, nonce: int) -> bytes:
        alice = Person("alice")
        transaction = Transaction(
            self.chain_id,
            alice.address,
            nonce,
            alice.address,
            2_000,
            1_000,
            Transfer(alice.address, 1),
        )
        payload = encode(transaction)
        return encode(
            SignedTransaction(payload, sign(alice.seed, transaction_message(payload)), None)
        )
