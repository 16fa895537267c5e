"""The three messages of the handshake, and the one that ends it early.

    initiator                                   responder
    Hello   chain, node, role, nonce      ->
                                          <-    Answer  claims, echo, nonce, signature
    Proof   claims, echo, signature       ->

Each is canonical MessagePack of at most `HANDSHAKE_BYTES_MAX`. Instead of the second or third, a side
sends `Goodbye` with its refusal's code, so that the other can tell its operator why.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.codec.canonical import Decoder, encode
from ledger.errors import CodecError
from ledger.identity.grant import GRANT_BYTES_MAX, Role
from ledger.identity.refusals import RefusalCode, Refused
from ledger.types.primitives import Address, Counter, Hash, Signature
from ledger.types.reading import ClockStatus

HANDSHAKE_VERSION = 1
HANDSHAKE_BYTES_MAX = 8 * 1024  # two grants of the largest kind and the rest
NO_CHANNEL = bytes(32)  # a connection without TLS
NO_INSTANCE = bytes(32)  # a node that holds no lease yet
NO_MEASUREMENT = bytes(32)
_GRANTS_MAX = 2
_DETAIL_CHARS_MAX = 200

SignedGrantBytes = Annotated[bytes, Meta(max_length=GRANT_BYTES_MAX + 128)]


class _Message(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class Hello(_Message, frozen=True, tag=1):
    """The initiator names itself and the chain. Nothing here is believed before its proof."""

    version: Counter
    chain_id: Hash
    node_id: Address
    role: Role
    nonce: Hash


class Claims(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What a side says of itself, under its signature.

    `channel` is the TLS channel binding that it sees (RFC 5929 tls-server-end-point) or `NO_CHANNEL`.
    """

    chain_id: Hash
    node_id: Address
    role: Role
    channel: Hash
    instance: Hash
    measurement: Hash
    clock: ClockStatus
    grants: Annotated[tuple[SignedGrantBytes, ...], Meta(max_length=_GRANTS_MAX)]


class Answer(_Message, frozen=True, tag=2):
    """The responder's claims, the initiator's nonce back, a nonce of its own, and its signature."""

    claims: Claims
    echo: Hash
    nonce: Hash
    signature: Signature


class Proof(_Message, frozen=True, tag=3):
    """The initiator's claims, the responder's nonce back, and its signature."""

    claims: Claims
    echo: Hash
    signature: Signature


class Goodbye(_Message, frozen=True, tag=4):
    """The handshake ends here: the code of the refusal and its line."""

    code: RefusalCode
    detail: Annotated[str, Meta(max_length=_DETAIL_CHARS_MAX, pattern=r"^[ -~]*\Z")]


HandshakeMessage = Hello | Answer | Proof | Goodbye
_messages: Decoder[HandshakeMessage] = Decoder(HandshakeMessage)  # type: ignore[arg-type]  # a union is no class


def encode_goodbye(refused: Refused) -> bytes:
    """Return the message that tells the other side why."""
    printable = (char if " " <= char <= "~" else "?" for char in refused.detail)
    return encode(Goodbye(refused.code, "".join(printable)[:_DETAIL_CHARS_MAX]))


def decode_handshake(raw: bytes) -> HandshakeMessage | Refused:
    """Return the message in its one canonical form."""
    if len(raw) > HANDSHAKE_BYTES_MAX:
        return Refused(
            RefusalCode.MALFORMED, f"a message of {len(raw)} bytes; {HANDSHAKE_BYTES_MAX} at most"
        )
    try:
        return _messages.decode(raw)
    except CodecError as error:
        return Refused(RefusalCode.MALFORMED, f"handshake message {error}")
