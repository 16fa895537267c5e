"""A SmartAgent's consensus key in this process, with the sign guard's rules and its lasting record."""

from dataclasses import dataclass, field

from ledger.crypto.domains import VoteKind, vote_message
from ledger.crypto.ed25519 import derive_public_key, sign
from ledger.errors import SignerError, VoteRefusedError


@dataclass
class GuardRecord:
    """What survives every crash of signer and node, and every signature that was ever given."""

    epoch: int = 0
    slot: int = 0
    notarized: bytes | None = None
    is_nullified: bool = False
    finalized: bytes | None = None
    signatures: dict[tuple[VoteKind, int, int], set[bytes]] = field(default_factory=dict)

    def find_double_votes(self) -> list[tuple[VoteKind, int, int]]:
        """Return every (kind, epoch, slot) with two blocks, and NULLIFY beside FINALIZE."""
        double = [subject for subject, hashes in self.signatures.items() if len(hashes) > 1]
        both = [
            (kind, epoch, slot)
            for kind, epoch, slot in self.signatures
            if kind is VoteKind.FINALIZE and (VoteKind.NULLIFY, epoch, slot) in self.signatures
        ]
        return double + both


class GuardedSigner:
    """Implements `ledger.ports.VoteSigner`; `is_reachable` may be switched off."""

    def __init__(self, seed: bytes, chain_id: bytes, record: GuardRecord) -> None:
        self._seed = seed
        self._chain_id = chain_id
        self.record = record
        self.is_reachable = True

    @property
    def public_key(self) -> bytes:
        return derive_public_key(self._seed)

    def sign_vote(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> bytes:
        if not self.is_reachable:
            raise SignerError("the SmartAgent does not answer")
        record = self.record
        if (epoch, slot) < (record.epoch, record.slot):
            raise VoteRefusedError(f"slot {slot} is behind the record's slot {record.slot}")
        if (epoch, slot) > (record.epoch, record.slot):
            record.epoch, record.slot = epoch, slot
            record.notarized, record.is_nullified, record.finalized = None, False, None
        self._note(kind, block_hash)
        record.signatures.setdefault((kind, epoch, slot), set()).add(block_hash)
        return sign(self._seed, vote_message(self._chain_id, kind, epoch, slot, block_hash))

    def _note(self, kind: VoteKind, block_hash: bytes) -> None:
        record = self.record
        if kind is VoteKind.NOTARIZE:
            if record.notarized not in (None, block_hash):
                raise VoteRefusedError("another block was notarized in this slot")
            record.notarized = block_hash
        elif kind is VoteKind.NULLIFY:
            if record.finalized is not None:
                raise VoteRefusedError("a block was finalized in this slot")
            record.is_nullified = True
        else:
            if record.is_nullified or record.finalized not in (None, block_hash):
                raise VoteRefusedError("this slot was skipped, or another block finalized in it")
            record.finalized = block_hash
