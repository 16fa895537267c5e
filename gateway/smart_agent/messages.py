"""What is said over the agent's socket: typed requests and answers, never bytes to sign.

A frame is a length (u32, big-endian, at most `FRAME_BYTES_MAX`) and that many bytes of MessagePack.
"""

import enum
import struct
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.smart_agent.judge import EPOCH_MAX, SLOT_MAX
from gateway.smart_agent.keys import AgentKeys, Purpose
from ledger.crypto.domains import VoteKind
from ledger.params import TRANSACTION_BYTES_MAX
from ledger.types.primitives import Hash, Signature

FRAME_BYTES_MAX = 256 * 1024  # twice the largest transaction
HEADER_BYTES = 4

_HEADER = struct.Struct(">I")
_DETAIL_LENGTH_MAX = 240  # one line of a log


class Describe(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="describe"
):
    """Ask for the public keys and the chain. Answer: `AgentKeys`."""


class Bind(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="bind"):
    """Bind the agent to its one chain; the same chain may be named again. Answer: `AgentKeys`."""

    chain_id: Hash


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


class Signed(msgspec.Struct, frozen=True, array_like=True, tag="signed"):
    """A 64-byte Ed25519 signature."""

    signature: Signature


class RefusedReason(enum.Enum):
    """Why the agent does not do what it was asked. The value is the stable text users see."""

    MALFORMED = "malformed"
    NOT_BOUND = "not-bound"
    WRONG_CHAIN = "wrong-chain"
    WRONG_SENDER = "wrong-sender"
    NOT_ALLOWED = "not-allowed"
    SIGN_GUARD = "sign-guard"
    FAILED = "failed"


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """A refusal: the reason, and one line that says what and where."""

    reason: RefusedReason
    detail: str

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


Request = Describe | Bind | SignTransaction | SignVote
Response = AgentKeys | Signed | Refused

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
