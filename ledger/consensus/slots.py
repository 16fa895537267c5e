"""The running slot: entered by certificates only, paced by the parent, ended by a deadline (1.4, 1.5).

Rule 1: slots go forward only, and only when a certificate ends one: a partition cannot run them away.
Rule 2: waiting is on the monotonic clock and bounded, so no wall clock can stop the chain.
"""

from ledger.consensus.parents import find_parent
from ledger.consensus.state import BACKOFF_MAX, SILENT_SLOTS, WINDOW, Pace, State, get_wall_ms


def find_next_slot(state: State) -> int:
    """Return the slot after the newest that is ended, never one before the running slot."""
    held = state.certificates
    newest = max(
        (max(kind) for kind in (held.notarized, held.nullified, held.final) if kind),
        default=state.tip.slot,
    )
    return max(newest, state.tip.slot, state.slot - 1) + 1


def enter(state: State, slot: int) -> None:
    """Start a later slot (1.4 `enter`)."""
    assert slot > state.slot, "slots go forward"
    state.slot = slot
    state.slots_entered += 1
    state.asked.clear()
    state.votes.clear()
    state.building = None
    state.book.forget_below(max(state.tip.slot, slot - WINDOW))
    for old in [number for number in state.candidates if number < slot]:
        _drop_candidate(state, old)
    now_ms = state.now.monotonic_ms
    state.pace = Pace(
        entered_ms=now_ms,
        due_ms=now_ms,
        due_idle_ms=now_ms,
        is_over=_is_leader_silent(state),
        gossip_ms=now_ms + state.rules.gossip_ms,
        backoff=_compute_backoff(state),
    )
    set_pace(state)


def set_pace(state: State) -> None:
    """Set when this slot's block is due, as soon as its parent is here.

    That is a block interval after the parent, or a heartbeat.
    """
    pace, rules = state.pace, state.rules
    parent = None if pace.is_set else find_parent(state)
    if parent is None:
        return
    now_ms, wall_ms, time_ms = state.now.monotonic_ms, get_wall_ms(state), parent.tip.time_ms
    pace_ms = min(max(time_ms + rules.slot_ms - wall_ms, 0), rules.slot_ms)
    idle_ms = min(max(time_ms + rules.heartbeat_ms - wall_ms, pace_ms), rules.heartbeat_ms)
    pace.is_set = True
    pace.due_ms = now_ms + pace_ms
    pace.due_idle_ms = now_ms + idle_ms
    pace.gossip_ms = max(pace.gossip_ms, pace.due_ms + rules.gossip_ms)


def _drop_candidate(state: State, slot: int) -> None:
    """Forget a proposal, and its block too unless it is certified or has our vote: others may ask."""
    block_hash = state.candidates.pop(slot).proposal.hash
    if block_hash not in state.persisted:
        state.blocks.pop(block_hash, None)
        state.valid.discard(block_hash)
        state.invalid.pop(block_hash, None)


def _compute_backoff(state: State) -> int:
    """Wait longer while slots fail although their leaders live: the network is slower than DELTA."""
    backoff, before = state.pace.backoff, state.slot - 1
    if before in state.certificates.notarized or before == state.tip.slot:
        return max(backoff - 1, 0)
    if before in state.certificates.nullified and not _is_silent(state, state.epoch.leader(before)):
        return min(backoff + 1, BACKOFF_MAX)
    return backoff


def _is_silent(state: State, seat: int) -> bool:
    window = min(SILENT_SLOTS, state.epoch.size)
    return state.heard[seat] + window < state.slots_entered


def _is_leader_silent(state: State) -> bool:
    """Tell whether the slot may be skipped at once: others speak, its leader has not for long (1.5)."""
    epoch = state.epoch
    leader = epoch.leader(state.slot)
    if leader == epoch.our_seat or not _is_silent(state, leader):
        return False
    alive = sum(not _is_silent(state, seat) for seat in range(epoch.size) if seat != epoch.our_seat)
    return alive + (epoch.our_seat is not None) >= epoch.quorum


def get_due_ms(state: State) -> int:
    """Return when the leader's block is due: late only where nothing waits (1.5, idle mode).

    What can wait is a transaction, or, after DELTA, a block that a successor would help to finality.
    """
    pace = state.pace
    if state.work_since_ms is not None:
        return pace.due_ms
    parent = find_parent(state)
    is_open = parent is not None and parent.proposal is not None
    if is_open:
        return min(max(pace.due_ms, pace.entered_ms + state.rules.delta_ms), pace.due_idle_ms)
    return pace.due_idle_ms


def get_deadline_ms(state: State) -> int | None:
    """Return when to vote for skipping the slot; None: never, for who is alone waits for nobody.

    Whoever has had a transaction for DELTA expects the leader to have it too (1.5, idle mode).
    """
    pace = state.pace
    if pace.is_over:
        return pace.entered_ms
    if state.epoch.is_ours_alone:
        return None
    due_ms = get_due_ms(state)
    if state.work_since_ms is not None:
        due_ms = min(pace.due_idle_ms, max(due_ms, state.work_since_ms + state.rules.delta_ms))
    return due_ms + 3 * state.rules.delta_ms * (2 + pace.backoff) // 2
