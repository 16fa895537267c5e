"""Slot-Simplex, the machine: (input, now) -> effects. Rule numbers are the specification's.

Rule 1: this package knows no clock, socket, key or database, and no chance.
Rule 2: an input that does not fit what is known changes nothing.
Rule 3: after every change `_advance` takes the machine as far as it goes: finality first, then the
slot, then our proposal and our vote.
"""

from typing import assert_never

from ledger.consensus.certifying import count_vote
from ledger.consensus.committing import keep_open_finalizations, try_commit
from ledger.consensus.effects import Broadcast, Effect, Send, SignVote, WakeAt
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.executing import take_verdict
from ledger.consensus.fetching import ask_again
from ledger.consensus.gossiping import exchange, get_status, repeat
from ledger.consensus.inputs import (
    Answer,
    BlockBuilt,
    BlockRefused,
    BlockValidated,
    BuildPostponed,
    EpochOpened,
    Input,
    MessageReceived,
    Now,
    PeerConnected,
    SignaturesVerified,
    SignerUnavailable,
    Started,
    Ticked,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.parents import get_justification
from ledger.consensus.proposing import (
    is_leading,
    postpone_building,
    take_built,
    try_propose,
)
from ledger.consensus.receiving import receive, take_verified
from ledger.consensus.slots import enter, find_next_slot, get_deadline_ms, get_due_ms, set_pace
from ledger.consensus.state import Candidate, Rules, State
from ledger.consensus.syncing import go_on
from ledger.consensus.voting import (
    ask_signer_again,
    is_held_back,
    nullify,
    send_signed,
    take_refusal,
    try_notarize,
    wait_for_signer,
)


class Machine:
    """One node's consensus. Nothing happens before `Started`."""

    def __init__(self, rules: Rules, epoch: Epoch, tip: Tip) -> None:
        self.state = _open_epoch(None, rules, epoch, tip)

    def handle(self, happened: Input, now: Now) -> tuple[Effect, ...]:
        """Take one input and return what is to be done, in order."""
        state = self.state
        if state.is_halted or (state.is_opening and not isinstance(happened, EpochOpened)):
            return ()
        state.now = now
        if self._take(happened) and not self.state.is_halted:
            _advance(self.state)
            self.state.emit(WakeAt(_find_wake_ms(self.state)))
        effects = tuple(self.state.effects)
        self.state.effects.clear()
        return effects

    def _take(self, happened: Input) -> bool:
        """Take an input; tell whether the machine may go on because of it."""
        state = self.state
        match happened:
            case MessageReceived():
                return receive(state, happened)
            case SignaturesVerified():
                return take_verified(state, happened)
            case PeerConnected(peer):
                state.emit(Send(peer, get_status(state)))
                return False
            case Ticked(has_work):
                _tick(state, has_work=has_work)
            case EpochOpened(epoch):
                self._switch(epoch)
            case Started():
                _start(state, happened)
            case _:
                return _take_answer(state, happened)
        return True

    def _switch(self, epoch: Epoch) -> None:
        """Leave the epoch that ended for the one that stands on its end block (1.6)."""
        before = self.state
        assert before.is_opening, "an epoch opens when the one before it has ended"
        assert epoch.number == before.epoch.number + 1
        self.state = _open_epoch(before, before.rules, epoch, epoch.root)


def _take_answer(state: State, answer: Answer) -> bool:
    """Take what the shell found out for us; tell whether the machine may go on because of it."""
    match answer:
        case VoteSigned(vote):
            if vote.epoch != state.epoch.number:
                return False
            send_signed(state, vote)
            return count_vote(state, vote)
        case BlockBuilt(proposal):
            take_built(state, proposal)
        case BuildPostponed(slot):
            postpone_building(state, slot)
        case BlockValidated(block_hash):
            take_verdict(state, block_hash, None)
        case BlockRefused(block_hash, detail):
            take_verdict(state, block_hash, detail)
        case VoteRefused(kind, slot, detail):
            take_refusal(state, kind, slot, detail)
        case SignerUnavailable(kind, epoch, slot, block_hash):
            wait_for_signer(state, SignVote(kind, epoch, slot, block_hash))
        case _:
            assert_never(answer)
    return True


def _open_epoch(before: State | None, rules: Rules, epoch: Epoch, tip: Tip) -> State:
    """Return a fresh state; whom we heard lately, what waits and whom we sync from is carried over."""
    if before is None:
        return State(rules, epoch, tip, heard=[0] * epoch.size)
    known = dict(zip(before.epoch.nodes, before.heard, strict=True))
    return State(
        rules,
        epoch,
        tip,
        now=before.now,
        slots_entered=before.slots_entered,
        heard=[known.get(node, before.slots_entered) for node in epoch.nodes],
        work_since_ms=before.work_since_ms,
        peer_clocks=before.peer_clocks,
        tip_seen_ms=before.now.monotonic_ms,
        syncing=before.syncing,
    )


def _start(state: State, started: Started) -> None:
    """Take up what was written ahead (1.3): certificates first, then the blocks they name."""
    state.tip_seen_ms = state.now.monotonic_ms
    for proposal in started.proposals:
        if proposal.header.epoch == state.epoch.number:
            state.blocks[proposal.hash] = proposal
            state.persisted.add(proposal.hash)
    for certificate in started.certificates:
        if certificate.epoch == state.epoch.number and certificate.slot >= state.tip.slot:
            state.certificates.of_kind(certificate.kind)[certificate.slot] = certificate
    slot = find_next_slot(state)
    for proposal in started.proposals:
        header = proposal.header
        if header.epoch == state.epoch.number and header.slot >= slot:
            certificates = get_justification(state, header)
            state.candidates[header.slot] = Candidate(proposal, certificates, None)
    if not state.epoch.is_ours_alone:
        state.emit(Broadcast(get_status(state)))


def _tick(state: State, *, has_work: bool) -> None:
    now_ms = state.now.monotonic_ms
    if not has_work:
        state.work_since_ms = None
    elif state.work_since_ms is None:
        state.work_since_ms = now_ms
    state.pace.has_ticked = True
    ask_signer_again(state)
    ask_again(state)


def _advance(state: State) -> None:
    """Go as far as what is known allows."""
    while True:
        try_commit(state)
        if _is_waiting(state):
            return
        slot = find_next_slot(state)
        if slot == state.slot:
            break
        enter(state, slot)
    keep_open_finalizations(state)
    go_on(state)
    set_pace(state)
    try_propose(state)
    try_notarize(state)
    _keep_time(state)


def _is_waiting(state: State) -> bool:
    return state.is_halted or state.is_opening


def _keep_time(state: State) -> None:
    """Do what is due: skip the slot after its deadline, then repeat; exchange votes (1.4 `on_tick`)."""
    now_ms, pace, rules = state.now.monotonic_ms, state.pace, state.rules
    deadline_ms = get_deadline_ms(state)
    if deadline_ms is not None and now_ms >= deadline_ms:
        nullify(state)
        if pace.retry_ms is None:
            pace.retry_ms = now_ms + rules.retry_ms
    if pace.retry_ms is not None and now_ms >= pace.retry_ms:
        pace.retry_ms = now_ms + rules.retry_ms
        repeat(state)
    if not state.epoch.is_ours_alone and now_ms >= pace.gossip_ms:
        pace.gossip_ms = now_ms + rules.gossip_ms
        exchange(state)


def _find_wake_ms(state: State) -> int:
    """Return when something is due next."""
    now_ms, pace, rules = state.now.monotonic_ms, state.pace, state.rules
    times = [now_ms + rules.heartbeat_ms]
    if is_leading(state) and state.building is None and state.slot not in state.candidates:
        due_ms = max(get_due_ms(state), pace.build_again_ms)
        if due_ms <= now_ms and not pace.has_ticked:
            return now_ms
        times.append(due_ms)
    deadline_ms = get_deadline_ms(state)
    if pace.retry_ms is not None:
        times.append(pace.retry_ms)
    elif deadline_ms is not None:
        times.append(deadline_ms)
    if not state.epoch.is_ours_alone:
        times.append(pace.gossip_ms)
    if state.sign_retry_ms is not None:
        times.append(state.sign_retry_ms)
    times.extend(want.asked_ms + rules.retry_ms for want in state.wants.values())
    if is_held_back(state):
        times.append(now_ms + rules.gossip_ms)
    future = [time for time in times if time > now_ms]
    return min(future, default=now_ms + rules.heartbeat_ms)
