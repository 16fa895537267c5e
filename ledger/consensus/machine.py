"""The slot machine for a set of one agent: (state, input) -> (state, effects).

Rule 1: a block is durable before our NOTARIZE, its notarization before our FINALIZE.
Rule 2: in one slot only one block is ever proposed: after a crash, the one in the write-ahead log.
Rule 3: a vote that the guard refuses skips the slot by NULLIFY; if that is refused too, we halt.
Rule 4: an input that does not fit the step changes nothing.
Rule numbers of the consensus specification stand beside the code. With one agent the quorum is one,
so each vote is its certificate; the votes of others are what a larger set adds.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from ledger.consensus.certificate import build_certificate, compute_quorum
from ledger.consensus.effects import (
    BuildBlock,
    CommitBlock,
    Effect,
    Halt,
    PersistCertificate,
    PersistProposal,
    SignVote,
    ValidateBlock,
    WakeAt,
)
from ledger.consensus.inputs import (
    BlockBuilt,
    BlockCommitted,
    BlockRefused,
    BlockValidated,
    Input,
    Now,
    SignerUnavailable,
    Started,
    Ticked,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.state import Proposal, Rules, SlotState, Step, Tip
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.types.block import Certificate

Transition = tuple[SlotState, tuple[Effect, ...]]

SIGNER_RETRY_MS = 1_000  # RETRY of consensus specification 1.4
_SIGNING_STEPS = {
    Step.NOTARIZING: VoteKind.NOTARIZE,
    Step.FINALIZING: VoteKind.FINALIZE,
    Step.NULLIFYING: VoteKind.NULLIFY,
}


def initial_state(rules: Rules, tip: Tip) -> SlotState:
    """Return the state before `Started`; the set must be one agent."""
    assert compute_quorum(len(rules.agent_keys)) == 1, "this machine is alone in its set"
    return SlotState(rules, tip, tip.slot + 1, Step.WAITING, due_with_work_ms=0, due_idle_ms=0)


def apply(state: SlotState, happened: Input) -> Transition:
    """Apply one input."""
    match happened:
        case Started():
            return _start(state, happened)
        case Ticked():
            return _tick(state, happened)
        case BlockBuilt(proposal):
            return _take_built_block(state, proposal)
        case BlockValidated() | BlockRefused():
            return _take_verdict(state, happened)
        case VoteSigned():
            return _take_vote(state, happened)
        case VoteRefused():
            return _take_refusal(state, happened)
        case SignerUnavailable(now):
            return _wait_for_signer(state, now)
        case BlockCommitted(tip, now):
            return _take_commit(state, tip, now)
        case _:
            assert_never(happened)


def _start(state: SlotState, started: Started) -> Transition:
    """Resume in the first slot above the tip that no certificate has skipped."""
    nullified = _slots_with(started.certificates, VoteKind.NULLIFY)
    slot = state.tip.slot + 1
    while slot in nullified:
        slot += 1
    pending = _find_pending(state.tip, slot, started.proposals)
    if pending is None:
        return _enter(state, slot, started.now)
    entered, _ = _enter(state, slot, started.now)
    notarized = {
        certificate.block_hash
        for certificate in started.certificates
        if certificate.kind is VoteKind.NOTARIZE and certificate.slot == slot
    }
    resumed = replace(
        entered,
        step=Step.VALIDATING,
        proposal=pending,
        is_notarized=pending.hash in notarized,
    )
    return resumed, (ValidateBlock(pending),)


def _slots_with(certificates: Sequence[Certificate], kind: VoteKind) -> frozenset[int]:
    return frozenset(c.slot for c in certificates if c.kind is kind)


def _find_pending(tip: Tip, slot: int, proposals: Sequence[Proposal]) -> Proposal | None:
    for proposal in proposals:
        if proposal.header.slot == slot and proposal.header.parent_hash == tip.hash:
            return proposal
    return None


def _enter(state: SlotState, slot: int, now: Now) -> Transition:
    """Wait in `slot` for the pace (1.5): a block interval, or a heartbeat without work.

    Never longer than that on the monotonic clock, so a wall clock set back cannot stop the chain.
    """
    rules, tip = state.rules, state.tip
    pace = min(max(tip.time_ms + rules.slot_ms - now.wall_ms, 0), rules.slot_ms)
    idle = min(max(tip.time_ms + rules.heartbeat_ms - now.wall_ms, pace), rules.heartbeat_ms)
    entered = SlotState(
        rules,
        tip,
        slot,
        Step.WAITING,
        due_with_work_ms=now.monotonic_ms + pace,
        due_idle_ms=now.monotonic_ms + idle,
    )
    return entered, (WakeAt(entered.due_with_work_ms),)


def _tick(state: SlotState, ticked: Ticked) -> Transition:
    if state.retry_at_ms is not None:
        return _retry_signing(state, state.retry_at_ms, ticked.now)
    if state.step is not Step.WAITING:
        return state, ()
    due = state.due_with_work_ms if ticked.has_work else state.due_idle_ms
    if ticked.now.monotonic_ms < due:
        return state, (WakeAt(due),)
    # 1.5: the proposer uses max(parent.time + SLOT, wall).
    time_ms = max(state.tip.time_ms + state.rules.slot_ms, ticked.now.wall_ms)
    return replace(state, step=Step.BUILDING), (BuildBlock(state.slot, state.tip, time_ms),)


def _retry_signing(state: SlotState, retry_at_ms: int, now: Now) -> Transition:
    if now.monotonic_ms < retry_at_ms:
        return state, (WakeAt(retry_at_ms),)
    waiting = replace(state, retry_at_ms=None)
    return waiting, (_vote_for(waiting),)


def _wait_for_signer(state: SlotState, now: Now) -> Transition:
    if state.step not in _SIGNING_STEPS:
        return state, ()
    retry_at_ms = now.monotonic_ms + SIGNER_RETRY_MS
    return replace(state, retry_at_ms=retry_at_ms), (WakeAt(retry_at_ms),)


def _vote_for(state: SlotState) -> SignVote:
    """Return the vote that the state's step is about."""
    kind = _SIGNING_STEPS[state.step]
    if kind is VoteKind.NULLIFY:
        return SignVote(kind, state.rules.epoch, state.slot, NO_HASH)
    assert state.proposal is not None
    return SignVote(kind, state.rules.epoch, state.slot, state.proposal.hash)


