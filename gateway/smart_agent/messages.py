"""What is said over the agent's socket: typed requests and answers, never bytes to sign.

A frame is a length (u32, big-endian, at most `FRAME_BYTES_MAX`) and that many bytes of MessagePack.
"""

import enum
import struct
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.smart_agent.identity_messages import (
    AskInstance,
    AskProofs,
    IdentityAnswer,
    ReportLease,
    SignSession,
)
from gateway.smart_agent.judge import EPOCH_MAX, SLOT_MAX
from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.metering_messages import (
    MeteringAnswer,
    MeteringRequest,
    SignMeasurement,
)
from gateway.smart_agent.onion import GENERATION_MAX
from gateway.smart_agent.spending_messages import Spending, SpendingRequest
from ledger.crypto.domains import VoteKind
from ledger.params import AGENTS_MAX, SLOT_MS, TRANSACTION_BYTES_MAX
from ledger.types.offers import OFFER_BYTES_MAX
from ledger.types.primitives import Counter, Hash, Signature

FRAME_BYTES_MAX = 256 * 1024  # twice the largest transaction
HEADER_BYTES = 4
SIGN_MANY_MAX = 256  # a batch's answer is 17 KiB, and keeps a vote waiting for some 10 ms
SLOT_MS_MIN, SLOT_MS_MAX = 100, 60_000  # a genesis allows no other block intervals

_HEADER = struct.Struct(">I")
_DETAIL_LENGTH_MAX = 240  # one line of a log


class Describe(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="describe"
):
    """Ask for the public keys and the chain. Answer: `AgentKeys`."""


class Bind(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="bind"):
    """Bind the agent to its one chain; the same chain may be named again. Answer: `AgentKeys`.

    The chain's block interval says how many votes a second are more than it can need.
    """

    chain_id: Hash
    slot_ms: Annotated[int, Meta(ge=SLOT_MS_MIN, le=SLOT_MS_MAX)] = SLOT_MS


class SignTransaction(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="transaction"
):
    """Sign the canonical payload of a transaction that `purpose` may send. Answer: `Signed`."""

    purpose: Purpose
    payload: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX)]


class SignVote(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="vote"
):
    """Sign a vote on the bound chain, if the sign guard admits it. Answer: `Signed`."""

    kind: VoteKind
    epoch: Annotated[int, Meta(ge=0, le=EPOCH_MAX)]
    slot: Annotated[int, Meta(ge=0, le=SLOT_MAX)]
    block_hash: Hash


class SignReadingBatch(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="reading-batch"
):
    """Sign a canonical `ReadingBatch` with the metering key. Answer: `Signed`."""

    payload: Annotated[bytes, Meta(max_length=OFFER_BYTES_MAX)]


class SignQuote(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="quote"
):
    """Sign a canonical `Quote` with the wallet key. Answer: `Signed`."""

    payload: Annotated[bytes, Meta(max_length=OFFER_BYTES_MAX)]


class SignVoucher(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="voucher"
):
    """Sign a canonical `Voucher` with the wallet key. Answer: `Signed`."""

    payload: Annotated[bytes, Meta(max_length=OFFER_BYTES_MAX)]


class SignMany(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="many"
):
    """Sign all of them, or, if one is refused, none. Answer: `SignedMany`, in the same order."""

    requests: Annotated[
        tuple[SignTransaction | SignReadingBatch, ...], Meta(min_length=1, max_length=SIGN_MANY_MAX)
    ]


class ReportTip(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="tip"
):
    """The ledger says whether it is at the chain's tip, and how many agents vote. Answer: `Noted`."""

    is_at_tip: bool
    agents: Annotated[int, Meta(ge=1, le=AGENTS_MAX)]


class ReportOwnVote(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="own-vote"
):
    """The ledger received a vote that bears our consensus key's signature. Answer: `Noted`."""

    kind: VoteKind
    epoch: Annotated[int, Meta(ge=0, le=EPOCH_MAX)]
    slot: Annotated[int, Meta(ge=0, le=SLOT_MAX)]
    block_hash: Hash
    signature: Signature


