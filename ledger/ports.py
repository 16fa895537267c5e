"""The seams of the ledger: what rules and shell need from outside, as small protocols."""

import enum
from dataclasses import dataclass
from typing import Protocol

from ledger.crypto.domains import VoteKind
from ledger.types.messages import Message
from ledger.types.reading import Reading


class ExecutionStatus(enum.Enum):
    """How a contract call ended. Everything but OK leaves no effect and pays the full gas."""

    OK = "ok"
    ABORTED = "aborted"  # the contract refused: `error` is its own one-line reason
    OUT_OF_GAS = "out-of-gas"
    OUT_OF_MEMORY = "out-of-memory"


@dataclass(frozen=True, slots=True)
class ContractCode:
    """A contract as deployed: Lua source and manifest (TOML)."""

    source: str
    manifest: str


@dataclass(frozen=True, slots=True)
class ContractCall:
    """One call. `args` is canonical MessagePack; `time_ms` and `height` are the block's."""

    code: ContractCode
    contract: bytes
    owner: bytes
    caller: bytes
    method: str
    args: bytes
    deposit: int
    height: int
    time_ms: int
    gas_limit: int
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What a call came to; `result` is the canonical MessagePack of the method's return value."""

    status: ExecutionStatus
    gas_used: int
    result: bytes = b""
    error: str = ""


class HostRefusedError(Exception):
    """A host function refused (no funds, over a limit): the call aborts with this one line."""


class ContractHost(Protocol):
    """What the chain lets a contract see and do; raises `HostRefusedError` for what it may not.

    Effects collect in an overlay that the caller discards unless the call ends OK.
    """

    def load(self, key: bytes) -> bytes | None:
        """Return the contract's stored value, or None."""
        ...

    def store(self, key: bytes, value: bytes | None) -> None:
        """Store a value, or remove it with None."""
        ...

    def balance(self) -> int:
        """Return the SSP base units that the contract holds now."""
        ...

    def pay(self, to: bytes, amount: int) -> None:
        """Move SSP base units from the contract to an address."""
        ...

    def emit(self, name: str, data: bytes) -> None:
        """Announce an event; `data` is canonical MessagePack."""
        ...

    def anchored_reading(self, proof: bytes) -> Reading:
        """Return the reading of a canonical `ReadingProof` after checking it against the chain."""
        ...


class ContractExecutor(Protocol):
    """Runs contract code apart from the chain; the same call gives the same result on every node."""

    def check(self, code: ContractCode) -> str | None:
        """Return None when the code may be deployed, else one line that says what is wrong."""
        ...

    def execute(self, call: ContractCall, host: ContractHost) -> ExecutionResult:
        """Run one call. Raises `ledger.errors.ExecutorError` when the worker, not the code, failed."""
        ...


class VoteSigner(Protocol):
    """The consensus key, wherever it lives. It refuses what the sign guard forbids."""

    @property
    def public_key(self) -> bytes:
        """The consensus public key, 32 bytes."""
        ...

    def sign_vote(self, kind: VoteKind, epoch: int, slot: int, block_hash: bytes) -> bytes:
        """Return a 64-byte signature that is durable in the guard; raises `SignerError`."""
        ...


class OnionKeeper(Protocol):
    """Who can open an agent's onion, one layer at a time: it holds the seed."""

    def reveal(self, commitment: bytes) -> bytes:
        """Return the 32 bytes whose SHA-256 is `commitment`; raises `SignerError`."""
        ...


class PeerLink(Protocol):
    """The way to the other nodes, each named by its node id. Nothing here waits, and all may be lost."""

    def send(self, peer: bytes, message: Message) -> None:
        """Send to one peer."""
        ...

    def broadcast(self, message: Message) -> None:
        """Send to every peer."""
        ...

    def gossip(self, message: Message, peers: int) -> None:
        """Send to this many peers, drawn anew each time."""
        ...

    def blame(self, peer: bytes) -> None:
        """Take note that a peer passed on a signature that is not genuine."""
        ...

    def relay(self, raw: bytes) -> None:
        """Pass on a signed transaction that this node took from its own clients."""
        ...


class Clock(Protocol):
    """Time as an argument: wall time for what is recorded, monotonic time for what is awaited."""

    def now_ms(self) -> int:
        """Return Unix time in milliseconds."""
        ...

    def monotonic_ns(self) -> int:
        """Return monotonic nanoseconds."""
        ...

    def is_synchronised(self) -> bool:
        """Tell whether wall time can be trusted."""
        ...
