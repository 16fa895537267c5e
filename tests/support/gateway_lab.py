"""The anchoring half of a gateway in one process: real store, broker, link, handlers and chain node.

Only the SmartAgent's socket and the contract worker are replaced; both can be made to fail, and the
ledger can be taken away and brought back.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import msgspec

from edge_contracts.values import decode_value, encode_value
from gateway.app.anchoring import AnchoringService, Errand, RoundGate
from gateway.app.ledger_link import LedgerLink
from gateway.app.registry import SessionBinding
from gateway.app.sessions import PageWitness, SessionRecorder
from gateway.app.transactions import TransactionAuthor
from gateway.broker.broker import EmbeddedBroker
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.errors import AgentError, GatewayError
from gateway.ledger_host.handlers import LedgerHandlers
from gateway.model import topics
from gateway.model.principal import Principal
from gateway.pipeline.batch import BatchPolicy
from gateway.ports import DeviceMessages
from gateway.readings.store import ReadingsStore
from gateway.smart_agent.client import AgentClient
from ledger.crypto.domains import contract_address, transaction_message
from ledger.crypto.ed25519 import sign
from ledger.errors import ExecutorError, LedgerError
from ledger.node.node import LedgerNode
from ledger.node.views import FinalBlock
from ledger.ports import (
    ContractCall,
    ContractCode,
    ContractHost,
    ExecutionResult,
    ExecutionStatus,
    HostRefusedError,
)
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.transaction import (
    Anchor,
    Body,
    CallContract,
    DeployContract,
    RegisterDevice,
    Transfer,
)
from tests.support.ledger_lab import Lab, address_of, seed_of, sign_body
from tests.support.readings import NODE_ID, PROFILE, ManualClock, store_run

GATEWAY = "gw1"
UNTIL_S = 20.0
CONTRACT_FEE = 200_000


class Nobody:
    """An authenticator and a telemetry sink for a broker that nobody connects to."""

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        return None

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        raise AssertionError("nobody publishes")


def make_broker() -> EmbeddedBroker:
    """A broker that is not started: it routes inside the process, without a socket."""
    return EmbeddedBroker(BrokerSettings(GATEWAY), Nobody(), Nobody(), SystemClock())


class MeteringAgent:
    """Signs with the lab's metering key; `is_away` makes it refuse as a missing SmartAgent does."""

    def __init__(self) -> None:
        self.is_away = False
        self.signed = 0

    def sign_transaction(self, purpose: str, payload: bytes) -> bytes:
        assert purpose == "metering"
        if self.is_away:
            raise AgentError("SmartAgent is not running")
        self.signed += 1
        return sign(seed_of("metering"), transaction_message(payload))


class SessionContract:
    """A `ContractExecutor`: one contract with `record` and `session`, as a settlement has them.

    `recorded` lists each sequence that a block's `record` took, in order.
    """

    def __init__(self) -> None:
        self.answer: dict[str, Any] | None = None
        self.broken = b""  # a contract whose worker dies of each query
        self.queries = 0

    def check(self, code: ContractCode) -> str | None:
        return None

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        try:
            value = getattr(self, f"_{call.method}")(call, host)
        except HostRefusedError as refusal:
            return ExecutionResult(ExecutionStatus.ABORTED, 100, error=str(refusal))
        return ExecutionResult(ExecutionStatus.OK, 100, result=encode_value(value))

    def _init(self, call: ContractCall, host: ContractHost) -> None:
        host.store(b"recorded", encode_value([]))

    def _set(self, call: ContractCall, host: ContractHost) -> None:
        """Change the session's state: open, paused or settled."""
        args = decode_value(call.args)
        assert isinstance(args, dict)
        host.store(b"state", encode_value(args["state"]))

    def _record(self, call: ContractCall, host: ContractHost) -> None:
        args = decode_value(call.args)
        assert isinstance(args, dict)
        if self._read_state(host) != "open":
            raise HostRefusedError(f"the session is {self._read_state(host)}")
        recorded = self._read_recorded(host)
        for proof in cast("list[bytes]", args["proofs"]):
            reading = host.anchored_reading(proof)
            if reading.sequence > max(recorded, default=0):
                recorded.append(reading.sequence)
        host.store(b"recorded", encode_value(list(recorded)))

    def _session(self, call: ContractCall, host: ContractHost) -> dict[str, Any]:
        self.queries += 1
        if call.contract == self.broken:
            raise ExecutorError("the contract worker was killed")
        if self.answer is not None:
            return self.answer
        recorded = self._read_recorded(host)
        newest = {"sequence": recorded[-1], "time_ms": 1} if recorded else {}
        return {"state": self._read_state(host), **newest}

    def _recorded(self, call: ContractCall, host: ContractHost) -> list[int]:
        return self._read_recorded(host)

    @staticmethod
    def _read_state(host: ContractHost) -> str:
        data = host.load(b"state")
        return "open" if data is None else str(decode_value(data))

    @staticmethod
    def _read_recorded(host: ContractHost) -> list[int]:
        data = host.load(b"recorded")
        assert data is not None
        return cast("list[int]", decode_value(data))


