"""What is final, read from the store: the newest block, the running epoch, blocks that peers ask for.

Blocking work, on the chain's thread.
"""

from ledger.codec.canonical import Decoder
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.serving import FinalEntry
from ledger.node.evidence import load_proof
from ledger.node.pending import tip_of
from ledger.node.upgrades import check_rules_known
from ledger.state.epochs import get_agent_set, get_epoch
from ledger.storage.reader import ChainReader
from ledger.types.block import Block, FinalityProof
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

RECENT_BLOCKS = 64  # final blocks that a peer may ask for by hash: those of the consensus window

_proofs = Decoder(FinalityProof)


class FinalBlocks:
    """The final chain as the node of `node_id` sees it."""

    def __init__(self, store: ChainReader, genesis: Genesis, node_id: bytes) -> None:
        self._store = store
        self._genesis = genesis
        self._node = node_id
        self._first = Tip(0, 0, genesis_chain_id(genesis), genesis.time_ms)

    def load_tip(self) -> tuple[Tip, FinalityProof | None]:
        """Return the newest final block; the genesis stands at height 0 under the chain's id.

        It has no proof where a crash came between it and the block that the proof is about.
        """
        stored = self._store.tip()
        if stored is None:
            return self._first, None
        proof = load_proof(self._store, stored, self._genesis) if stored.proof else None
        return tip_of(stored.header, stored.hash), proof

    def load_epoch(self) -> Epoch:
        """Return the running epoch; raise `UpgradeNeededError` where its rules are not known here."""
        check_rules_known(self._store)
        agents = get_agent_set(self._store)
        nodes = tuple(seat.node for seat in agents.seats)
        return Epoch(
            number=agents.epoch,
            nodes=nodes,
            keys=tuple(seat.consensus for seat in agents.seats),
            order_seed=agents.order_seed,
            root=self._load_root(),
            our_seat=nodes.index(self._node) if self._node in nodes else None,
        )

    def open_epoch(self, number: int, root: Tip) -> Epoch:
        """Return the epoch that starts on its end block, which is final by now."""
        opened = self.load_epoch()
        assert (opened.number, opened.root) == (number, root), "state and consensus grew apart"
        return opened

    def load_place(self, tip: Tip) -> Tip:
        """Return the newest final block as the running epoch refers to it: its root has slot 0."""
        root = self._load_root()
        return root if root.height == tip.height else tip

    def read(self, height: int) -> FinalEntry | None:
        """Return the final block at a height for a peer, or None when it is not here."""
        stored = self._store.block(height)
        if stored is None or height <= self._store.pruned_height():
            return None
        raws = tuple(transaction.raw for transaction in self._store.transactions(stored))
        proof = _proofs.decode(stored.proof) if stored.proof else None
        return FinalEntry(stored.header.epoch, Block(stored.header_bytes, raws), proof)

    def find_recent(self, block_hash: bytes, tip_height: int) -> Block | None:
        """Return one of the newest final blocks for a peer."""
        for height in range(tip_height, max(0, tip_height - RECENT_BLOCKS), -1):
            stored = self._store.block(height)
            if stored is not None and stored.hash == block_hash:
                entry = self.read(height)
                return None if entry is None else entry.block
        return None

    def _load_root(self) -> Tip:
        height = get_epoch(self._store).root_height
        if height == 0:
            return self._first
        stored = self._store.block(height)
        assert stored is not None, "the root of the epoch is a final block"
        return Tip(height, 0, stored.hash, stored.header.time_ms)
