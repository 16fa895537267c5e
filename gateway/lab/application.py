"""The smallest application that consensus can order blocks for: a chained state root, and epochs.

A transaction that begins with BAD makes its block invalid, as one without funds would.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ledger.codec.canonical import encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import Proposal
from ledger.consensus.effects import BuildBlock
from ledger.consensus.epoch import Epoch, Tip
from ledger.crypto.domains import NO_HASH, header_hash
from ledger.crypto.hashing import sha256
from ledger.params import PROTOCOL_VERSION
from ledger.types.block import Block, Header

BAD = b"BAD"

Members = Callable[
    [int], tuple[tuple[bytes, bytes], ...]
]  # epoch -> (node id, public key), in order


@dataclass(frozen=True, slots=True)
class LabApplication:
    """Rules that every node of a run shares. `epoch_blocks` 0: there is one epoch."""

    chain_id: bytes
    members: Members
    epoch_blocks: int = 0

    def open_epoch(self, number: int, root: Tip, node: bytes) -> Epoch:
        """Return an epoch as this node takes part in it."""
        members = self.members(number)
        nodes = tuple(member for member, _ in members)
        return Epoch(
            number=number,
            nodes=nodes,
            keys=tuple(key for _, key in members),
            order_seed=sha256(root.hash),
            root=root,
            our_seat=nodes.index(node) if node in nodes else None,
        )

    def build(
        self, wanted: BuildBlock, parent_root: bytes, transactions: tuple[bytes, ...]
    ) -> Proposal:
        """Return the block that was asked for on a parent with this state root."""
        height = wanted.parent.height + 1
        header = Header(
            version=PROTOCOL_VERSION,
            chain_id=self.chain_id,
            epoch=wanted.epoch.number,
            slot=wanted.slot,
            height=height,
            parent_slot=wanted.parent.slot,
            parent_hash=wanted.parent.hash,
            time_ms=wanted.time_ms,
            proposer=wanted.epoch.nodes[wanted.epoch.leader(wanted.slot)],
            seal=False,
            transactions_root=merkle_root(transactions),
            state_root=execute(parent_root, transactions),
            outcomes_root=merkle_root(()),
            reveal=NO_HASH,
            parent_signers=wanted.parent_signers,
            next_set_hash=self._next_set_hash(wanted.epoch, height),
        )
        block = Block(encode(header), transactions)
        return Proposal(header, header_hash(block.header), block)

    def find_fault(self, proposal: Proposal, parent_root: bytes, epoch: Epoch) -> str | None:
        """Execute a block on a parent with this state root; say what is wrong with it, or None."""
        header, transactions = proposal.header, proposal.block.transactions
        if any(transaction.startswith(BAD) for transaction in transactions):
            return "a transaction that may not stand in a block"
        if header.state_root != execute(parent_root, transactions):
            return "not the state that executing it gives"
        if header.next_set_hash != self._next_set_hash(epoch, header.height):
            return "not the next set, or not at the end of the epoch"
        return None

    def _next_set_hash(self, epoch: Epoch, height: int) -> bytes:
        if not self.epoch_blocks or height < epoch.root.height + self.epoch_blocks:
            return NO_HASH
        return sha256(b"".join(node + key for node, key in self.members(epoch.number + 1)))


def execute(parent_root: bytes, transactions: tuple[bytes, ...]) -> bytes:
    """Return the state root behind a block of these transactions."""
    return sha256(parent_root + merkle_root(transactions))
