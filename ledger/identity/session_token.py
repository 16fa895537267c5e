"""The session token: the one thing that a node signs to prove who it is in one connection.

It names both nodes, both nonces, the chain, both roles and the channel, and commits to every byte that
the two sides have said. The SmartAgent signs it as a typed request, under a prefix of its own.
"""

import enum

import msgspec

from ledger.codec.canonical import Decoder
from ledger.errors import CodecError
from ledger.identity.grant import Role
from ledger.identity.refusals import RefusalCode, Refused
from ledger.types.primitives import Address, Hash

SESSION_TOKEN_BYTES_MAX = 512


class Side(enum.IntEnum):
    """Which end of the connection signs: a token of one side is never one of the other."""

    INITIATOR = 1
    RESPONDER = 2


class SessionToken(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What is signed. `claims_hash` is over the signer's own claims, `heard_hash` over the message it answers."""

    chain_id: Hash
    side: Side
    signer: Address
    signer_role: Role
    signer_nonce: Hash
    peer: Address
    peer_role: Role
    peer_nonce: Hash
    channel: Hash
    claims_hash: Hash
    heard_hash: Hash


_tokens = Decoder(SessionToken)


def decode_session_token(payload: bytes) -> SessionToken | Refused:
    """Return a token in its canonical form, or why nobody should sign it."""
    if len(payload) > SESSION_TOKEN_BYTES_MAX:
        return Refused(RefusalCode.MALFORMED, f"{len(payload)} bytes are no session token")
    try:
        token = _tokens.decode(payload)
    except CodecError as error:
        return Refused(RefusalCode.MALFORMED, f"session token {error}")
    if token.signer == token.peer or token.signer_nonce == token.peer_nonce:
        return Refused(RefusalCode.REPLAYED, "the session token reflects its own signer")
    return token
