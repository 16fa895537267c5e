"""Blocks above the newest final one: built, executed, made final.

Rule 1: a header is a function of its place, time, reveal, participation and transactions, so a block
is valid when executing it again gives the same header bytes.
Rule 2: what is committed is exactly what was executed: a result is kept by its block's hash until a
block of its height is final. Blocks may stand on others that are not final yet.
Blocking work: called from one thread at a time, but for `view_at` and `prove`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.codec.canonical import Decoder, encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.blocks import Proposal
from ledger.consensus.effects import BuildBlock
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.serving import FinalEntry
from ledger.crypto.domains import NO_HASH, header_hash
from ledger.errors import Reason, Rejected, SignerError
from ledger.node.checking import TransactionChecker
from ledger.node.evidence import load_proof
from ledger.node.upgrades import check_rules_known
from ledger.node.views import BuiltBlock, FinalBlock
from ledger.params import BLOCK_BYTES_MAX, PROTOCOL_VERSION
from ledger.ports import ContractExecutor, OnionKeeper
from ledger.state.agents import get_known_agent
from ledger.state.commitment import StateProof, StateTree
from ledger.state.epochs import get_agent_set, get_epoch
from ledger.state.overlay import Overlay, StateReader
from ledger.state.transition import (
    BlockContext,
    BlockResult,
    CheckedTransaction,
    apply_block,
    select_transactions,
)
from ledger.storage.store import ChainStore, NewBlock
from ledger.types.agent_set import hash_agent_set
from ledger.types.block import Block, Certificate, FinalityProof, Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.stake import EpochState

RECENT_BLOCKS = 64  # final blocks that a peer may ask for by hash: those of the consensus window

_headers = Decoder(Header)
_proofs = Decoder(FinalityProof)


@dataclass(frozen=True, slots=True)
class _Executed:
    """A block that is not final yet, with what it does."""

    parent_hash: bytes
    tip: Tip
    transactions: tuple[CheckedTransaction, ...]
    result: BlockResult
    outcomes_encoded: tuple[bytes, ...]


class Chain:
    """The chain that grows: its store, the commitment to its state, and the rules to extend it."""

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
        self._executed: dict[bytes, _Executed] = {}
        self.chain_id = genesis_chain_id(genesis)
        self._committing = threading.Lock()
        self._checker = TransactionChecker(self.chain_id)
        self._node = node_id
        self._onion = onion
        self._proof: FinalityProof | None = None  # the tip's
        self.tip = self._load_tip()

    def close(self) -> None:
        """End the threads that check transactions; the store is its owner's."""
        self._checker.close()

    def build(self, wanted: BuildBlock, transactions: Sequence[CheckedTransaction]) -> BuiltBlock:
        """Return a block of those of the `transactions` that can be run; see `select_transactions`."""
        parent = wanted.parent
        view = self.view_at(self._store, parent.hash)
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
        selected = select_transactions(view, context, transactions, self._executor)
        proposal = self._propose(context, parent.hash, selected.transactions, selected.result)
        return BuiltBlock(proposal, selected.failed)

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
        view = self.view_at(self._store, parent.hash)
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
        result = apply_block(view, context, checked, self._executor)
        if isinstance(result, Rejected):
            return result
        if self._propose(context, parent.hash, checked, result).block != proposal.block:
            detail = f"block {header.height} is not what executing it gives"
            return Rejected(Reason.BAD_BLOCK, detail)
        return None

    def commit(self, proposal: Proposal, proof: FinalityProof | None) -> FinalBlock:
        """Make an executed block on top of the tip final, durably; it is then the tip."""
        header, executed = proposal.header, self._executed.get(proposal.hash)
        assert executed is not None, "a block is executed before it is final"
        assert executed.parent_hash == self.tip.hash, "blocks become final in order"
        rows = zip(executed.transactions, executed.outcomes_encoded, strict=True)
        block = NewBlock(
            header,
            proposal.hash,
            header_bytes=proposal.block.header,
            proof=b"" if proof is None else encode(proof),
            transactions=tuple((checked.id, checked.raw, outcome) for checked, outcome in rows),
            next_set=b"" if executed.result.next_set is None else encode(executed.result.next_set),
        )
        with self._committing:
            self._store.commit_block(block, executed.result.writes)
            root = self._tree.apply(executed.result.writes)
            self.tip = _tip_of(header, proposal.hash)
        assert root == header.state_root, "the tree and the header grew apart"
        self._executed = {h: e for h, e in self._executed.items() if e.tip.height > header.height}
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

    def load_epoch(self) -> Epoch:
        """Return the running epoch; raise `UpgradeNeededError` where its rules are not known here."""
        check_rules_known(self._store)
        running, agents = get_epoch(self._store), get_agent_set(self._store)
        nodes = tuple(seat.node for seat in agents.seats)
        return Epoch(
            number=agents.epoch,
            nodes=nodes,
            keys=tuple(seat.consensus for seat in agents.seats),
            order_seed=agents.order_seed,
            root=self._load_root(running),
            our_seat=nodes.index(self._node) if self._node in nodes else None,
        )

    def load_place(self) -> Tip:
        """Return the newest final block as the running epoch refers to it: its root has slot 0."""
        root = self._load_root(get_epoch(self._store))
        return root if root.height == self.tip.height else self.tip

    def open_epoch(self, number: int, root: Tip) -> Epoch:
        """Return the epoch that starts on its end block, which is final by now."""
        opened = self.load_epoch()
        assert (opened.number, opened.root) == (number, root), "state and consensus grew apart"
        return opened

    def _load_root(self, running: EpochState) -> Tip:
        if running.root_height == 0:
            return Tip(0, 0, self.chain_id, self._genesis.time_ms)
        stored = self._store.block(running.root_height)
        assert stored is not None, "the root of the epoch is a final block"
        return Tip(running.root_height, 0, stored.hash, stored.header.time_ms)

    def read_final(self, height: int) -> FinalEntry | None:
        """Return the final block at a height for a peer, or None when it is not here."""
        stored = self._store.block(height)
        if stored is None or height <= self._store.pruned_height():
            return None
        raws = tuple(transaction.raw for transaction in self._store.transactions(stored))
        proof = _proofs.decode(stored.proof) if stored.proof else None
        return FinalEntry(stored.header.epoch, Block(stored.header_bytes, raws), proof)

    def find_recent(self, block_hash: bytes) -> Block | None:
        """Return one of the newest final blocks for a peer."""
        lowest = max(0, self.tip.height - RECENT_BLOCKS)
        for height in range(self.tip.height, lowest, -1):
            stored = self._store.block(height)
            if stored is not None and stored.hash == block_hash:
                entry = self.read_final(height)
                return None if entry is None else entry.block
        return None

    def view_at(self, final: StateReader, block_hash: bytes) -> StateReader:
        """Return the state behind an executed block, or the tip, over a reader of the final one.

        From any thread: blocks that are executed meanwhile make no difference to it.
        """
        layers = self._pending_writes(block_hash)
        if not layers:
            return final
        view = Overlay(final)
        for writes in layers:
            view.writes.update(writes)
        return view

    def _load_tip(self) -> Tip:
        """Return the newest final block; the genesis stands at height 0 under the chain's id.

        It has no proof where a crash came between it and the block that the proof is about.
        """
        stored = self._store.tip()
        if stored is None:
            return Tip(0, 0, self.chain_id, self._genesis.time_ms)
        if stored.proof:
            self._proof = load_proof(self._store, stored, self._genesis)
        return _tip_of(stored.header, stored.hash)

    def _find_parent(self, header: Header) -> Tip | None:
        if header.parent_hash == self.tip.hash:
            return self.tip
        executed = self._executed.get(header.parent_hash)
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
            state_root=self._compute_root(parent_hash, result),
            outcomes_root=merkle_root(outcomes),
            reveal=context.reveal,
            parent_signers=context.parent_signers,
            next_set_hash=NO_HASH if result.next_set is None else hash_agent_set(result.next_set),
        )
        block = Block(encode(header), raws)
        proposal = Proposal(header, header_hash(block.header), block)
        tip = _tip_of(header, proposal.hash)
        self._executed[proposal.hash] = _Executed(
            parent_hash, tip, tuple(transactions), result, outcomes
        )
        return proposal

    def _compute_root(self, parent_hash: bytes, result: BlockResult) -> bytes:
        """Return the state root behind a block on this parent."""
        layers = [*self._pending_writes(parent_hash), result.writes]
        if len(layers) == 1:  # the usual case: what is hashed now need not be again at commit
            return self._tree.root_after(result.writes)
        return self._tree.root_after({k: v for writes in layers for k, v in writes.items()})

    def _pending_writes(self, block_hash: bytes) -> list[Mapping[bytes, bytes | None]]:
        """Return what each block from above the tip to this one changed, the lowest first."""
        layers: list[Mapping[bytes, bytes | None]] = []
        executed = self._executed.get(block_hash)
        while executed is not None:
            layers.append(executed.result.writes)
            executed = self._executed.get(executed.parent_hash)
        layers.reverse()
        return layers


def _tip_of(header: Header, block_hash: bytes) -> Tip:
    return Tip(header.height, header.slot, block_hash, header.time_ms)
