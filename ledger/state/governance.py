"""Proposals: how the holders of stake change the parameters they live under.

Rule 1: a ballot weighs the stake its voter has when casting it. A proposal is open for `voting_ms`,
and stake takes longer than that to become free, so the same coins cannot vote twice.
Rule 2: counted in the first end block after it closes: accepted when at least `turnout_percent` of all
stake voted and `approval_percent` of yes and no is yes.
Rule 3: the deposit comes back when the turnout was reached; else it goes to the reward pool.
Rule 4: an accepted proposal takes effect with the first epoch that begins at or above its activation
height, if the values still lie within their bounds: else it fails, as a whole.
Rule 5: a change of `protocol_version` is one of the parameters: nodes that do not know the version stop
at that height instead of following rules they do not know.
"""

import msgspec

from ledger.codec import canonical
from ledger.state.accounts import REWARD_POOL, STAKE_ESCROW, decrease_balance, increase_balance
from ledger.state.agents import get_parameters
from ledger.state.context import BlockContext
from ledger.state.keys import PARAMETERS_KEY, PROPOSAL_INDEX_KEY, ballot_key, proposal_key
from ledger.state.loading import load, load_one, save
from ledger.state.overlay import Overlay, StateReader
from ledger.state.stake import get_stake_total
from ledger.types.parameters import Parameters, find_out_of_bounds
from ledger.types.stake import (
    Ballot,
    Change,
    Proposal,
    ProposalIndex,
    ProposalStatus,
)

_proposals = canonical.OwnDecoder(Proposal)
_indexes = canonical.OwnDecoder(ProposalIndex)
_ballots = canonical.OwnDecoder(Ballot)


def get_proposal(state: StateReader, proposal_id: bytes) -> Proposal | None:
    """Return a proposal."""
    return load(state, proposal_key(proposal_id), _proposals)


def put_proposal(state: Overlay, proposal_id: bytes, proposal: Proposal) -> None:
    """Store a proposal."""
    save(state, proposal_key(proposal_id), proposal)


def get_unsettled_proposals(state: StateReader) -> tuple[bytes, ...]:
    """Return the ids of the proposals that are open or wait for their activation."""
    return load_one(state, PROPOSAL_INDEX_KEY, _indexes).open


def put_unsettled_proposals(state: Overlay, ids: tuple[bytes, ...]) -> None:
    """Store the ids of the proposals that are open or wait for their activation."""
    save(state, PROPOSAL_INDEX_KEY, ProposalIndex(ids))


def get_ballot(state: StateReader, proposal_id: bytes, voter: bytes) -> Ballot | None:
    """Return how an account voted on a proposal."""
    return load(state, ballot_key(proposal_id, voter), _ballots)


def with_changes(parameters: Parameters, changes: tuple[Change, ...]) -> Parameters | str:
    """Return the changed parameters, or one line about the first change that cannot be made."""
    names = [change.name for change in changes]
    for change in changes:
        if change.name not in Parameters.__struct_fields__:
            return f"there is no parameter {change.name}"
        if names.count(change.name) > 1:
            return f"{change.name} is changed twice"
    values = {change.name: change.value for change in changes}
    changed = msgspec.structs.replace(parameters, **values)
    return find_out_of_bounds(changed) or changed


def settle_proposals(state: Overlay, context: BlockContext) -> None:
    """Count what has closed and activate what is due: part of an end block."""
    unsettled = get_unsettled_proposals(state)
    left: list[bytes] = []
    for proposal_id in unsettled:
        proposal = get_proposal(state, proposal_id)
        assert proposal is not None, "the index names proposals"
        settled = _activate(state, _count(state, proposal, context), context)
        if settled != proposal:
            put_proposal(state, proposal_id, settled)
        if settled.status in {ProposalStatus.OPEN, ProposalStatus.ACCEPTED}:
            left.append(proposal_id)
    if tuple(left) != unsettled:
        put_unsettled_proposals(state, tuple(left))


def _count(state: Overlay, proposal: Proposal, context: BlockContext) -> Proposal:
    if proposal.status is not ProposalStatus.OPEN or context.time_ms < proposal.closes_ms:
        return proposal
    rules = get_parameters(state)
    voted = proposal.yes + proposal.no + proposal.abstain
    total = max(get_stake_total(state), voted)
    has_turnout = voted > 0 and voted * 100 >= total * rules.turnout_percent
    _return_deposit(state, proposal, proposal.proposer if has_turnout else REWARD_POOL)
    decided = proposal.yes + proposal.no
    is_accepted = has_turnout and 0 < decided * rules.approval_percent <= proposal.yes * 100
    status = ProposalStatus.ACCEPTED if is_accepted else ProposalStatus.REJECTED
    return msgspec.structs.replace(proposal, status=status, deposit=0)


def _return_deposit(state: Overlay, proposal: Proposal, to: bytes) -> None:
    refusal = decrease_balance(state, STAKE_ESCROW, proposal.deposit) or increase_balance(
        state, to, proposal.deposit
    )
    assert refusal is None, "the escrow holds every deposit"


def _activate(state: Overlay, proposal: Proposal, context: BlockContext) -> Proposal:
    next_height = context.height + 1
    if proposal.status is not ProposalStatus.ACCEPTED or next_height < proposal.activation_height:
        return proposal
    changed = with_changes(get_parameters(state), proposal.changes)
    if isinstance(changed, str):
        return msgspec.structs.replace(proposal, status=ProposalStatus.FAILED)
    save(state, PARAMETERS_KEY, changed)
    return msgspec.structs.replace(proposal, status=ProposalStatus.ACTIVE)
