"""What can go wrong in the gateway.

Bad data from devices or files is a returned `Rejected` or a `GatewayError` whose text is the one
line that a person needs: what, where, and what to do. A bug of ours is an `assert`.

    GatewayError
    ├── SettingsError     smartshare.toml, devices.toml or the home folder
    ├── ProfileError      a device profile: file, line, what to write instead
    ├── ConnectorError    a device cannot be reached or answers nonsense
    ├── StoreError        the readings database cannot be opened, read or written
    ├── BrokerError       the MQTT broker cannot start
    ├── AuthenticatorBusyError  too many passwords wait for their verification
    ├── AgentError        the SmartAgent is unreachable, locked, or refused
    │   └── VoteConflictError  its sign guard refuses this vote for good
    ├── DiscoveryError    the local network cannot be searched, or told about us
    ├── MessagingError    another Smartshare process did not answer
    └── UnfundedError     an account of ours cannot pay a fee
"""

import enum
from dataclasses import dataclass


class GatewayError(Exception):
    """Base of everything the gateway raises; its text is shown to people as it is."""


class SettingsError(GatewayError):
    """Settings or the home folder are missing, malformed or contradict each other."""


class ProfileError(GatewayError):
    """A device profile is malformed; the text names file and line."""


class ConnectorError(GatewayError):
    """A device cannot be reached or gave an answer that its protocol does not allow."""


class StoreError(GatewayError):
    """The readings database cannot be opened, read or written."""


class BrokerError(GatewayError):
    """The MQTT broker cannot start or lost its listener."""


class AuthenticatorBusyError(GatewayError):
    """Too many passwords wait for their verification; the client tries again later."""


class AgentError(GatewayError):
    """The SmartAgent is unreachable, cannot unseal its key, or refused a request."""


class DiscoveryError(GatewayError):
    """Multicast DNS does not work on this machine's interfaces."""


class VoteConflictError(AgentError):
    """The sign guard refuses a vote for good: it would contradict one that was given."""


class MessagingError(GatewayError):
    """Another Smartshare process did not answer, or answered with an error."""


class UnfundedError(GatewayError):
    """An account of this gateway cannot pay for what it has to send."""


class RejectReason(enum.Enum):
    """Why a device's message was not stored. The value is the stable text users see."""

    MALFORMED = "malformed"
    UNKNOWN_DEVICE = "unknown-device"
    UNKNOWN_TOPIC = "unknown-topic"
    NO_QUANTITIES = "no-quantities"
    TOO_LARGE = "too-large"
    OVERLOADED = "overloaded"
    STORE_FAILED = "store-failed"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A device's message that was refused: the reason, and one line that says what and where."""

    reason: RejectReason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"