def _take_built_block(state: SlotState, proposal: Proposal) -> Transition:
    if state.step is not Step.BUILDING or proposal.header.slot != state.slot:
        return state, ()
    voting = replace(state, step=Step.NOTARIZING, proposal=proposal)
    return voting, (PersistProposal(proposal), _vote_for(voting))


def _take_verdict(state: SlotState, verdict: BlockValidated | BlockRefused) -> Transition:
    pending = state.proposal
    if state.step is not Step.VALIDATING or pending is None or pending.hash != verdict.block_hash:
        return state, ()
    if isinstance(verdict, BlockRefused):
        return _nullify(state)
    voting = replace(state, step=Step.FINALIZING if state.is_notarized else Step.NOTARIZING)
    return voting, (_vote_for(voting),)


def _nullify(state: SlotState) -> Transition:
    voting = replace(state, step=Step.NULLIFYING)
    return voting, (_vote_for(voting),)


def _take_vote(state: SlotState, signed: VoteSigned) -> Transition:
    vote = signed.vote
    if _SIGNING_STEPS.get(state.step) is not vote.kind or vote.slot != state.slot:
        return state, ()
    certificate = build_certificate([vote])
    match vote.kind:
        case VoteKind.NOTARIZE:
            voting = replace(state, step=Step.FINALIZING, is_notarized=True)
            return voting, (PersistCertificate(certificate), _vote_for(voting))
        case VoteKind.FINALIZE:
            assert state.proposal is not None
            committing = replace(state, step=Step.COMMITTING)
            return committing, (CommitBlock(state.proposal, certificate),)
        case VoteKind.NULLIFY:
            entered, effects = _enter(state, state.slot + 1, signed.now)
            return entered, (PersistCertificate(certificate), *effects)
        case _:
            assert_never(vote.kind)


def _take_refusal(state: SlotState, refused: VoteRefused) -> Transition:
    if state.step not in _SIGNING_STEPS or refused.slot != state.slot:
        return state, ()
    if state.step is not Step.NULLIFYING:
        return _nullify(state)
    line = (
        f"slot {state.slot}: the SmartAgent refuses to vote or to skip ({refused.detail}): its record"
        " is ahead of this chain database: put the newest chain database back"
    )
    return replace(state, step=Step.HALTED), (Halt(line),)


def _take_commit(state: SlotState, tip: Tip, now: Now) -> Transition:
    if state.step is not Step.COMMITTING:
        return state, ()
    return _enter(replace(state, tip=tip), tip.slot + 1, now)
