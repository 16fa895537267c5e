"""Mutual authentication of two nodes in three messages. Pure: nonces and time are arguments.

    initiator                                          responder
    build_hello(own)                  -> Hello  ->     answer_hello(...)   -> PendingAnswer | Refused
                                                       sign(pending.token) -> pending.finish(signature)
    check_answer(...)                 <- Answer <-
    -> (AcceptedPeer, PendingProof) | Refused
    sign(pending.token) -> .finish()  -> Proof  ->     check_proof(...)    -> AcceptedPeer | Refused

Rule 1: each side signs one session token, over a nonce of the other side that is fresh, so a recorded
message is worth nothing; what echoes another nonce than ours, or our own as its own, is `replayed`.
Rule 2: who calls itself by our node id, or by one whose lease another instance holds, is `cloned`.
Rule 3: a retired node is refused; so is one without valid grants where the genesis names a foundation.
Rule 4: who wanted a certain peer accepts no other one.
Rule 5: a node's software that is not listed, a missing lease and an unsynchronised clock are flags of an
accepted peer: its caller shows them and decides what such a peer may do.

The checks run in one order: form, chain, peer, freshness, channel, signature, lease, grants. Everything
before the signature is cheap, so a flood of strangers costs no verification but one each.
"""

from collections import OrderedDict
from dataclasses import dataclass

from ledger.codec.canonical import encode
from ledger.identity.facts import IdentityFacts, Moment
from ledger.identity.messages import (
    HANDSHAKE_VERSION,
    Answer,
    Claims,
    Goodbye,
    Hello,
    Proof,
    decode_handshake,
)
from ledger.identity.peer_check import (
    AcceptedPeer,
    Judging,
    Party,
    accept_peer,
    build_token,
    check_claims,
    check_stranger,
)
from ledger.identity.refusals import RefusalCode, Refused
from ledger.identity.session_token import Side

REPLAY_WINDOW_MAX = 4096  # nonces: minutes of honest connections


@dataclass(frozen=True, slots=True)
class OwnSide:
    """What a node says of itself in one connection, and how strict it is.

    `claims.chain_id` must be the chain that the SmartAgent is bound to. `allows_untrusted_clock` lets
    a node that has no time yet reach a foundation's network to fetch it; such a peer is flagged.
    """

    claims: Claims
    nonce: bytes  # 32 fresh random bytes
    allows_untrusted_clock: bool = False

    def judging(self, now: Moment) -> Judging:
        """Return how this side judges a peer's grants now."""
        return Judging(now, self.allows_untrusted_clock)


class ReplayWindow:
    """The nonces of the newest hellos; one responder has one."""

    def __init__(self, size: int = REPLAY_WINDOW_MAX) -> None:
        self._size = size
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def take(self, nonce: bytes) -> bool:
        """Remember a nonce; tell whether it is new."""
        if nonce in self._seen:
            return False
        self._seen[nonce] = None
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return True


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """The responder's answer but for its signature: `token` is what the SmartAgent signs."""

    own: OwnSide
    hello: Hello
    token: bytes

    def finish(self, signature: bytes) -> bytes:
        """Return the bytes to send; `check_proof` takes them again."""
        return encode(Answer(self.own.claims, self.hello.nonce, self.own.nonce, signature))


@dataclass(frozen=True, slots=True)
class PendingProof:
    """The initiator's proof but for its signature."""

    own: OwnSide
    echo: bytes
    token: bytes

    def finish(self, signature: bytes) -> bytes:
        """Return the bytes to send."""
        return encode(Proof(self.own.claims, self.echo, signature))


def build_hello(own: OwnSide) -> bytes:
    """Return the first message."""
    claims = own.claims
    return encode(Hello(HANDSHAKE_VERSION, claims.chain_id, claims.node_id, claims.role, own.nonce))


def answer_hello(raw: bytes, own: OwnSide, window: ReplayWindow) -> PendingAnswer | Refused:
    """Return what the responder has to sign for a hello, or why it does not talk to its sender."""
    hello = decode_handshake(raw)
    if isinstance(hello, Refused):
        return hello
    if not isinstance(hello, Hello):
        return _unexpected(hello, "a hello")
    if hello.version != HANDSHAKE_VERSION:
        return Refused(
            RefusalCode.MALFORMED, f"handshake version {hello.version} is not known here"
        )
    refused = check_stranger(hello.chain_id, hello.node_id, own.claims)
    if refused is not None:
        return refused
    if not window.take(hello.nonce):
        return Refused(RefusalCode.REPLAYED, "this hello was sent before")
    peer = Party(hello.node_id, hello.role, hello.nonce)
    return PendingAnswer(own, hello, build_token(own.claims, own.nonce, Side.RESPONDER, peer, raw))


def check_answer(
    raw: bytes,
    own: OwnSide,
    *,
    facts: IdentityFacts,
    now: Moment,
    expected_peer: bytes | None = None,
) -> tuple[AcceptedPeer, PendingProof] | Refused:
    """Return who answered our hello and what we have to sign, or why we leave."""
    answer = decode_handshake(raw)
    if isinstance(answer, Refused):
        return answer
    if not isinstance(answer, Answer):
        return _unexpected(answer, "an answer")
    claims = answer.claims
    refused = check_claims(claims, own.claims)
    if refused is not None:
        return refused
    if answer.echo != own.nonce or answer.nonce == own.nonce:
        return Refused(RefusalCode.REPLAYED, "the answer is to another hello than ours")
    if expected_peer not in (None, claims.node_id):
        detail = f"node {claims.node_id.hex()[:16]} answers where another was called"
        return Refused(RefusalCode.WRONG_PEER, detail)
    us = Party(own.claims.node_id, own.claims.role, own.nonce)
    signed = build_token(claims, answer.nonce, Side.RESPONDER, us, build_hello(own))
    peer = accept_peer(claims, signed, answer.signature, facts, own.judging(now))
    if isinstance(peer, Refused):
        return peer
    them = Party(claims.node_id, claims.role, answer.nonce)
    token = build_token(own.claims, own.nonce, Side.INITIATOR, them, raw)
    return peer, PendingProof(own, answer.nonce, token)


def check_proof(
    raw: bytes, pending: PendingAnswer, answer: bytes, *, facts: IdentityFacts, now: Moment
) -> AcceptedPeer | Refused:
    """Return who proved itself towards our answer (the bytes that were sent), or why it did not."""
    proof = decode_handshake(raw)
    if isinstance(proof, Refused):
        return proof
    if not isinstance(proof, Proof):
        return _unexpected(proof, "a proof")
    claims, own, hello = proof.claims, pending.own, pending.hello
    refused = check_claims(claims, own.claims)
    if refused is not None:
        return refused
    if (claims.node_id, claims.role) != (hello.node_id, hello.role):
        return Refused(RefusalCode.WRONG_PEER, "the proof is another node's than the hello")
    if proof.echo != own.nonce:
        return Refused(RefusalCode.REPLAYED, "the proof is to another answer than ours")
    us = Party(own.claims.node_id, own.claims.role, own.nonce)
    signed = build_token(claims, hello.nonce, Side.INITIATOR, us, answer)
    return accept_peer(claims, signed, proof.signature, facts, own.judging(now))


def _unexpected(message: Hello | Answer | Proof | Goodbye, wanted: str) -> Refused:
    if isinstance(message, Goodbye):
        return Refused(message.code, f"the other side says: {message.detail}")
    got = type(message).__name__.lower()
    return Refused(RefusalCode.MALFORMED, f"{got} came where {wanted} was due")