class GatewayLab:
    """Everything between stored readings and final anchors. A context manager.

    `start()` makes new service objects on the same store, as a restarted gateway does.
    """

    def __init__(
        self,
        folder: Path,
        *,
        count_max: int = 100,
        age_max_ms: int = 0,
        timeout_s: float = 2.0,
        genesis: Genesis | None = None,
        patience_s: float = 0.02,
    ) -> None:
        self.clock = ManualClock()
        self.chain = Lab(folder, genesis)
        self.agent = MeteringAgent()
        self.contracts = SessionContract()
        self.blocks: list[FinalBlock] = []
        self.requests: list[str] = []
        self.is_ledger_away = False
        self.lose_submissions = False  # as a ledger does that crashes with what waits in its memory
        self.store: ReadingsStore
        self.service: AnchoringService
        self.recorder: SessionRecorder
        self.link: LedgerLink
        self.node: LedgerNode
        self._path = folder / "readings.db"
        self._policy = BatchPolicy(count_max, age_max_ms)
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._nonces: dict[str, int] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._working: asyncio.Task[None] | None = None
        self._bindings: list[tuple[str, SessionBinding]] = []
        self.sender = address_of("metering")
        self.witness: PageWitness | None = None
        self.make_gate: Callable[[TransactionAuthor], RoundGate] | None = None
        self.make_errand: Callable[[TransactionAuthor], Errand] | None = None

    async def __aenter__(self) -> Self:
        self.broker = make_broker()
        self.broker.add_listener(topics.request(GATEWAY, "ledger", "+"), self._take_request)
        self.node = self.chain.open(executor=self.contracts)
        self._tasks.append(asyncio.create_task(self.node.run(self._take_block)))
        self._handlers = LedgerHandlers(self.node, asyncio.get_running_loop()).table()
        self.store = ReadingsStore.open(self._path, self.clock, NODE_ID)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._answering, return_exceptions=True)
        self.node.close()
        self.store.close()

    # The gateway's side

    def start(self) -> None:
        self.link = LedgerLink(self.broker, GATEWAY, reply_timeout_s=self._timeout_s)
        author = TransactionAuthor(
            self.store,
            cast("AgentClient", self.agent),
            self.link,
            genesis_chain_id(self.chain.genesis),
            self.sender,
        )
        self.recorder = SessionRecorder(self.store, author, self.link, SystemClock(), self.witness)
        self.recorder.bind(self._bindings)
        self.service = AnchoringService(
            self.store,
            author,
            self.link,
            self.recorder,
            policy=self._policy,
            clock=self.clock,
            gate=None if self.make_gate is None else self.make_gate(author),
            errands=() if self.make_errand is None else (self.make_errand(author),),
            patience_s=self._patience_s,
        )
        self._working = asyncio.create_task(self.service.run())

    async def stop(self) -> None:
        """End the service where it stands, as a crash does; what is on disk stays."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
            self._working = None

    async def restart(self) -> None:
        """Crash, and start from the database file."""
        await self.stop()
        self.store.close()
        self.store = ReadingsStore.open(self._path, self.clock, NODE_ID)
        self.start()

    def register(self, device: str, profile: bytes = PROFILE) -> bytes:
        return self.store.register_device(device, profile).device_id

    async def measure(self, device: str, count: int) -> None:
        """Store readings that are a second apart."""
        for _ in range(count):
            self.clock.time_ms += 1_000
            await store_run(self.store, device, 1)

    def bind(self, device: str, contract: bytes, *, every_ms: int = 1, session: str = "s") -> None:
        self._bindings.append((device, SessionBinding(contract, session, every_ms)))
        if self._working is not None:
            self.recorder.bind(self._bindings)

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so; fail with the service's own error if it ended."""
        deadline = time.monotonic() + UNTIL_S
        while not is_so():
            if self._working is not None and self._working.done():
                await self._working
            assert time.monotonic() < deadline, "it did not happen"
            await asyncio.sleep(0.005)

    async def until_anchored(self, device: str, last: int) -> None:
        def is_final() -> bool:
            newest = self.store.newest_batch(device)
            return newest is not None and newest.last >= last and newest.height > 0

        await self.until(is_final)

    # The chain's side

    def answer(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        """Ask the ledger's handlers without a message; for any thread but the loop's."""
        return self._handlers[verb](body)

    def _take_request(self, topic: str, payload: bytes) -> None:
        verb = topic.rsplit("/", 1)[-1]
        self.requests.append(verb)
        if not self.is_ledger_away:
            task = asyncio.create_task(self._answer(verb, payload))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)

    async def _answer(self, verb: str, payload: bytes) -> None:
        body = msgspec.json.decode(payload, type=dict[str, Any])
        transaction = body.pop("transaction")
        try:
            if verb == "submit" and self.lose_submissions:
                reply: dict[str, Any] = {"id": ""}
            else:
                reply = await asyncio.to_thread(self._handlers[verb], body)
        except (GatewayError, LedgerError) as error:
            reply = {"error": str(error)}
        answer = msgspec.json.encode({**reply, "transaction": transaction})
        self.broker.publish(topics.response(GATEWAY, "ledger", verb), answer)

    def _take_block(self, block: FinalBlock) -> None:
        self.blocks.append(block)
        self.broker.publish(topics.ledger_block(GATEWAY), b"{}", retain=True)

    async def apply(self, sender: str, body: Body) -> Outcome:
        """Send a transaction of somebody else and return what it did."""
        nonce = self._nonces.get(sender, 0)
        self._nonces[sender] = nonce + 1
        submitted = self.node.submit(
            sign_body(self.chain.genesis, sender, nonce, body, fee=CONTRACT_FEE)
        )
        assert isinstance(submitted, bytes), submitted
        await self.until(lambda: self.node.transaction(submitted).outcome is not None)
        outcome = self.node.transaction(submitted).outcome
        assert outcome is not None
        return outcome

    async def deploy(self) -> bytes:
        nonce = self._nonces.get("alice", 0)
        outcome = await self.apply("alice", DeployContract("x", "", encode_value({}), 1_000))
        assert outcome.status is OutcomeStatus.APPLIED, outcome.reason
        return contract_address(address_of("alice"), nonce)

    async def pass_blocks(self, blocks: int) -> None:
        """Let the chain go on by some blocks that have nothing to do with the gateway."""
        for _ in range(blocks):
            await self.apply("bob", Transfer(address_of("alice"), 1))

    async def set_state(self, contract: bytes, state: str) -> None:
        """Pause, resume or settle the contract's session, as its parties do."""
        args = encode_value({"state": state})
        outcome = await self.apply("alice", CallContract(contract, "set", args, 0, 1_000))
        assert outcome.status is OutcomeStatus.APPLIED, outcome.reason

    async def recorded(self, contract: bytes) -> list[int]:
        """The sequences in the contract, each as often as it was taken."""
        body = {"contract": contract.hex(), "method": "recorded", "args": encode_value({}).hex()}
        reply = await asyncio.to_thread(self._handlers["query"], body)
        assert reply["ok"], reply
        return cast("list[int]", decode_value(bytes.fromhex(reply["result"])))

    async def until_recorded(self, contract: bytes, sequence: int) -> list[int]:
        deadline = time.monotonic() + UNTIL_S
        while sequence not in (recorded := await self.recorded(contract)):
            assert time.monotonic() < deadline, f"only {recorded} are recorded"
            await self.until(lambda: True)
            await asyncio.sleep(0.01)
        return recorded

    def final(self, kind: type[Body]) -> list[tuple[Any, Outcome]]:
        """The metering key's final transactions of a kind, with what they did."""
        return [
            (checked.transaction.body, outcome)
            for block in self.blocks
            for checked, outcome in zip(block.transactions, block.outcomes, strict=True)
            if isinstance(checked.transaction.body, kind)
            and checked.transaction.sender == address_of("metering")
        ]

    def anchors(self) -> list[tuple[int, int]]:
        """First and count of each anchor that the chain applied, in order."""
        return [
            (body.first, body.count)
            for body, outcome in self.final(Anchor)
            if outcome.status is OutcomeStatus.APPLIED
        ]

    def registrations(self) -> list[bytes]:
        return [body.profile_hash for body, _ in self.final(RegisterDevice)]
