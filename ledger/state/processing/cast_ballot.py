"""CastBallot: say yes, no or nothing to a proposal.

Rule 1: the proposal is open and not past its closing time.
Rule 2: the sender has stake; the ballot weighs what it has now.
Rule 3: a second ballot replaces the first.
"""

import msgspec

from ledger.errors import Reason, Rejected
from ledger.state.context import BlockContext
from ledger.state.governance import get_ballot, get_proposal, put_proposal
from ledger.state.keys import ballot_key
from ledger.state.loading import save
from ledger.state.overlay import Overlay
from ledger.state.stake import get_stake
from ledger.types.stake import Ballot, BallotChoice, Proposal, ProposalStatus
from ledger.types.transaction import CastBallot

_FIELDS = {BallotChoice.YES: "yes", BallotChoice.NO: "no", BallotChoice.ABSTAIN: "abstain"}


def process_cast_ballot(
    state: Overlay, context: BlockContext, sender: bytes, body: CastBallot
) -> Rejected | None:
    """Count the sender's stake for its choice."""
    proposal = get_proposal(state, body.proposal)
    if proposal is None:
        return Rejected(Reason.UNKNOWN_PROPOSAL, f"no proposal {body.proposal.hex()[:16]}")
    if proposal.status is not ProposalStatus.OPEN or context.time_ms >= proposal.closes_ms:
        return Rejected(Reason.TOO_LATE, "the vote on this proposal is over")
    stake = get_stake(state, sender)
    if not stake:
        return Rejected(Reason.NOT_OWNER, "only stake casts ballots: delegate some first")
    before = get_ballot(state, body.proposal, sender)
    if before is not None:
        proposal = _add(proposal, before.choice, -before.stake)
    put_proposal(state, body.proposal, _add(proposal, body.choice, stake))
    save(state, ballot_key(body.proposal, sender), Ballot(body.choice, stake))
    return None


def _add(proposal: Proposal, choice: BallotChoice, stake: int) -> Proposal:
    field = _FIELDS[choice]
    return msgspec.structs.replace(proposal, **{field: getattr(proposal, field) + stake})
