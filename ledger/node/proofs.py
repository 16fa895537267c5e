"""Proofs of the newest final state: what stands under a key, against a header that is final.

For any thread but the event loop's: each proof opens the database for itself.
"""

from pathlib import Path

from ledger.codec.canonical import encode
from ledger.errors import CorruptStorageError, Reason, Rejected
from ledger.light import StateEvidence
from ledger.node.chain import Chain
from ledger.node.evidence import load_proof, load_set_changes
from ledger.params import CONTRACT_KEY_BYTES_MAX
from ledger.storage.faults import describe_corruption
from ledger.storage.reader import ChainReader
from ledger.types.genesis import Genesis

KEY_BYTES_MAX = 1 + 32 + CONTRACT_KEY_BYTES_MAX  # the longest key of the state


class StateProver:
    """Hands out proofs of a chain's newest final state."""

    def __init__(self, path: Path, chain: Chain, genesis: Genesis) -> None:
        self._path = path
        self._chain = chain
        self._genesis = genesis

    def prove(self, key: bytes) -> StateEvidence | Rejected:
        """Return what proves what stands under `key`; `Rejected` while there is no block yet."""
        if not 0 < len(key) <= KEY_BYTES_MAX:
            return Rejected(Reason.OUT_OF_RANGE, f"a key of the state has 1..{KEY_BYTES_MAX} bytes")
        reader = ChainReader.open(self._path)
        try:
            return self._prove(key, reader)
        finally:
            reader.close()

    def _prove(self, key: bytes, reader: ChainReader) -> StateEvidence | Rejected:
        tip, value, proof = self._chain.prove(key, reader)
        block = reader.block(tip.height) if tip.height else None
        if block is None:
            return Rejected(Reason.BUSY, "there is no final block yet: ask again")
        if not block.proof and reader.block(tip.height + 1) is None:
            return Rejected(Reason.BUSY, "the newest block's certificate is on its way: ask again")
        if block.hash != tip.hash:
            detail = f"block {tip.height} is not the one that was written"
            raise CorruptStorageError(describe_corruption(reader.path, detail))
        final = load_proof(reader, block, self._genesis)
        return StateEvidence(
            key=key,
            value=value,
            proof=proof,
            header=block.header_bytes,
            certificate=encode(final.certificate),
            descendants=final.headers,
            set_changes=load_set_changes(reader, block.header.epoch, self._genesis),
        )
