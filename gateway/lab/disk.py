"""A disk that can lose power at any write: what a node remembers of its past lives is in here.

A write of the chain database is a transaction: whole or not there. A write of the guard is 512 bytes
in place: it can be torn. The guard's slots are the real ones, byte for byte.
"""

from dataclasses import dataclass, field

from gateway.smart_agent.guard_record import (
    SLOT_BYTES,
    StoredRecord,
    decode_slot,
    encode_slot,
)
from gateway.smart_agent.judge import FIRST_RECORD, SignRecord
from ledger.consensus.blocks import Proposal
from ledger.consensus.epoch import Tip
from ledger.types.block import Certificate, FinalityProof


class PowerCut(Exception):  # noqa: N818 - it is what happens, not what goes wrong in our code
    """The power went during a write."""


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A committed block and its proof, if it has one of its own."""

    proposal: Proposal
    proof: FinalityProof | None


@dataclass(slots=True)
class Disk:
    """All that is durable. `chain[i]` is the block of height i + 1."""

    genesis: Tip
    chain: list[FinalBlock] = field(default_factory=list)
    blocks: dict[bytes, Proposal] = field(default_factory=dict)
    certificates: list[Certificate] = field(default_factory=list)
    guard: list[bytes] = field(
        default_factory=lambda: [encode_slot(StoredRecord(i, FIRST_RECORD)) for i in (0, 1)]
    )
    writes: int = 0
    cut_at: int | None = None  # the number of the write during which the power goes
    cut_before: bool = False  # whether that write leaves nothing, or (guard) half of its bytes

    def write_block(self, proposal: Proposal) -> None:
        """Write a block ahead."""
        survives = self._begin()
        if survives:
            self.blocks[proposal.hash] = proposal
        self._end()

    def write_certificate(self, certificate: Certificate) -> None:
        """Write a certificate ahead."""
        if self._begin():
            self.certificates.append(certificate)
        self._end()

    def commit(self, proposal: Proposal, proof: FinalityProof | None) -> None:
        """Append a final block and drop what the log holds up to its slot, in one transaction."""
        if self._begin():
            header = proposal.header
            assert header.height == len(self.chain) + 1, "a block is committed in its place"
            self.chain.append(FinalBlock(proposal, proof))
            place = (header.epoch, header.slot)
            self.certificates = [c for c in self.certificates if (c.epoch, c.slot) > place]
            self.blocks = {
                h: b for h, b in self.blocks.items() if (b.header.epoch, b.header.slot) > place
            }
        self._end()

    def write_guard(self, record: SignRecord) -> None:
        """Write the guard's record over the older of its two slots."""
        counter = self._newest().counter + 1
        encoded = encode_slot(StoredRecord(counter, record))
        place = counter % 2
        if self._begin():
            self.guard[place] = encoded
        else:
            self.guard[place] = encoded[: SLOT_BYTES // 3] + self.guard[place][SLOT_BYTES // 3 :]
        self._end()

    @property
    def guard_record(self) -> SignRecord:
        """The newest good record."""
        return self._newest().record

    def _newest(self) -> StoredRecord:
        good = [stored for raw in self.guard if (stored := decode_slot(raw)) is not None]
        return max(good, key=lambda stored: stored.counter)

    def _begin(self) -> bool:
        """Count a write; tell whether it reaches the disk."""
        self.writes += 1
        return not (self.cut_at == self.writes and self.cut_before)

    def _end(self) -> None:
        if self.cut_at == self.writes:
            self.cut_at = None
            raise PowerCut
