"""Blocks above the newest final one: built, executed again, made final.

Rule 1: a header is a function of its place, time, reveal, participation and transactions, so a block
is valid when executing it again gives the same header bytes.
Rule 2: what is committed is exactly what was executed (`pending`). Blocks may stand on others that are
not final yet.
Blocking work: called from one thread at a time, but for `pending.view_at` and `prove`.
"""

import threading
from collections.abc import Sequence

from ledger.codec.canonical import Decoder, encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import Proposal
from ledger.consensus.effects import BuildBlock
from ledger.consensus.epoch import Tip
from ledger.crypto.domains import NO_HASH, header_hash
from ledger.errors import Reason, Rejected, SignerError
from ledger.node.checking import TransactionChecker
from ledger.node.final_blocks import FinalBlocks
from ledger.node.pending import PendingBlocks
from ledger.node.views import BuiltBlock, FinalBlock
from ledger.params import BLOCK_BYTES_MAX, PROTOCOL_VERSION
from ledger.ports import ContractExecutor, OnionKeeper
from ledger.state.agents import get_known_agent
from ledger.state.commitment import StateProof, StateTree
from ledger.state.overlay import StateReader
from ledger.state.transition import (
    BlockContext,
    BlockResult,
    CheckedTransaction,
    apply_block,
    list_account_keys,
    select_transactions,
)
from ledger.storage.bodies import BlockBody
from ledger.storage.store import ChainStore, NewBlock
from ledger.types.agent_set import hash_agent_set
from ledger.types.block import Block, Certificate, FinalityProof, Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

_headers = Decoder(Header)


