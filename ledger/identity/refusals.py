"""Why a node, or what it shows, is not accepted. Every reason has its own code; codes never change.

`docs/IDENTITY.md` has the table: what each code means and what the refused side does about it.
"""

import enum
from dataclasses import dataclass


class RefusalCode(enum.Enum):
    """The value is the stable text that people, logs and peers see."""

    MALFORMED = "malformed"
    WRONG_CHAIN = "wrong-chain"
    WRONG_PEER = "wrong-peer"
    WRONG_CHANNEL = "wrong-channel"
    UNKNOWN_ISSUER = "unknown-issuer"
    BAD_SIGNATURE = "bad-signature"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    NOT_PERMITTED = "not-permitted"
    REPLAYED = "replayed"
    CLONED = "cloned"
    RETIRED = "retired"
    CLOCK_UNTRUSTED = "clock-untrusted"


class PeerFlag(enum.Enum):
    """What is told about an accepted peer so that nobody trusts it silently."""

    SOFTWARE_NOT_LISTED = "software-not-listed"
    NO_LEASE = "no-lease"
    CLOCK_UNSYNCHRONISED = "clock-unsynchronised"
    VALIDITY_NOT_JUDGED = "validity-not-judged"


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal: its code, and one line that says what and where."""

    code: RefusalCode
    detail: str

    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail}"
