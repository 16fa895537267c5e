"""Propose: put changes of parameters to the vote.

Rule 1: the title is one line; the changes name parameters, each once, and the values they lead to lie
within their bounds.
Rule 2: the activation height lies ahead.
Rule 3: the sender has stake, and pays a deposit of at least `proposal_deposit`.
Rule 4: no more than `OPEN_PROPOSALS_MAX` proposals are unsettled.
"""

from ledger.crypto import domains
from ledger.errors import Reason, Rejected
from ledger.params import OPEN_PROPOSALS_MAX
from ledger.state.accounts import STAKE_ESCROW, decrease_balance, increase_balance
from ledger.state.agents import get_parameters
from ledger.state.context import BlockContext
from ledger.state.governance import (
    get_unsettled_proposals,
    put_proposal,
    put_unsettled_proposals,
    with_changes,
)
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.state.stake import get_stake
from ledger.types.stake import Proposal
from ledger.types.transaction import Propose, Transaction


def process_propose(
    state: Overlay, context: BlockContext, transaction: Transaction, body: Propose
) -> Rejected | None:
    """Open the proposal for ballots."""
    sender, rules = transaction.sender, get_parameters(state)
    least = rules.proposal_deposit
    if body.deposit < least:
        return Rejected(
            Reason.OUT_OF_RANGE, f"a deposit of {body.deposit}, at least {least} needed"
        )
    unsettled = get_unsettled_proposals(state)
    refusal = _check_content(state, context, body)
    if refusal is not None:
        return refusal
    if not get_stake(state, sender):
        return Rejected(Reason.NOT_OWNER, "only who has stake proposes: delegate some first")
    if len(unsettled) >= OPEN_PROPOSALS_MAX:
        return Rejected(Reason.FULL, f"{OPEN_PROPOSALS_MAX} proposals are unsettled")
    refusal = decrease_balance(state, sender, body.deposit)
    if refusal is not None:
        return refusal
    refusal = increase_balance(state, STAKE_ESCROW, body.deposit)
    assert refusal is None, "the escrow cannot exceed the supply"
    proposal_id = domains.proposal_id(sender, transaction.nonce)
    proposal = Proposal(
        proposer=sender,
        title=body.title,
        changes=body.changes,
        activation_height=body.activation_height,
        closes_ms=context.time_ms + rules.voting_ms,
        deposit=body.deposit,
    )
    put_proposal(state, proposal_id, proposal)
    put_unsettled_proposals(state, (*unsettled, proposal_id))
    return None


def _check_content(state: Overlay, context: BlockContext, body: Propose) -> Rejected | None:
    if not is_plain_text(body.title):
        return Rejected(Reason.MALFORMED, "the title is one line of plain text")
    changed = with_changes(get_parameters(state), body.changes)
    if isinstance(changed, str):
        return Rejected(Reason.OUT_OF_RANGE, changed)
    if body.activation_height <= context.height:
        detail = f"activation height {body.activation_height} is not ahead of {context.height}"
        return Rejected(Reason.OUT_OF_RANGE, detail)
    return None
