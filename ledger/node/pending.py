"""Blocks above the newest final one that were executed here: what each of them does, layer upon layer.

Rule: what is committed is exactly what was executed: a result is kept by its block's hash until a block
of its height is final. From one thread at a time, but for `view_at`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.consensus.blocks import Proposal
from ledger.consensus.epoch import Tip
from ledger.state.commitment import StateTree
from ledger.state.overlay import Overlay, StateReader
from ledger.state.transition import BlockResult, CheckedTransaction
from ledger.types.block import Header

Writes = Mapping[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class PendingBlock:
    """A block that is not final yet, with what it does."""

    parent_hash: bytes
    tip: Tip
    transactions: tuple[CheckedTransaction, ...]
    result: BlockResult
    outcomes_encoded: tuple[bytes, ...]


class PendingBlocks:
    """The executed blocks by their hashes; each stands on the newest final block or on another one."""

    def __init__(self, tree: StateTree) -> None:
        self._tree = tree
        self._blocks: dict[bytes, PendingBlock] = {}

    def get(self, block_hash: bytes) -> PendingBlock | None:
        """Return an executed block, or None."""
        return self._blocks.get(block_hash)

    def add(
        self,
        proposal: Proposal,
        transactions: tuple[CheckedTransaction, ...],
        result: BlockResult,
        outcomes_encoded: tuple[bytes, ...],
    ) -> None:
        """Keep what a block does."""
        tip = tip_of(proposal.header, proposal.hash)
        self._blocks[proposal.hash] = PendingBlock(
            proposal.header.parent_hash, tip, transactions, result, outcomes_encoded
        )

    def drop_up_to(self, height: int) -> None:
        """Forget the blocks up to a height that has become final."""
        self._blocks = {h: b for h, b in self._blocks.items() if b.tip.height > height}

    def view_at(self, final: StateReader, block_hash: bytes) -> StateReader:
        """Return the state behind an executed block, or the tip, over a reader of the final one.

        From any thread: blocks that are executed meanwhile make no difference to it.
        """
        layers = self._writes_up_to(block_hash)
        if not layers:
            return final
        view = Overlay(final)
        for writes in layers:
            view.writes.update(writes)
        return view

    def compute_root(self, parent_hash: bytes, result: BlockResult) -> bytes:
        """Return the state root behind a block on this parent."""
        layers = [*self._writes_up_to(parent_hash), result.writes]
        if len(layers) == 1:  # the usual case: what is hashed now need not be again at commit
            return self._tree.root_after(result.writes)
        return self._tree.root_after({k: v for writes in layers for k, v in writes.items()})

    def _writes_up_to(self, block_hash: bytes) -> list[Writes]:
        """Return what each block from above the tip to this one changed, the lowest first."""
        layers: list[Writes] = []
        block = self._blocks.get(block_hash)
        while block is not None:
            layers.append(block.result.writes)
            block = self._blocks.get(block.parent_hash)
        layers.reverse()
        return layers


def tip_of(header: Header, block_hash: bytes) -> Tip:
    """Return a block's place in the chain."""
    return Tip(header.height, header.slot, block_hash, header.time_ms)