class AskAuditHead(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="audit-head"
):
    """Ask for the audit log's newest entry, which is on disk before the answer. Answer: `AuditHead`."""


class OnionCommitment(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="onion-commitment"
):
    """Ask for the commitment of this agent's onion of that number (from 1). Answer: `OnionValue`."""

    generation: Annotated[int, Meta(ge=1, le=GENERATION_MAX)]


class OnionReveal(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="onion-reveal"
):
    """Ask for the layer inside the value that the chain accepted last. Answer: `OnionValue`."""

    around: Hash


class Signed(msgspec.Struct, frozen=True, array_like=True, tag="signed"):
    """A 64-byte Ed25519 signature."""

    signature: Signature


class SignedMany(msgspec.Struct, frozen=True, array_like=True, tag="signed-many"):
    """64-byte Ed25519 signatures."""

    signatures: tuple[Signature, ...]


class Noted(msgspec.Struct, frozen=True, array_like=True, tag="noted"):
    """A report was heard; `votes` is "voting", or why no votes are signed."""

    votes: str


class AuditHead(msgspec.Struct, frozen=True, array_like=True, tag="audit-head"):
    """The audit log's newest entry: its number, and the hash that stands for all up to it."""

    sequence: Counter
    hash: Hash


class OnionValue(msgspec.Struct, frozen=True, array_like=True, tag="onion"):
    """A commitment, or the layer asked for."""

    value: Hash


class RefusedReason(enum.Enum):
    """Why the agent does not do what it was asked. The value is the stable text users see."""

    MALFORMED = "malformed"
    NOT_BOUND = "not-bound"
    WRONG_CHAIN = "wrong-chain"
    WRONG_SENDER = "wrong-sender"
    NOT_ALLOWED = "not-allowed"
    SIGN_GUARD = "sign-guard"
    LISTENING = "listening"
    RATE_LIMIT = "rate-limit"
    ALARM = "alarm"
    NOT_HELD = "identity-not-held"
    SPENDING = "spending-policy"
    NOT_OWNER = "not-owner"
    FAILED = "failed"


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """A refusal: the reason, and one line that says what and where."""

    reason: RefusedReason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


TypedRequest = (
    SignTransaction | SignReadingBatch | SignQuote | SignVoucher | SignSession | SignMeasurement
)
Request = (
    Describe
    | Bind
    | TypedRequest
    | SignMany
    | SignVote
    | ReportTip
    | ReportOwnVote
    | AskAuditHead
    | AskProofs
    | AskInstance
    | ReportLease
    | OnionCommitment
    | OnionReveal
    | SpendingRequest
    | MeteringRequest
)
Answer = (
    AgentKeys
    | Signed
    | SignedMany
    | Noted
    | AuditHead
    | OnionValue
    | IdentityAnswer
    | Spending
    | MeteringAnswer
)
Response = Answer | Refused

_encoder = msgspec.msgpack.Encoder()
_request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_response_decoder: msgspec.msgpack.Decoder[Response] = msgspec.msgpack.Decoder(Response)


def encode_frame(message: Request | Response) -> bytes:
    """Return a whole frame."""
    body = _encoder.encode(message)
    assert len(body) <= FRAME_BYTES_MAX
    return _HEADER.pack(len(body)) + body


def decode_frame_length(header: bytes) -> int | None:
    """Return the length that a 4-byte header announces, or None when it is over the limit."""
    (length,) = _HEADER.unpack(header)
    return length if length <= FRAME_BYTES_MAX else None


def decode_request(body: bytes) -> Request | Refused:
    """Return the request in a frame's body, or the refusal to send back."""
    try:
        return _request_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refused(RefusedReason.MALFORMED, "not a request that this SmartAgent knows")


def decode_response(body: bytes) -> Response | None:
    """Return the answer in a frame's body, or None when it is none."""
    try:
        return _response_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def one_line(text: str) -> str:
    """Return `text` fit for a log: printable, one line, bounded."""
    printable = "".join(char if char.isprintable() else "?" for char in text[:_DETAIL_LENGTH_MAX])
    return printable + ("..." if len(text) > _DETAIL_LENGTH_MAX else "")
