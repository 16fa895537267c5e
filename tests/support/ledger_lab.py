"""A one-agent chain for tests: fixed keys, a genesis, a clock that runs fast, signed transactions."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from ledger.codec.canonical import encode
from ledger.codec.merkle import audit_paths, merkle_root
from ledger.crypto.domains import NO_HASH, transaction_message
from ledger.crypto.ed25519 import derive_public_key, sign
from ledger.crypto.hashing import hkdf, sha256
from ledger.errors import ExecutorError
from ledger.node.node import LedgerNode, Surroundings
from ledger.node.views import FinalBlock
from ledger.params import PROTOCOL_VERSION
from ledger.ports import (
    ContractCall,
    ContractCode,
    ContractExecutor,
    ContractHost,
    ExecutionResult,
    ExecutionStatus,
    OnionKeeper,
    VoteSigner,
)
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.reading import ClockStatus, Quantity, Reading
from ledger.types.transaction import (
    Anchor,
    Body,
    RegisterDevice,
    SignedTransaction,
    Transaction,
    Transfer,
)
from tests.support.signer import GuardedSigner, GuardRecord

FEE = 2_000
START_MS = 1_700_000_000_000
DEVICE = sha256(b"device")
PROFILE = sha256(b"profile")


def seed_of(label: str) -> bytes:
    return hkdf(b"test", label)


def address_of(label: str) -> bytes:
    return derive_public_key(seed_of(label))


def make_genesis(*, name: str = "lab", agent: str = "", slot_ms: int = 1_000) -> Genesis:
    """The genesis of an agent whose keys start with `agent`; alice, bob and the agent hold SSP."""
    wallets = ["alice", "bob", f"{agent}metering", f"{agent}node"]
    return Genesis(
        version=PROTOCOL_VERSION,
        name=name,
        time_ms=START_MS,
        slot_ms=slot_ms,
        heartbeat_ms=600_000,
        agents=(
            GenesisAgent(
                node=address_of(f"{agent}node"),
                consensus=address_of(f"{agent}consensus"),
                metering=address_of(f"{agent}metering"),
            ),
        ),
        allocations=tuple(Allocation(address_of(wallet), 10**12) for wallet in wallets),
    )


def sign_body(
    genesis: Genesis, sender: str, nonce: int, body: Body, *, fee: int = FEE, fee_payer: str = ""
) -> bytes:
    """Return a signed transaction's bytes."""
    transaction = Transaction(
        chain_id=genesis_chain_id(genesis),
        sender=address_of(sender),
        nonce=nonce,
        fee_payer=address_of(fee_payer or sender),
        fee=fee,
        expiry_height=1_000,
        body=body,
    )
    payload = encode(transaction)
    message = transaction_message(payload)
    fee_signature = sign(seed_of(fee_payer), message) if fee_payer else None
    return encode(SignedTransaction(payload, sign(seed_of(sender), message), fee_signature))


def make_transfer(genesis: Genesis, sender: str, nonce: int, to: str, amount: int) -> bytes:
    return sign_body(genesis, sender, nonce, Transfer(address_of(to), amount))


def make_reading(sequence: int, value: int = 2315) -> Reading:
    return Reading(
        device_id=DEVICE,
        sequence=sequence,
        profile_hash=PROFILE,
        source_time_ms=None,
        gateway_time_ms=START_MS + sequence * 1_000,
        clock=ClockStatus.SYNCHRONISED,
        quantities=(
            Quantity("voltage", value, -1, "V"),
            Quantity("temperature", -5, -2, "°C"),
            Quantity("energy", 12, 3, "Wh"),
            Quantity("phase", None, 0, ""),
        ),
        salt=sha256(b"salt%d" % sequence)[:16],
    )


