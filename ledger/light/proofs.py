"""What full nodes say about the state, transactions and blocks, judged against headers that are final.

Each check returns what is proven, or `Rejected` with the one line that says what is false. A header that
comes with an answer is verified first, and becomes the newest where it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ledger.codec.canonical import Decoder
from ledger.codec.merkle import merkle_root, verify_inclusion
from ledger.crypto.domains import transaction_id
from ledger.errors import CodecError, Reason, Rejected
from ledger.light.answers import BlockAnswer, FinalHeader, InclusionAnswer, StateAnswer
from ledger.light.evidence import AnchorEvidence
from ledger.light.follower import HeaderFollower, VerifiedHeader
from ledger.state.commitment import StateProof, verify_state_proof
from ledger.types.outcome import Outcome
from ledger.types.transaction import SignedTransaction

_states = Decoder(StateAnswer)
_inclusions = Decoder(InclusionAnswer)
_blocks = Decoder(BlockAnswer)
_outcomes = Decoder(Outcome)
_envelopes = Decoder(SignedTransaction)


@dataclass(frozen=True, slots=True)
class ProvenState:
    """What stands under some keys behind one final block (None: nothing), each with its proof."""

    at: VerifiedHeader
    values: Mapping[bytes, bytes | None]
    proofs: Mapping[bytes, StateProof]


@dataclass(frozen=True, slots=True)
class ProvenTransaction:
    """A final transaction, what it did, and the evidence without set changes."""

    id: bytes
    at: VerifiedHeader
    outcome: Outcome
    evidence: AnchorEvidence


@dataclass(frozen=True, slots=True)
class ProvenInclusions:
    """Transactions that are proven to be final; others were not up to block `height`, it is said."""

    height: int
    found: tuple[ProvenTransaction, ...]


@dataclass(frozen=True, slots=True)
class ProvenBlock:
    """A final block and the ids of its transactions, in order."""

    at: VerifiedHeader
    transaction_ids: tuple[bytes, ...]


def check_state(
    follower: HeaderFollower, keys: Sequence[bytes], content: bytes
) -> ProvenState | Rejected:
    """Judge the answer to `GetState(keys)`: proven, and of now."""
    try:
        answer = _states.decode(content)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"not an answer about the state: {error}")
    verified = _verify_and_take(follower, answer.final)
    if isinstance(verified, Rejected):
        return verified
    stale = follower.check_fresh(verified)
    if stale is not None:
        return stale
    if len(answer.values) != len(keys):
        return Rejected(Reason.MALFORMED, f"{len(answer.values)} values for {len(keys)} keys")
    root = verified.header.state_root
    for key, one in zip(keys, answer.values, strict=True):
        if not verify_state_proof(root, key, one.value, one.proof):
            detail = f"block {verified.header.height} does not hold that value under {key.hex()}"
            return Rejected(Reason.BAD_BLOCK, detail)
    paired = list(zip(keys, answer.values, strict=True))
    return ProvenState(
        verified, {key: one.value for key, one in paired}, {key: one.proof for key, one in paired}
    )


def check_inclusion(
    follower: HeaderFollower, wanted: Sequence[bytes], content: bytes
) -> ProvenInclusions | Rejected:
    """Judge the answer to `GetInclusion(wanted)`: each transaction that is said to be final, is."""
    try:
        answer = _inclusions.decode(content)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"not an answer about transactions: {error}")
    proven: list[ProvenTransaction] = []
    for evidence in answer.found:
        one = _check_evidence(follower, evidence)
        if isinstance(one, Rejected):
            return one
        if one.id not in wanted or any(one.id == other.id for other in proven):
            return Rejected(Reason.MALFORMED, f"nobody asked for transaction {one.id.hex()[:16]}")
        proven.append(one)
    return ProvenInclusions(answer.height, tuple(proven))


def check_block(follower: HeaderFollower, height: int, content: bytes) -> ProvenBlock | Rejected:
    """Judge the answer to `GetFinalBlock(height)`."""
    try:
        answer = _blocks.decode(content)
        ids = tuple(transaction_id(_envelopes.decode(raw).payload) for raw in answer.transactions)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"not a block: {error}")
    verified = _verify_and_take(follower, answer.final)
    if isinstance(verified, Rejected):
        return verified
    if verified.header.height != height:
        detail = f"block {verified.header.height} instead of block {height}"
        return Rejected(Reason.BAD_BLOCK, detail)
    if merkle_root(answer.transactions) != verified.header.transactions_root:
        return Rejected(Reason.BAD_BLOCK, f"block {height} holds other transactions")
    return ProvenBlock(verified, ids)


def _verify_and_take(follower: HeaderFollower, final: FinalHeader) -> VerifiedHeader | Rejected:
    verified = follower.verify(final)
    if isinstance(verified, Rejected):
        return verified
    return follower.take(verified) or verified


def _check_evidence(
    follower: HeaderFollower, evidence: AnchorEvidence
) -> ProvenTransaction | Rejected:
    if evidence.set_changes:
        return Rejected(Reason.MALFORMED, "evidence with changes of agents that nobody asked for")
    final = FinalHeader(evidence.header, evidence.certificate, evidence.descendants)
    verified = _verify_and_take(follower, final)
    if isinstance(verified, Rejected):
        return verified
    place, header = (evidence.position, evidence.count), verified.header
    paths = (
        (evidence.transaction, evidence.transaction_path, header.transactions_root),
        (evidence.outcome, evidence.outcome_path, header.outcomes_root),
    )
    if not all(verify_inclusion(leaf, *place, path, root) for leaf, path, root in paths):
        detail = f"block {header.height} does not hold that transaction with that outcome"
        return Rejected(Reason.BAD_BLOCK, detail)
    try:
        found = transaction_id(_envelopes.decode(evidence.transaction).payload)
        outcome = _outcomes.decode(evidence.outcome)
    except CodecError as error:
        return Rejected(Reason.MALFORMED, f"a transaction {error}")
    if outcome.transaction_id != found:
        return Rejected(Reason.BAD_BLOCK, "an outcome is of another transaction")
    return ProvenTransaction(found, verified, outcome, evidence)
