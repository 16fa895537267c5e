"""Proofs of the newest final state: what stands under a key, against a header that is final.

For any thread but the event loop's: each proof opens the database for itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.codec.canonical import encode
from ledger.errors import CorruptStorageError, Reason, Rejected
from ledger.light import StateEvidence
from ledger.network.light_messages import STATE_KEY_BYTES_MAX
from ledger.node.chain import Chain
from ledger.node.evidence import load_proof, load_set_changes
from ledger.state.commitment import StateProof
from ledger.storage.faults import describe_corruption
from ledger.storage.reader import ChainReader, StoredBlock
from ledger.types.genesis import Genesis

ONE_MOMENT_TRIES = 5  # blocks are far longer apart than a few proofs take


@dataclass(frozen=True, slots=True)
class ProvenKeys:
    """What stands under some keys behind one final block, in the order in which they were asked for."""

    block: StoredBlock
    values: tuple[tuple[bytes | None, StateProof], ...]


class StateProver:
    """Hands out proofs of a chain's newest final state."""

    def __init__(self, path: Path, chain: Chain, genesis: Genesis) -> None:
        self._path = path
        self._chain = chain
        self._genesis = genesis

    def prove(self, key: bytes) -> StateEvidence | Rejected:
        """Return what proves what stands under `key`; `Rejected` while there is no block yet.

        Raises `UnprovenError` where the newest block's proof is to come.
        """
        reader = ChainReader.open(self._path)
        try:
            proven = self.prove_all((key,), reader)
            if isinstance(proven, Rejected):
                return proven
            ((value, proof),) = proven.values
            final = load_proof(reader, proven.block, self._genesis)
            return StateEvidence(
                key=key,
                value=value,
                proof=proof,
                header=proven.block.header_bytes,
                certificate=encode(final.certificate),
                descendants=final.headers,
                set_changes=load_set_changes(reader, proven.block.header.epoch, self._genesis),
            )
        finally:
            reader.close()

    def prove_all(self, keys: Sequence[bytes], reader: ChainReader) -> ProvenKeys | Rejected:
        """Prove several keys behind one and the same block; the reader is the caller's."""
        if not all(0 < len(key) <= STATE_KEY_BYTES_MAX for key in keys):
            return Rejected(
                Reason.OUT_OF_RANGE, f"a key of the state has 1..{STATE_KEY_BYTES_MAX} bytes"
            )
        for _ in range(ONE_MOMENT_TRIES):
            found = [self._chain.prove(key, reader) for key in keys]
            if len({tip.hash for tip, _, _ in found}) == 1:
                break
        else:
            return Rejected(Reason.BUSY, "blocks come faster than proofs: ask again")
        tip = found[0][0]
        block = reader.block(tip.height) if tip.height else None
        if block is None:
            return Rejected(Reason.BUSY, "there is no final block yet: ask again")
        if block.hash != tip.hash:
            detail = f"block {tip.height} is not the one that was written"
            raise CorruptStorageError(describe_corruption(reader.path, detail))
        values = tuple((value, proof) for _, value, proof in found)
        return ProvenKeys(block, values)
