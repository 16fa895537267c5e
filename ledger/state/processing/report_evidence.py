"""ReportEvidence: show that an agent signed two votes of one slot that contradict each other.

Rule 1: both votes are of one epoch and slot, and of two kinds that exclude each other: two blocks
notarised, two blocks finalised, or the slot skipped and a block in it finalised.
Rule 2: both signatures are the agent's, and it sat in that epoch's set at the voter number in them.
Rule 3: the epoch began no longer than `evidence_age_ms` ago.
Rule 4: an agent is convicted once.
"""

from ledger.crypto.domains import VoteKind, vote_message
from ledger.crypto.ed25519 import verify_strict
from ledger.errors import Reason, Rejected
from ledger.state.agents import get_agent, get_parameters
from ledger.state.context import BlockContext
from ledger.state.epochs import get_epoch, get_past_epoch
from ledger.state.identities import get_node
from ledger.state.overlay import Overlay, StateReader
from ledger.state.penalties import announce_slash
from ledger.types.block import Vote
from ledger.types.stake import PenaltyCause
from ledger.types.transaction import ReportEvidence

EPOCH_NUMBER_MAX = 2**32 - 1  # four bytes in a vote's signed message


def process_report_evidence(
    state: Overlay, context: BlockContext, sender: bytes, body: ReportEvidence
) -> Rejected | None:
    """Bar the agent and announce what it loses; the sender is the reporter."""
    cause = check_report(state, context.chain_id, context.time_ms, body)
    if isinstance(cause, Rejected):
        return cause
    announce_slash(state, get_epoch(state).epoch, body.agent, sender, cause)
    return None


def check_report(
    state: StateReader, chain_id: bytes, time_ms: int, body: ReportEvidence
) -> PenaltyCause | Rejected:
    """Return what the report proves in a block of Unix time `time_ms`, or why it convicts nobody."""
    cause = find_contradiction(body.first, body.second)
    if cause is None:
        return Rejected(Reason.MALFORMED, "the two votes do not contradict each other")
    agent = get_agent(state, body.agent)
    if agent is None:
        return Rejected(Reason.UNKNOWN_AGENT, f"{body.agent.hex()[:16]} is no agent")
    if agent.is_tombstoned:
        return Rejected(Reason.ALREADY_EXISTS, "the agent is convicted already")
    refusal = _check_epoch(state, time_ms, body) or _check_signatures(state, chain_id, body)
    return cause if refusal is None else refusal


def find_contradiction(first: Vote, second: Vote) -> PenaltyCause | None:
    """Return what two votes of one voter, epoch and slot prove against it, or None."""
    if (first.epoch, first.slot, first.voter) != (second.epoch, second.slot, second.voter):
        return None
    kinds = {first.kind, second.kind}
    is_other_block = first.block_hash != second.block_hash
    if kinds == {VoteKind.NOTARIZE} and is_other_block:
        return PenaltyCause.DOUBLE_NOTARIZE
    if kinds == {VoteKind.FINALIZE} and is_other_block:
        return PenaltyCause.DOUBLE_FINALIZE
    if kinds == {VoteKind.NULLIFY, VoteKind.FINALIZE}:
        return PenaltyCause.NULLIFY_AND_FINALIZE
    return None


def _check_epoch(state: StateReader, time_ms: int, body: ReportEvidence) -> Rejected | None:
    vote = body.first
    if vote.epoch > EPOCH_NUMBER_MAX:
        return Rejected(Reason.MALFORMED, f"epoch {vote.epoch} is past 32 bits")
    past = get_past_epoch(state, vote.epoch)
    oldest_ms = time_ms - get_parameters(state).evidence_age_ms
    if past is None or past.start_time_ms < oldest_ms:
        return Rejected(Reason.TOO_LATE, f"epoch {vote.epoch} is not one that evidence counts for")
    if past.nodes[vote.voter : vote.voter + 1] != (body.agent,):
        detail = f"voter {vote.voter} of epoch {vote.epoch} was not this agent"
        return Rejected(Reason.UNKNOWN_AGENT, detail)
    return None


def _check_signatures(state: StateReader, chain_id: bytes, body: ReportEvidence) -> Rejected | None:
    node = get_node(state, body.agent)
    assert node is not None, "an agent is a node"
    for vote in (body.first, body.second):
        message = vote_message(chain_id, vote.kind, vote.epoch, vote.slot, vote.block_hash)
        if not verify_strict(node.consensus, message, vote.signature):
            return Rejected(Reason.BAD_SIGNATURE, f"the {vote.kind.name} vote is not the agent's")
    return None
