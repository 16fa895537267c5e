"""What can go wrong in the ledger.

Three kinds, never mixed: bad data from peers, devices or users is a returned `Rejected`; the
world failing is a `LedgerError`; a bug of ours is an `assert`.

    LedgerError
    ├── CodecError            bytes that are not the one canonical encoding of a value
    ├── GenesisError          a genesis file that cannot start a chain
    ├── StorageError          the chain database cannot be read or written
    │   ├── CorruptStorageError   it can be read and contradicts itself
    │   ├── PrunedError           it no longer holds what was asked for
    │   └── UnprovenError         it does not hold the proof of its newest blocks yet
    ├── ArchiveError          the PostgreSQL archive is away or is another chain's
    ├── OutdatedError         a block was to be built where the chain has gone on
    ├── UpgradeNeededError    the chain has voted for rules that this program does not know
    ├── SignerError           the SmartAgent did not answer or refused
    │   └── VoteRefusedError      its sign guard refuses this vote, and always will
    └── ExecutorError         a contract worker failed in a way that decides nothing
"""

import enum
from dataclasses import dataclass


class LedgerError(Exception):
    """Base of everything the ledger raises."""


class CodecError(LedgerError):
    """Bytes that are not the canonical encoding of the expected type."""


class GenesisError(LedgerError):
    """A genesis file that is malformed or contradicts itself."""


class StorageError(LedgerError):
    """The chain database cannot be opened, read or written."""


class CorruptStorageError(StorageError):
    """The chain database was read and contradicts itself."""


class PrunedError(StorageError):
    """What was asked for is final and no longer kept here."""


class UnprovenError(StorageError):
    """What was asked for is final, and the block whose certificate proves it is still to be written."""


class OutdatedError(LedgerError):
    """A block was to be built on a parent that the chain has left behind: nobody needs it any more."""


class UpgradeNeededError(LedgerError):
    """The chain follows rules of another version from here on."""


class ArchiveError(LedgerError):
    """The PostgreSQL archive cannot be reached, read or written, or is another chain's."""


class SignerError(LedgerError):
    """The SmartAgent is unreachable, or refused to sign."""


class VoteRefusedError(SignerError):
    """The sign guard refuses this vote for good: it would contradict one that was given."""


class ExecutorError(LedgerError):
    """A contract worker failed for a reason outside the rules (timeout, crash): no result."""


class Reason(enum.Enum):
    """Why data from outside was not accepted. The value is the stable text users see."""

    MALFORMED = "malformed"
    WRONG_CHAIN = "wrong-chain"
    BAD_SIGNATURE = "bad-signature"
    BAD_NONCE = "bad-nonce"
    EXPIRED = "expired"
    FEE_TOO_LOW = "fee-too-low"
    INSUFFICIENT_FUNDS = "insufficient-funds"
    DUPLICATE = "duplicate"
    FULL = "full"
    TOO_LARGE = "too-large"
    UNKNOWN_DEVICE = "unknown-device"
    UNKNOWN_COIN = "unknown-coin"
    UNKNOWN_CONTRACT = "unknown-contract"
    UNKNOWN_AGENT = "unknown-agent"
    UNKNOWN_PROPOSAL = "unknown-proposal"
    ALREADY_EXISTS = "already-exists"
    NOT_OWNER = "not-owner"
    TOO_EARLY = "too-early"
    TOO_LATE = "too-late"
    OUT_OF_SEQUENCE = "out-of-sequence"
    OUT_OF_RANGE = "out-of-range"
    CONTRACT_ABORTED = "contract-aborted"
    OUT_OF_GAS = "out-of-gas"
    BAD_BLOCK = "bad-block"
    LEASE_HELD = "lease-held"
    RETIRED = "retired"
    UNKNOWN_NODE = "unknown-node"
    UNKNOWN_GRANT = "unknown-grant"
    NOT_RUN = "not-run"
    FALSE_EVIDENCE = "false-evidence"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Data that was refused: the reason, and one line that says what and where."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"
