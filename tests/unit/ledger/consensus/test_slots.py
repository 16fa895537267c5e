"""Pace, deadlines, silence and back-off (1.4, 1.5)."""

import pytest

from ledger.consensus.effects import SignVote
from ledger.consensus.inputs import SignaturesVerified, Ticked
from ledger.consensus.slots import get_deadline_ms
from ledger.consensus.state import BACKOFF_MAX, DELTA_MS, SILENT_SLOTS
from ledger.crypto.domains import NO_HASH
from tests.support.consensus_script import NODES, F, N, Script, X, certificate, vote


def skip(script: Script, slot: int) -> None:
    """End a slot by a nullification of seats 1 to 3."""
    skipped = certificate(X, slot, NO_HASH, 1, 2, 3)
    script.give(SignaturesVerified(NODES[1], (), (skipped,), None))


def test_a_slot_is_left_only_by_a_certificate_and_only_forwards():
    script = Script()
    script.start()
    assert script.state.slot == 1
    script.now_ms += 3_600_000
    script.give(Ticked(has_work=True))
    assert script.state.slot == 1
    skip(script, 7)
    assert script.state.slot == 8
    skip(script, 3)
    assert script.state.slot == 8


def test_the_deadline_follows_the_pace_and_three_deltas():
    script = Script()
    script.start()
    pace = script.state.pace
    deadline = max(pace.due_ms, pace.entered_ms + DELTA_MS) + 3 * DELTA_MS
    assert get_deadline_ms(script.state) == deadline


def test_an_idle_network_waits_for_the_heartbeat():
    script = Script()
    script.start(has_work=False)
    assert get_deadline_ms(script.state) == 50_000 + 27_000 + 3 * DELTA_MS


def test_deadlines_grow_while_slots_of_live_leaders_fail_and_shrink_again():
    script = Script()
    script.start()
    seen = []
    for slot in range(1, 12):
        for voter in range(4):
            script.hear(vote(X, slot, NO_HASH, voter))
        seen.append(script.state.pace.backoff)
    assert seen == [*range(1, BACKOFF_MAX + 1), *[BACKOFF_MAX] * (11 - BACKOFF_MAX)]
    block = script.block(12)
    script.propose(block)
    notarized = certificate(N, 12, block.hash, 1, 2, 3)
    script.give(SignaturesVerified(NODES[1], (), (notarized,), None))
    assert script.state.pace.backoff == BACKOFF_MAX - 1


@pytest.mark.parametrize("is_heard", [True, False])
def test_a_silent_leader_is_skipped_at_once_when_the_others_speak(is_heard: bool):
    script = Script()
    script.start()
    mute = next(seat for seat in range(4) if seat != 0)
    speaking = [seat for seat in range(4) if is_heard or seat != mute]
    slot = 1
    while slot <= SILENT_SLOTS + 2 or script.epoch.leader(slot) != mute:
        for voter in speaking:
            script.hear(vote(X, slot, NO_HASH, voter))
        slot += 1
    assert script.state.slot == slot
    effects = script.give(Ticked(has_work=True))
    assert (SignVote(X, 0, slot, NO_HASH) in effects or X in script.state.asked) is not is_heard


def test_nobody_is_called_silent_when_hardly_anyone_speaks():
    script = Script()
    script.start()
    for slot in range(1, 40):
        skip(script, slot)  # certificates alone: nobody was heard
        assert not script.state.pace.is_over


def test_our_own_finalize_waits_for_nothing_but_the_notarization():
    script = Script()
    script.start()
    block = script.block()
    script.propose(block)
    notarized = certificate(N, 1, block.hash, 1, 2, 3)
    effects = script.give(SignaturesVerified(NODES[1], (), (notarized,), None))
    assert SignVote(F, 0, 1, block.hash) in effects
