"""Blocks on top of the newest final one: built, executed again, made final.

Rule 1: a header is a function of its slot, time, parent and transactions, so a block is valid when
executing it again gives the same header bytes.
Rule 2: what is committed is exactly what was executed: the result is kept until its block is final.
Blocking work: called from one thread at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.codec.canonical import Decoder, encode
from ledger.codec.merkle import merkle_root
from ledger.consensus.certificate import NO_SIGNERS
from ledger.consensus.state import Proposal, Tip
from ledger.crypto.domains import NO_HASH, header_hash
from ledger.errors import Reason, Rejected, SignerError
from ledger.node.evidence import load_certificate
from ledger.node.views import FinalBlock
from ledger.params import BLOCK_BYTES_MAX, PROTOCOL_VERSION
from ledger.ports import ContractExecutor, OnionKeeper
from ledger.state.agents import get_known_agent
from ledger.state.commitment import StateTree
from ledger.state.epochs import get_epoch
from ledger.state.transition import (
    BlockContext,
    BlockResult,
    CheckedTransaction,
    apply_block,
    check_transaction,
    select_transactions,
)
from ledger.storage.store import ChainStore, NewBlock
from ledger.types.agent_set import hash_agent_set
from ledger.types.block import Block, Certificate, Header
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

_headers = Decoder(Header)


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    """A new block, and the transactions left out of it because they could not be run, with why."""

    proposal: Proposal
    failed: tuple[tuple[CheckedTransaction, Rejected], ...]


@dataclass(frozen=True, slots=True)
class _Executed:
    block_hash: bytes
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
        onion: OnionKeeper | None = None,
    ) -> None:
        self._store = store
        self._tree = tree
        self._genesis = genesis
        self._executor = executor
        self._onion = onion
        self._executed: _Executed | None = None
        self.chain_id = genesis_chain_id(genesis)
        self.tip = self._load_tip()

    def build(
        self, slot: int, time_ms: int, transactions: Sequence[CheckedTransaction]
    ) -> BuiltBlock:
        """Return a block of those of the `transactions` that can be run; see `select_transactions`."""
        context = self._context(slot, time_ms, self._reveal())
        selected = select_transactions(self._store, context, transactions, self._executor)
        proposal = self._propose(context, selected.transactions, selected.result)
        return BuiltBlock(proposal, selected.failed)

    def validate(self, proposal: Proposal) -> Rejected | None:
        """Execute a block on top of the tip; None when it is valid. Raises `ExecutorError`."""
        header = proposal.header
        if sum(map(len, proposal.block.transactions)) > BLOCK_BYTES_MAX:
            return Rejected(
                Reason.TOO_LARGE, f"block {header.height} exceeds {BLOCK_BYTES_MAX} bytes"
            )
        if header.time_ms < self.tip.time_ms + self._genesis.slot_ms:
            return Rejected(
                Reason.BAD_BLOCK, f"block {header.height} comes too soon after its parent"
            )
        checked: list[CheckedTransaction] = []
        for raw in proposal.block.transactions:
            transaction = check_transaction(raw, self.chain_id)
            if isinstance(transaction, Rejected):
                return transaction
            checked.append(transaction)
        context = self._context(header.slot, header.time_ms, header.reveal)
        result = apply_block(self._store, context, checked, self._executor)
        if isinstance(result, Rejected):
            return result
        again = self._propose(context, checked, result)
        if again.block != proposal.block:
            return Rejected(
                Reason.BAD_BLOCK, f"block {header.height} is not what executing it gives"
            )
        return None

    def commit(self, proposal: Proposal, certificate: Certificate) -> FinalBlock:
        """Make the block that was executed last final, durably; it is then the tip."""
        executed = self._executed
        assert executed is not None, "a block is executed before it is final"
        assert executed.block_hash == proposal.hash, "another block was executed last"
        rows = zip(executed.transactions, executed.outcomes_encoded, strict=True)
        block = NewBlock(
            header=proposal.header,
            hash=proposal.hash,
            header_bytes=proposal.block.header,
            certificate=encode(certificate),
            transactions=tuple((checked.id, checked.raw, outcome) for checked, outcome in rows),
        )
        self._store.commit_block(block, executed.result.writes)
        root = self._tree.apply(executed.result.writes)
        assert root == proposal.header.state_root, "the tree and the header grew apart"
        self._executed = None
        self.tip = _tip_of(proposal.header, proposal.hash, certificate)
        return FinalBlock(
            proposal.header,
            proposal.hash,
            certificate,
            executed.transactions,
            executed.result.outcomes,
        )

    def persist_proposal(self, proposal: Proposal) -> None:
        """Write a block ahead of our vote for it, durably."""
        self._store.write_ahead_block(proposal.header, proposal.hash, proposal.block)

    def persist_certificate(self, certificate: Certificate) -> None:
        """Write a certificate ahead of votes that rest on it, durably."""
        self._store.write_ahead_certificate(certificate)

    def recover(self) -> tuple[tuple[Proposal, ...], tuple[Certificate, ...]]:
        """Return the blocks and certificates that were written ahead and are not yet final."""
        log = self._store.consensus_log()
        proposals = tuple(
            Proposal(_headers.decode(block.header), header_hash(block.header), block)
            for block in log.blocks
        )
        return proposals, log.certificates

    def _load_tip(self) -> Tip:
        """Return the newest final block; the genesis stands at height 0 under the chain's id."""
        stored = self._store.tip()
        if stored is None:
            time_ms = self._genesis.time_ms
            return Tip(height=0, slot=0, hash=self.chain_id, time_ms=time_ms, signers=NO_SIGNERS)
        agent_keys = [agent.consensus for agent in self._genesis.agents]
        certificate = load_certificate(self._store, stored, agent_keys)
        return _tip_of(stored.header, stored.hash, certificate)

    def _reveal(self) -> bytes:
        """Return what our block reveals; raise `SignerError` where our onion cannot be opened."""
        commitment = get_known_agent(self._store, self._genesis.agents[0].node).onion
        if commitment == NO_HASH:
            return NO_HASH
        if self._onion is None:
            raise SignerError("this node has an onion on the chain and nobody here who opens it")
        return self._onion.reveal(commitment)

    def _context(self, slot: int, time_ms: int, reveal: bytes) -> BlockContext:
        """Return what the transactions of a block on top of the tip see."""
        epoch = get_epoch(self._store)
        is_root = self.tip.height == epoch.root_height
        return BlockContext(
            self.chain_id,
            self.tip.height + 1,
            time_ms,
            proposer=self._genesis.agents[0].node,
            epoch=epoch.epoch,
            slot=slot,
            parent_slot=0 if is_root else self.tip.slot,
            parent_signers=NO_SIGNERS if is_root else self.tip.signers,
            reveal=reveal,
        )

    def _propose(
        self,
        context: BlockContext,
        transactions: Sequence[CheckedTransaction],
        result: BlockResult,
    ) -> Proposal:
        """Return the block of executed transactions on top of the tip, and keep what it does."""
        raws = tuple(checked.raw for checked in transactions)
        outcomes = tuple(encode(outcome) for outcome in result.outcomes)
        header = Header(
            version=PROTOCOL_VERSION,
            chain_id=self.chain_id,
            epoch=context.epoch,
            slot=context.slot,
            height=context.height,
            parent_slot=context.parent_slot,
            parent_hash=self.tip.hash,
            time_ms=context.time_ms,
            proposer=context.proposer,
            seal=False,
            transactions_root=merkle_root(raws),
            state_root=self._tree.root_after(result.writes),
            outcomes_root=merkle_root(outcomes),
            reveal=context.reveal,
            parent_signers=context.parent_signers,
            next_set_hash=NO_HASH if result.next_set is None else hash_agent_set(result.next_set),
        )
        block = Block(encode(header), raws)
        block_hash = header_hash(block.header)
        self._executed = _Executed(block_hash, tuple(transactions), result, outcomes)
        return Proposal(header, block_hash, block)


def _tip_of(header: Header, block_hash: bytes, certificate: Certificate) -> Tip:
    return Tip(header.height, header.slot, block_hash, header.time_ms, certificate.signers)
