"""The state commitment over what the database holds, checked before the node builds on it."""

from collections.abc import Mapping

from ledger.errors import CorruptStorageError
from ledger.state.commitment import StateTree
from ledger.storage.faults import describe_corruption
from ledger.storage.reader import ChainReader


def load_state_tree(reader: ChainReader, first_state: Mapping[bytes, bytes | None]) -> StateTree:
    """Return the tree over the stored state.

    Raises `CorruptStorageError` unless its root is the one in the newest block's header, or that of
    `first_state` while there is no block.
    """
    tip = reader.tip()
    expected = StateTree().root_after(first_state) if tip is None else tip.header.state_root
    tree = StateTree.from_items(reader.state_items())
    if tree.root != expected:
        height = 0 if tip is None else tip.header.height
        detail = f"the state does not have the root that block {height} commits to"
        raise CorruptStorageError(describe_corruption(reader.path, detail))
    return tree