class Chain:
    """The chain that grows: its store, the commitment to its state, and the rules to extend it.

    `final` reads what is final, `pending` holds the blocks above it.
    """

    def __init__(
        self,
        store: ChainStore,
        tree: StateTree,
        genesis: Genesis,
        executor: ContractExecutor,
        *,
        node_id: bytes,
        onion: OnionKeeper | None = None,
    ) -> None:
        self._store = store
        self._tree = tree
        self._genesis = genesis
        self._executor = executor
        self.chain_id = genesis_chain_id(genesis)
        self._committing = threading.Lock()
        self._checker = TransactionChecker(self.chain_id)
        self._node = node_id
        self._onion = onion
        self.pending = PendingBlocks(tree)
        self.final = FinalBlocks(store, genesis, node_id)
        self.tip, self._proof = self.final.load_tip()

    def close(self) -> None:
        """End what checks transactions; the store is its owner's."""
        self._checker.close()

    def build(self, wanted: BuildBlock, transactions: Sequence[CheckedTransaction]) -> BuiltBlock:
        """Return a block of those of the `transactions` that can be run; see `select_transactions`."""
        parent = wanted.parent
        view = self.pending.view_at(self._store, parent.hash)
        context = BlockContext(
            self.chain_id,
            parent.height + 1,
            wanted.time_ms,
            proposer=wanted.epoch.nodes[wanted.epoch.leader(wanted.slot)],
            epoch=wanted.epoch.number,
            slot=wanted.slot,
            parent_slot=parent.slot,
            parent_signers=wanted.parent_signers,
            reveal=self._reveal(view),
        )
        self._store.preload(list_account_keys(transactions))
        selected = select_transactions(view, context, transactions, self._executor)
        proposal = self._propose(context, parent.hash, selected.transactions, selected.result)
        return BuiltBlock(proposal, selected.failed)

    def expect(self, blocks: Sequence[Block]) -> None:
        """Begin to check the transactions of blocks that will probably be validated next, in order."""
        self._checker.expect([block.transactions for block in blocks])

    def validate(self, proposal: Proposal) -> Rejected | None:
        """Execute a block on its parent; None when it is valid. Raises `ExecutorError`.

        The parent is the tip, or was itself built or found valid.
        """
        header = proposal.header
        if sum(map(len, proposal.block.transactions)) > BLOCK_BYTES_MAX:
            detail = f"block {header.height} exceeds {BLOCK_BYTES_MAX} bytes"
            return Rejected(Reason.TOO_LARGE, detail)
        parent = self._find_parent(header)
        if parent is None:
            return Rejected(Reason.BAD_BLOCK, f"block {header.height} stands on an unknown block")
        if header.time_ms < parent.time_ms + self._genesis.slot_ms:
            detail = f"block {header.height} comes too soon after its parent"
            return Rejected(Reason.BAD_BLOCK, detail)
        checked = self._checker.check(proposal.block.transactions)
        if isinstance(checked, Rejected):
            return checked
        return self._execute_again(proposal, parent, checked)

    def _execute_again(
        self, proposal: Proposal, parent: Tip, checked: Sequence[CheckedTransaction]
    ) -> Rejected | None:
        header = proposal.header
        view = self.pending.view_at(self._store, parent.hash)
        context = BlockContext(
            self.chain_id,
            parent.height + 1,
            header.time_ms,
            proposer=header.proposer,
            epoch=header.epoch,
            slot=header.slot,
            parent_slot=header.parent_slot,
            parent_signers=header.parent_signers,
            reveal=header.reveal,
        )
        self._store.preload(list_account_keys(checked))
        result = apply_block(view, context, checked, self._executor)
        if isinstance(result, Rejected):
            return result
        if self._propose(context, parent.hash, checked, result).block != proposal.block:
            detail = f"block {header.height} is not what executing it gives"
            return Rejected(Reason.BAD_BLOCK, detail)
        return None

    def commit(self, proposal: Proposal, proof: FinalityProof | None) -> FinalBlock:
        """Make an executed block on top of the tip final, durably; it is then the tip."""
        header, executed = proposal.header, self.pending.get(proposal.hash)
        assert executed is not None, "a block is executed before it is final"
        assert executed.parent_hash == self.tip.hash, "blocks become final in order"
        block = NewBlock(
            header,
            proposal.hash,
            header_bytes=proposal.block.header,
            proof=b"" if proof is None else encode(proof),
            body=BlockBody(proposal.block.transactions, executed.outcomes_encoded),
            ids=tuple(checked.id for checked in executed.transactions),
            next_set=b"" if executed.result.next_set is None else encode(executed.result.next_set),
        )
        with self._committing:
            self._store.commit_block(block, executed.result.writes)
            root = self._tree.apply(executed.result.writes)
            self.tip = executed.tip
        assert root == header.state_root, "the tree and the header grew apart"
        self.pending.drop_up_to(header.height)
        self._proof = proof
        outcomes = executed.result.outcomes
        return FinalBlock(header, proposal.hash, executed.transactions, outcomes)

    def prove(self, key: bytes, reader: StateReader) -> tuple[Tip, bytes | None, StateProof]:
        """Return the tip, what stands under `key` behind it, and the proof; `reader` is the caller's."""
        with self._committing:
            return self.tip, reader.get(key), self._tree.prove(key)

    def persist_proposal(self, proposal: Proposal) -> None:
        """Write a block ahead of our vote for it, durably."""
        self._store.write_ahead_block(proposal.header, proposal.hash, proposal.block)

    def persist_certificate(self, certificate: Certificate) -> None:
        """Write a certificate ahead of votes that rest on it, durably."""
        self._store.write_ahead_certificate(certificate)

    def recover(self) -> tuple[tuple[Proposal, ...], tuple[Certificate, ...]]:
        """Return what was written ahead and is not yet final, and the tip's own certificate."""
        log = self._store.consensus_log()
        proposals = tuple(
            Proposal(_headers.decode(block.header), header_hash(block.header), block)
            for block in log.blocks
        )
        if self._proof is None or self._proof.headers:
            return proposals, log.certificates
        return proposals, (self._proof.certificate, *log.certificates)

    def _find_parent(self, header: Header) -> Tip | None:
        if header.parent_hash == self.tip.hash:
            return self.tip
        executed = self.pending.get(header.parent_hash)
        return None if executed is None else executed.tip

    def _reveal(self, view: StateReader) -> bytes:
        """Return what our block reveals; raise `SignerError` where our onion cannot be opened."""
        commitment = get_known_agent(view, self._node).onion
        if commitment == NO_HASH:
            return NO_HASH
        if self._onion is None:
            raise SignerError("this node has an onion on the chain and nobody here who opens it")
        return self._onion.reveal(commitment)

    def _propose(
        self,
        context: BlockContext,
        parent_hash: bytes,
        transactions: Sequence[CheckedTransaction],
        result: BlockResult,
    ) -> Proposal:
        """Return the block of executed transactions in its place, and keep what it does."""
        raws = tuple(checked.raw for checked in transactions)
        outcomes = tuple(encode(outcome) for outcome in result.outcomes)
        header = Header(
            version=PROTOCOL_VERSION,
            chain_id=self.chain_id,
            epoch=context.epoch,
            slot=context.slot,
            height=context.height,
            parent_slot=context.parent_slot,
            parent_hash=parent_hash,
            time_ms=context.time_ms,
            proposer=context.proposer,
            seal=False,
            transactions_root=merkle_root(raws),
            state_root=self.pending.compute_root(parent_hash, result),
            outcomes_root=merkle_root(outcomes),
            reveal=context.reveal,
            parent_signers=context.parent_signers,
            next_set_hash=NO_HASH if result.next_set is None else hash_agent_set(result.next_set),
        )
        block = Block(encode(header), raws)
        proposal = Proposal(header, header_hash(block.header), block)
        self.pending.add(proposal, tuple(transactions), result, outcomes)
        return proposal