class ReadingBatch:
    """Consecutive readings of the test device: leaves, root and audit paths."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.leaves = [encode(make_reading(first + index)) for index in range(count)]
        self.root = merkle_root(self.leaves)
        self.paths = audit_paths(self.leaves)

    def make_anchor(self, *, previous: bytes = NO_HASH, profile: bytes = PROFILE) -> Anchor:
        return Anchor(
            device_id=DEVICE,
            profile_hash=profile,
            first=self.first,
            count=len(self.leaves),
            time_first_ms=START_MS,
            time_last_ms=START_MS + 10_000,
            root=self.root,
            previous=previous,
        )


def make_device_registration() -> RegisterDevice:
    return RegisterDevice(DEVICE, PROFILE)


class FastClock:
    """Every look at the wall finds it far past the next block's time: no test waits for the pace."""

    def __init__(self, *, step_ms: int = 1_000) -> None:
        self._now_ms = START_MS
        self._step_ms = step_ms
        self.synchronised = True

    def now_ms(self) -> int:
        self._now_ms += self._step_ms
        return self._now_ms

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def is_synchronised(self) -> bool:
        return self.synchronised


class EchoExecutor:
    """A contract worker for tests: every method returns its arguments; `crash` breaks the worker."""

    def __init__(self) -> None:
        self.calls = 0
        self.gas_limits: list[int] = []

    def check(self, code: ContractCode) -> str | None:
        return None

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        self.calls += 1
        self.gas_limits.append(call.gas_limit)
        if call.method == "crash":
            raise ExecutorError("the contract worker was killed")
        return ExecutionResult(ExecutionStatus.OK, gas_used=100, result=call.args)


class Lab:
    """One chain in one folder: its node may be opened, closed and opened again."""

    def __init__(self, folder: Path, genesis: Genesis | None = None) -> None:
        self.path = folder / "chain.db"
        self.genesis = genesis or make_genesis()
        self.record = GuardRecord()
        self.signer = GuardedSigner(
            seed_of("consensus"), genesis_chain_id(self.genesis), self.record
        )
        self.executor = EchoExecutor()
        self.clock = FastClock()

    def open(
        self,
        *,
        signer: VoteSigner | None = None,
        executor: ContractExecutor | None = None,
        query_executor: ContractExecutor | None = None,
        onion: OnionKeeper | None = None,
    ) -> LedgerNode:
        return LedgerNode.open(
            self.path,
            self.genesis,
            executor or self.executor,
            self.clock,
            signer or self.signer,
            around=Surroundings(self.genesis.agents[0].node),
            query_executor=query_executor,
            onion=onion,
        )

    def transfer(self, sender: str, nonce: int, to: str = "carol", amount: int = 7) -> bytes:
        return make_transfer(self.genesis, sender, nonce, to, amount)

    def sign(self, sender: str, nonce: int, body: Body) -> bytes:
        return sign_body(self.genesis, sender, nonce, body)


async def run_until(
    node: LedgerNode, is_enough: Callable[[list[FinalBlock]], bool]
) -> list[FinalBlock]:
    """Run the node until the final blocks suffice; raises what stops the node before."""
    blocks: list[FinalBlock] = []
    enough = asyncio.Event()

    def collect(block: FinalBlock) -> None:
        blocks.append(block)
        if is_enough(blocks):
            enough.set()

    running = asyncio.create_task(node.run(collect))
    waiting = asyncio.create_task(enough.wait())
    await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        waiting.cancel()
        await running
    running.cancel()
    await asyncio.wait({running})
    return blocks


async def run_blocks(node: LedgerNode, count: int) -> list[FinalBlock]:
    """Run the node for `count` final blocks."""
    return await run_until(node, lambda blocks: len(blocks) >= count)


async def finalise(node: LedgerNode, *raws: bytes) -> list[FinalBlock]:
    """Submit transactions and run the node until all of them are final."""
    ids = set()
    for raw in raws:
        accepted = node.submit(raw)
        assert isinstance(accepted, bytes), accepted
        ids.add(accepted)
    return await run_until(
        node, lambda blocks: ids <= {c.id for block in blocks for c in block.transactions}
    )
