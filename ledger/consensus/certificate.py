"""Votes and quorum certificates (consensus specification 1.3).

Rule 1: a certificate is valid or not by its own bytes, the chain's id and the agents' keys alone.
Rule 2: bit i of the bitmap (least significant bit of byte i // 8 first) is agent i of the set, and
signatures stand in the order of the bits.
"""

from collections.abc import Callable, Sequence

from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.ed25519 import verify_strict
from ledger.errors import Reason, Rejected
from ledger.params import AGENTS_MAX, SIGNER_BITMAP_BYTES
from ledger.types.block import Certificate, Vote

_EPOCH_MAX = 2**32 - 1  # the signed message gives the epoch four bytes

SignatureCheck = Callable[[bytes, bytes, bytes], bool]  # (public key, message, signature)


def compute_quorum(agent_count: int) -> int:
    """Return how many agents of a set must sign: n - floor((n - 1) / 3), so 67 of 99 and 1 of 1."""
    assert 1 <= agent_count <= AGENTS_MAX
    return agent_count - (agent_count - 1) // 3


def encode_signers(agents: Sequence[int]) -> bytes:
    """Return the 13-byte bitmap of these agent indices."""
    bits = 0
    for agent in agents:
        assert 0 <= agent < AGENTS_MAX
        bits |= 1 << agent
    return bits.to_bytes(SIGNER_BITMAP_BYTES, "little")


def decode_signers(bitmap: bytes) -> tuple[int, ...]:
    """Return the indices of the bitmap's set bits, in order."""
    bits = int.from_bytes(bitmap, "little")
    return tuple(index for index in range(bits.bit_length()) if bits >> index & 1)


def build_certificate(votes: Sequence[Vote]) -> Certificate:
    """Return the certificate of votes by distinct agents that agree in kind, slot and block."""
    ordered = sorted(votes, key=lambda vote: vote.voter)
    first = ordered[0]
    subject = (first.kind, first.epoch, first.slot, first.block_hash)
    assert all((v.kind, v.epoch, v.slot, v.block_hash) == subject for v in ordered)
    assert len({vote.voter for vote in ordered}) == len(ordered)
    return Certificate(
        *subject,
        signers=encode_signers([vote.voter for vote in ordered]),
        signatures=tuple(vote.signature for vote in ordered),
    )


def extract_vote(certificate: Certificate, agent: int) -> Vote | None:
    """Return the vote that `agent` gave to a well-formed certificate, or None."""
    signers = decode_signers(certificate.signers)
    if agent not in signers:
        return None
    return Vote(
        certificate.kind,
        certificate.epoch,
        certificate.slot,
        certificate.block_hash,
        voter=agent,
        signature=certificate.signatures[signers.index(agent)],
    )


def verify_vote(
    vote: Vote,
    chain_id: bytes,
    agent_keys: Sequence[bytes],
    check: SignatureCheck = verify_strict,
) -> Rejected | None:
    """Return None when `vote` is its voter's, else why not."""
    if vote.voter >= len(agent_keys):
        return Rejected(Reason.BAD_SIGNATURE, f"vote by agent {vote.voter}, who is not in the set")
    if vote.epoch > _EPOCH_MAX or (vote.kind is VoteKind.NULLIFY) != (vote.block_hash == NO_HASH):
        return Rejected(Reason.MALFORMED, "vote: its kind does not fit its block hash or epoch")
    message = vote_message(chain_id, vote.kind, vote.epoch, vote.slot, vote.block_hash)
    if not check(agent_keys[vote.voter], message, vote.signature):
        return Rejected(
            Reason.BAD_SIGNATURE, f"vote: the signature of agent {vote.voter} does not verify"
        )
    return None


def verify_certificate(
    certificate: Certificate,
    chain_id: bytes,
    agent_keys: Sequence[bytes],
    check: SignatureCheck = verify_strict,
) -> Rejected | None:
    """Return None when a quorum of `agent_keys` (the epoch's set, in order) signed, else why not."""
    return _find_malformed(certificate, len(agent_keys)) or _find_forged(
        certificate, chain_id, agent_keys, check
    )


def _find_malformed(certificate: Certificate, agent_count: int) -> Rejected | None:
    quorum = compute_quorum(agent_count)
    signers = decode_signers(certificate.signers)
    if certificate.epoch > _EPOCH_MAX:
        return Rejected(Reason.MALFORMED, f"certificate: epoch {certificate.epoch} is past 32 bits")
    if (certificate.kind is VoteKind.NULLIFY) != (certificate.block_hash == NO_HASH):
        return Rejected(Reason.MALFORMED, "certificate: its kind does not fit its block hash")
    if signers and signers[-1] >= agent_count:
        return Rejected(
            Reason.MALFORMED, f"certificate: signer {signers[-1]} in a set of {agent_count}"
        )
    if len(signers) != len(certificate.signatures):
        return Rejected(
            Reason.MALFORMED,
            f"certificate: {len(signers)} signers with {len(certificate.signatures)} signatures",
        )
    if len(signers) < quorum:
        return Rejected(
            Reason.BAD_SIGNATURE, f"certificate: {len(signers)} signers where {quorum} are needed"
        )
    return None


def _find_forged(
    certificate: Certificate, chain_id: bytes, agent_keys: Sequence[bytes], check: SignatureCheck
) -> Rejected | None:
    message = vote_message(
        chain_id, certificate.kind, certificate.epoch, certificate.slot, certificate.block_hash
    )
    signers = decode_signers(certificate.signers)
    for agent, signature in zip(signers, certificate.signatures, strict=True):
        if not check(agent_keys[agent], message, signature):
            return Rejected(
                Reason.BAD_SIGNATURE, f"certificate: the signature of agent {agent} does not verify"
            )
    return None
