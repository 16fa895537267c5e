"""A small chain database, made by the storage itself from blocks that need no node."""

from pathlib import Path

from ledger.codec.canonical import encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import NO_SIGNERS
from ledger.consensus.certificate import build_certificate
from ledger.crypto.domains import NO_HASH, VoteKind, header_hash, transaction_id
from ledger.params import PROTOCOL_VERSION
from ledger.state.commitment import StateTree
from ledger.storage.bodies import BlockBody
from ledger.storage.store import ChainStore, NewBlock
from ledger.types.block import FinalityProof, Header, Vote
from ledger.types.genesis import Genesis
from ledger.types.transaction import SignedTransaction
from tests.support.ledger_lab import make_genesis

FIRST_STATE: dict[bytes, bytes | None] = {b"a": b"1", b"b": b"2"}


class Filler:
    """Appends blocks whose transactions and state are plain bytes."""

    def __init__(self, store: ChainStore) -> None:
        self.store = store
        self.tree = StateTree.from_items(store.state_items())
        self.height = 0
        self.parent = NO_HASH

    def make(
        self, writes: dict[bytes, bytes | None], *payloads: bytes
    ) -> tuple[NewBlock, dict[bytes, bytes | None]]:
        self.height += 1
        raws = [encode(SignedTransaction(payload, bytes(64), None)) for payload in payloads]
        outcomes = [b"outcome of " + payload for payload in payloads]
        header = Header(
            version=PROTOCOL_VERSION,
            chain_id=NO_HASH,
            epoch=0,
            slot=self.height,
            height=self.height,
            parent_slot=self.height - 1,
            parent_hash=self.parent,
            time_ms=self.height * 1_000,
            proposer=NO_HASH,
            seal=False,
            transactions_root=merkle_root(raws),
            state_root=self.tree.apply(writes),
            outcomes_root=merkle_root(outcomes),
            reveal=NO_HASH,
            parent_signers=NO_SIGNERS,
            next_set_hash=NO_HASH,
        )
        encoded = encode(header)
        self.parent = header_hash(encoded)
        vote = Vote(VoteKind.FINALIZE, 0, header.slot, self.parent, 0, bytes(64))
        ids = tuple(map(transaction_id, payloads))
        body = BlockBody(tuple(raws), tuple(outcomes))
        proof = encode(FinalityProof((), build_certificate([vote])))
        return NewBlock(header, self.parent, encoded, proof, body, ids), writes

    def append(self, writes: dict[bytes, bytes | None], *payloads: bytes) -> NewBlock:
        block, writes = self.make(writes, *payloads)
        self.store.commit_block(block, writes)
        return block


def open_store(path: Path, genesis: Genesis | None = None) -> ChainStore:
    return ChainStore.create_or_open(path, genesis or make_genesis(), FIRST_STATE)
