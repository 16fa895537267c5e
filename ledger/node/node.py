"""A ledger node: composition of store, state commitment, mempool and slot machine.

Rule: apart from `run`, every method returns at once. All are called on the event loop's thread, but
for `query`, which runs a contract and is for any thread but that one.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from ledger.codec.canonical import Decoder
from ledger.consensus.describing import describe
from ledger.consensus.state import Rules
from ledger.errors import LedgerError, Rejected
from ledger.light import AnchorEvidence, StateEvidence
from ledger.mempool.mempool import Mempool
from ledger.node.blocks import read_block
from ledger.node.chain import Chain
from ledger.node.driver import Driver, NoPeers
from ledger.node.evidence import load_evidence
from ledger.node.execution import SerialExecutor
from ledger.node.failures import FailedTransactions
from ledger.node.own_key import check_own_key
from ledger.node.parts import OnEvidence, OnFinalBlock, OnOwnVote, Parts
from ledger.node.proofs import StateProver
from ledger.node.queries import ContractQueries
from ledger.node.snapshots import SnapshotKeeper
from ledger.node.views import (
    AccountView,
    BlockView,
    IdentityView,
    NodeStatus,
    Progress,
    TakenTransaction,
    TransactionView,
)
from ledger.ports import Clock, ContractExecutor, ExecutionResult, OnionKeeper, PeerLink, VoteSigner
from ledger.state.accounts import get_account
from ledger.state.agents import get_known_agent
from ledger.state.identities import (
    StateIdentityFacts,
    get_lease,
    get_node,
    get_owner,
    get_retirement,
    get_revocation,
    get_software,
)
from ledger.state.keys import device_key
from ledger.state.overlay import StateReader
from ledger.state.transition import check_transaction, genesis_writes
from ledger.storage.reader import ChainReader
from ledger.storage.store import ChainStore
from ledger.storage.verification import load_state_tree
from ledger.types.block import Vote
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import check_genesis
from ledger.types.identity_records import Revocation, Software
from ledger.types.messages import Message
from ledger.types.outcome import Outcome
from ledger.types.records import Device

_devices = Decoder(Device)
_outcomes = Decoder(Outcome)


def _ignore(*_votes: Vote) -> None:
    """An agent that is alone sees no votes but its own."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Who a node is and whom it tells what: the ways out of the chain, all called on the event loop.

    `on_evidence` hears of two votes that contradict each other, `on_own_vote` of a genuine vote of this
    node's seat that was not given since the process started.
    """

    node_id: bytes
    peers: PeerLink = field(default_factory=NoPeers)
    on_evidence: OnEvidence = _ignore
    on_own_vote: OnOwnVote = _ignore


class LedgerNode:
    """The chain as its host sees it."""

    def __init__(  # noqa: PLR0913 - the parts that are composed here
        self,
        *,
        genesis: Genesis,
        store: ChainStore,
        reader: ChainReader,
        chain: Chain,
        queries: ContractQueries,
        clock: Clock,
        signer: VoteSigner,
        around: Surroundings,
        snapshots: SnapshotKeeper | None,
    ) -> None:
        self._snapshots = snapshots
        self._genesis = genesis
        self._around = around
        self._store = store
        self._reader = reader
        self._chain = chain
        self._queries = queries
        self.prover = StateProver(reader.path, chain, genesis)
        self._failed = FailedTransactions()
        self._clock = clock
        self._mempool = Mempool()
        parts = Parts(
            chain=chain,
            mempool=self._mempool,
            failed=self._failed,
            view=reader,
            signer=signer,
            peers=around.peers,
            on_evidence=around.on_evidence,
            on_own_vote=around.on_own_vote,
        )
        rules = Rules(chain.chain_id, genesis.slot_ms, genesis.heartbeat_ms)
        self._driver = Driver(rules, parts, clock)

    @classmethod
    def open(  # noqa: PLR0913 - the parts it is opened with
        cls,
        path: Path,
        genesis: Genesis,
        executor: ContractExecutor,
        clock: Clock,
        signer: VoteSigner,
        *,
        around: Surroundings,
        query_executor: ContractExecutor | None = None,
        onion: OnionKeeper | None = None,
        snapshots: Path | None = None,
        keep_blocks: int = 0,
    ) -> Self:
        """Open the chain database at `path`, created from `genesis` where there is none.

        `onion` opens this agent's onion, if the chain knows of one. With a `query_executor` of their own,
        queries and block production never wait for each other; the caller closes both executors.
        `snapshots` is the folder where the state at each epoch's end is kept for nodes that join.
        Blocks older than the newest `keep_blocks` are dropped, unless that is 0.

        Raises `GenesisError`, `SignerError` where the SmartAgent holds another key than the
        genesis names, and `StorageError` where the database is in use, damaged or another chain's.
        """
        check_genesis(genesis)
        check_own_key(genesis, around.node_id, signer.public_key)
        first_state = genesis_writes(genesis)
        store = ChainStore.create_or_open(path, genesis, first_state)
        try:
            tree = load_state_tree(store, first_state)
            serial = SerialExecutor(executor)
            asked = serial if query_executor is None else SerialExecutor(query_executor)
            chain = Chain(store, tree, genesis, serial, node_id=around.node_id, onion=onion)
            reader = ChainReader.open(path)
        except LedgerError:
            store.close()
            raise
        store.keep_blocks = keep_blocks
        keeper = None if snapshots is None else SnapshotKeeper(snapshots, path, genesis)
        store.on_epoch_end = None if keeper is None else keeper.epoch_ended
        return cls(
            genesis=genesis,
            store=store,
            reader=reader,
            chain=chain,
            queries=ContractQueries(path, genesis, asked),
            clock=clock,
            signer=signer,
            around=around,
            snapshots=keeper,
        )

    def close(self) -> None:
        """Close the database; `run` must have ended."""
        if self._snapshots is not None:
            self._snapshots.close()
        self._chain.close()
        try:
            self._reader.close()
        finally:
            self._store.close()

    async def run(self, on_final_block: OnFinalBlock) -> None:
        """Extend the chain until cancelled; `on_final_block` hears of each block once it is on disk.

        Raises `StorageError` or `SignerError` when nothing safe is left to do: restart the process.
        """
        await self._driver.run(on_final_block)

    def receive(self, peer: bytes, message: Message) -> bool:
        """Take a peer's message; False where too many wait and this one is lost."""
        return self._driver.deliver(peer, message)

    def peer_connected(self, peer: bytes) -> None:
        """Tell that a peer can be reached, perhaps again."""
        self._driver.connect(peer)

    def pending(self, count: int) -> tuple[bytes, ...]:
        """Return signed transactions that wait, at most so many."""
        return self._mempool.oldest(count)

    def is_tombstoned(self, agent: bytes) -> bool:
        """Tell whether the chain has convicted an agent of contradicting itself."""
        return get_known_agent(self._reader, agent).is_tombstoned

    def is_accused(self, agent: bytes) -> bool:
        """Tell whether an accusation of the agent waits for a block."""
        return self._mempool.is_accused(agent)

    def agents(self) -> tuple[bytes, ...]:
        """Return the node ids of the running epoch's set."""
        return self._driver.state.epoch.nodes

    def submit(self, raw: bytes) -> bytes | Rejected:
        """Return the id of a signed transaction that now waits, or why it is refused.

        One that already waits or is final gives its id again. A new one is passed on to the peers.
        """
        taken = self.take(raw)
        if isinstance(taken, TakenTransaction):
            if taken.is_new:
                self._around.peers.relay(raw)
            return taken.id
        return taken

    def take(self, raw: bytes) -> TakenTransaction | Rejected:
        """Let a signed transaction wait; it is passed on to nobody."""
        checked = check_transaction(raw, self._chain.chain_id)
        if isinstance(checked, Rejected):
            return checked
        if self._mempool.get(checked.id) or self._reader.has_transaction(checked.id):
            return TakenTransaction(checked.id, is_new=False)
        tip = self._chain.tip
        height = tip.height + 1
        refusal = self._failed.check(checked.id, height) or self._mempool.add(
            checked, self._reader, height, tip.time_ms
        )
        if refusal is not None:
            return refusal
        self._driver.wake()
        return TakenTransaction(checked.id, is_new=True)

    def status(self) -> NodeStatus:
        """Return how the chain is doing.

        A lone agent goes on without a synchronised clock, since nobody else would: block times then
        advance from the parent's by at least the block interval, and `clock` says what they are worth.
        """
        tip, state = self._chain.tip, self._driver.state
        is_synchronised = self._clock.is_synchronised()
        return NodeStatus(
            chain_id=self._chain.chain_id,
            height=tip.height,
            hash=tip.hash,
            time_ms=tip.time_ms,
            slot_ms=self._genesis.slot_ms,
            epoch=state.epoch.number,
            slot=max(state.slot, tip.slot + 1),
            agents=state.epoch.size,
            pending=len(self._mempool),
            state=describe(state),
            clock="synchronised" if is_synchronised else "unsynchronised",
        )

    def state(self) -> StateReader:
        """Return the newest final state, for reading on the event loop's thread."""
        return self._reader

    def account(self, address: bytes) -> AccountView:
        """Return an address's balance and nonces; an address nobody has used holds nothing."""
        account = get_account(self._reader, address)
        pending_nonce = self._mempool.next_nonce(address, self._reader)
        return AccountView(account.balance, account.nonce, pending_nonce)

    def device(self, device_id: bytes) -> Device | None:
        """Return the record of a registered device."""
        encoded = self._reader.get(device_key(device_id))
        return None if encoded is None else _devices.decode(encoded)

    def identity(self, node_id: bytes) -> IdentityView:
        """Return what the chain knows of a node, as of the newest final block."""
        return IdentityView(
            time_ms=self._chain.tip.time_ms,
            node=get_node(self._reader, node_id),
            owner=get_owner(self._reader, node_id),
            retirement=get_retirement(self._reader, node_id),
            lease=get_lease(self._reader, node_id),
        )

    def identity_facts(self) -> StateIdentityFacts:
        """Return the newest final state's word on identities, for the handshake with peers."""
        return StateIdentityFacts(self._reader, self._chain.chain_id, self._chain.tip.time_ms)

    def revocation(self, grant_id: bytes) -> Revocation | None:
        """Return a grant's revocation, whatever became of it."""
        return get_revocation(self._reader, grant_id)

    def software(self, measurement: bytes) -> Software | None:
        """Return a listed software measurement."""
        return get_software(self._reader, measurement)

    def transaction(self, transaction_id: bytes) -> TransactionView:
        """Return where a transaction stands."""
        stored = self._reader.transaction(transaction_id)
        if stored is not None:
            outcome = _outcomes.decode(stored.outcome)
            return TransactionView(Progress.FINAL, stored.height, outcome)
        if self._mempool.get(transaction_id) is not None:
            return TransactionView(Progress.PENDING)
        return TransactionView(Progress.UNKNOWN)

    def block(self, height: int) -> BlockView | None:
        """Return the final block at `height`, from 1, or None when there is none yet.

        Raises `PrunedError` where it is no longer kept, `UnprovenError` where its proof is to come.
        """
        return read_block(self._reader, height, self._genesis)

    def anchor_evidence(self, transaction_id: bytes) -> AnchorEvidence | None:
        """Return what proves that a transaction is final and what it did; None where it is not here.

        Raises `UnprovenError` where its block's proof is to come.
        """
        return load_evidence(self._reader, transaction_id, self._genesis)

    def pruned_height(self) -> int:
        """Return up to which height transactions are no longer kept."""
        return self._reader.pruned_height()

    def prove(self, key: bytes) -> StateEvidence | Rejected:
        """Prove what stands under a key of the newest final state; from any thread but the loop's.

        Raises `UnprovenError` where the newest block's proof is to come.
        """
        return self.prover.prove(key)

    def query(self, contract: bytes, method: str, args: bytes) -> ExecutionResult | Rejected:
        """Ask a contract at the newest final block; `args` is canonical MessagePack.

        Blocks while the contract runs: call it from a thread other than the event loop's. A second
        question at the same time is `Rejected` as busy. Raises `ExecutorError` when the worker, not
        the contract, failed.
        """
        return self._queries.ask(contract, method, args)
