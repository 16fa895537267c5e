"""Headers followed from the genesis or a checkpoint; every false answer is found out and changes nothing."""

from dataclasses import replace

import msgspec
import pytest

from ledger.codec.canonical import encode
from ledger.errors import CodecError, Reason, Rejected
from ledger.light.answers import FinalHeader, HeadersAnswer
from ledger.light.follower import (
    STALE_BLOCKS,
    STALE_HEARTBEATS,
    TRUST_PERIOD_MS,
    HeaderFollower,
    Taken,
    Trail,
    VerifiedHeader,
)
from ledger.types.block import Header
from tests.support.light_lab import (
    BLOCKS_PER_EPOCH,
    HEARTBEAT_MS,
    SLOT_MS,
    START_MS,
    HeaderChain,
    agents_of,
    make_genesis,
)

OLD = agents_of("a", "b", "c", "d")
NEW = agents_of("b", "c", "d", "e")
OTHER = agents_of("v", "w", "x", "y")
CHAIN = HeaderChain([OLD, NEW, NEW, OTHER])
NOW_MS = START_MS + 100 * SLOT_MS


def ready(newest: int = 35) -> HeaderFollower:
    follower = HeaderFollower(CHAIN.genesis)
    taken = follower.take_headers(CHAIN.headers([0, 1, 2], newest), NOW_MS)
    assert isinstance(taken, Taken), taken
    return follower


def height_of(follower: HeaderFollower) -> int:
    return 0 if follower.newest is None else follower.newest.header.height


def refusal_of(follower: HeaderFollower, content: bytes, now_ms: int = NOW_MS) -> Rejected:
    """Take an answer that must be refused and must change nothing."""
    before = (follower.newest, follower.agents, follower.epoch, follower.is_ready)
    found = follower.take_headers(content, now_ms)
    assert isinstance(found, Rejected)
    assert (follower.newest, follower.agents, follower.epoch, follower.is_ready) == before
    return found


def test_it_follows_sets_that_change_entirely_and_holds_the_newest_header():
    follower = HeaderFollower(CHAIN.genesis)
    assert not follower.is_ready
    taken = follower.take_headers(CHAIN.headers([0, 1, 2], 35), NOW_MS)
    assert taken == Taken(tuple(CHAIN.end(epoch) for epoch in (0, 1, 2)), is_complete=True)
    assert height_of(follower) == 35
    assert follower.agents == tuple(one.address for one in OTHER)
    assert follower.question().since_epoch == 3
    assert follower.is_ready


def test_an_epoch_without_a_change_may_be_left_out():
    follower = HeaderFollower(CHAIN.genesis)
    assert isinstance(follower.take_headers(CHAIN.headers([0, 2], 35), NOW_MS), Taken)


def test_a_long_trail_comes_in_parts():
    follower = HeaderFollower(CHAIN.genesis)
    first = follower.take_headers(CHAIN.headers([0], None), NOW_MS)
    assert isinstance(first, Taken)
    assert not first.is_complete
    assert not follower.is_ready
    assert isinstance(follower.take_headers(CHAIN.headers([2], 35), NOW_MS), Taken)
    assert follower.is_ready


def test_a_header_whose_agents_were_not_told_of_is_refused():
    refusal = refusal_of(HeaderFollower(CHAIN.genesis), CHAIN.headers([0], 35))
    assert "block 35 is not final" in refusal.detail


def test_a_certificate_short_of_a_quorum_is_refused():
    header = CHAIN.header(5)
    short = FinalHeader(encode(header), CHAIN.certify(header, count=2), ())
    refusal = refusal_of(HeaderFollower(CHAIN.genesis), encode(HeadersAnswer((), short)))
    assert "2 signers where 3 are needed" in refusal.detail


def test_a_certificate_of_other_agents_is_refused():
    header = CHAIN.header(5)
    wrong = FinalHeader(encode(header), CHAIN.certify(header, OTHER), ())
    refusal_of(HeaderFollower(CHAIN.genesis), encode(HeadersAnswer((), wrong)))


def test_a_header_of_another_chain_is_refused():
    other = HeaderChain([OLD, NEW], make_genesis(OLD, "other"))
    refusal = refusal_of(HeaderFollower(CHAIN.genesis), other.headers([], 5))
    assert refusal.reason is Reason.WRONG_CHAIN
    refusal_of(HeaderFollower(CHAIN.genesis), other.headers([0], None))


@pytest.mark.parametrize(("name", "value"), [("seal", True), ("version", 1)])
def test_a_header_of_another_kind_is_refused(name, value):
    final = CHAIN.final(5, **{name: value})
    refusal_of(HeaderFollower(CHAIN.genesis), encode(HeadersAnswer((), final)))


@pytest.mark.parametrize("name", Header.__struct_fields__)
def test_any_changed_field_of_a_header_is_found_out(name):
    header = CHAIN.header(5)
    value = getattr(header, name)
    changed = {
        bytes: lambda: bytes([value[0] ^ 1]) + value[1:],
        int: lambda: value + 1,
        bool: lambda: not value,
    }[type(value)]()
    forged = msgspec.structs.replace(header, **{name: changed})
    final = FinalHeader(encode(forged), CHAIN.certify(header), ())
    refusal_of(HeaderFollower(CHAIN.genesis), encode(HeadersAnswer((), final)))


def test_any_changed_byte_of_an_answer_is_found_out():
    content = CHAIN.headers([0, 1], 25)
    for place in range(0, len(content), 11):
        changed = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        refusal_of(HeaderFollower(CHAIN.genesis), changed)


def test_an_answer_that_says_nothing_is_refused():
    assert "neither" in refusal_of(HeaderFollower(CHAIN.genesis), CHAIN.headers([], None)).detail


def test_end_blocks_out_of_order_or_again_are_refused():
    refusal_of(HeaderFollower(CHAIN.genesis), CHAIN.headers([2], 35))
    refusal_of(ready(), CHAIN.headers([2], 36))
    refusal_of(ready(), CHAIN.headers([0], 36))


def test_an_end_block_of_an_epoch_that_was_seen_to_go_on_is_refused():
    going_on = HeaderChain([OLD, OLD, OLD], CHAIN.genesis)
    follower = HeaderFollower(CHAIN.genesis)
    assert isinstance(follower.take_headers(going_on.headers([], 25), NOW_MS), Taken)
    refusal_of(follower, CHAIN.headers([0], None))
    assert "forked" in follower.fork


def test_end_blocks_must_rise():
    end = CHAIN.end(1)
    header = CHAIN.header(2 * BLOCKS_PER_EPOCH, height=BLOCKS_PER_EPOCH)
    low = msgspec.structs.replace(end, header=encode(header), certificate=CHAIN.certify(header))
    refusal_of(HeaderFollower(CHAIN.genesis), encode(HeadersAnswer((CHAIN.end(0), low), None)))


def test_agents_that_an_end_block_does_not_name_are_refused():
    forged = msgspec.structs.replace(CHAIN.end(0), next_set=encode(CHAIN.agent_set(3)))
    refusal_of(HeaderFollower(CHAIN.genesis), encode(HeadersAnswer((forged,), None)))


def test_the_newest_header_never_becomes_older():
    follower = ready(35)
    taken = follower.take_headers(CHAIN.headers([], 33), NOW_MS)
    assert isinstance(taken, Taken)
    assert height_of(follower) == 35
    assert isinstance(follower.take_headers(CHAIN.headers([], 36), NOW_MS), Taken)
    assert height_of(follower) == 36


def test_two_final_blocks_of_one_height_are_told_as_a_fork():
    follower = ready(35)
    twin = CHAIN.final(35, time_ms=START_MS)
    refusal_of(follower, encode(HeadersAnswer((), twin)))
    assert "contradict each other" in follower.fork
    assert height_of(follower) == 35


def test_a_higher_block_of_an_older_epoch_is_a_fork():
    follower = ready(31)
    refusal_of(follower, encode(HeadersAnswer((), CHAIN.final(25, height=40))))
    assert follower.fork


def verified(follower: HeaderFollower, chain: HeaderChain, height: int) -> VerifiedHeader:
    found = follower.verify(chain.final(height))
    assert isinstance(found, VerifiedHeader)
    return found


def test_a_header_far_behind_in_blocks_proves_nothing_about_now():
    follower = ready(35)
    assert follower.check_fresh(verified(follower, CHAIN, 35 - STALE_BLOCKS)) is None
    stale = follower.check_fresh(verified(follower, CHAIN, 34 - STALE_BLOCKS))
    assert stale is not None
    assert "block 35 is final" in stale.detail


def test_a_header_far_behind_in_time_proves_nothing_about_now():
    idle = HeaderChain([OLD], step_ms=HEARTBEAT_MS)
    follower = HeaderFollower(idle.genesis)
    assert isinstance(follower.take_headers(idle.headers([], 9), START_MS), Taken)
    assert follower.check_fresh(verified(follower, idle, 9 - STALE_HEARTBEATS)) is None
    assert follower.check_fresh(verified(follower, idle, 8 - STALE_HEARTBEATS)) is not None


def test_after_the_trust_period_it_asks_for_a_checkpoint():
    follower = ready(35)
    newest_ms = START_MS + 35 * SLOT_MS
    assert follower.check_trust(newest_ms + TRUST_PERIOD_MS) is None
    late = newest_ms + TRUST_PERIOD_MS + 1
    assert "ledger.checkpoint" in refusal_of(follower, CHAIN.headers([], 36), late).detail
    assert "the genesis is 21 days old" in str(
        HeaderFollower(CHAIN.genesis).check_trust(START_MS + TRUST_PERIOD_MS + 1)
    )


def test_a_checkpoint_that_is_met_makes_an_old_genesis_good():
    now_ms = START_MS + TRUST_PERIOD_MS + 15 * SLOT_MS
    follower = HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(1))
    assert follower.question().through_epoch == 1
    assert follower.check_trust(now_ms) is None
    taken = follower.take_headers(CHAIN.headers([0, 1, 2], 35), now_ms)
    assert isinstance(taken, Taken)
    assert taken.ends == tuple(CHAIN.end(epoch) for epoch in (0, 1, 2))
    assert follower.is_ready
    assert follower.met == str(CHAIN.checkpoint(1))


def test_nothing_counts_before_the_checkpoint_is_met_and_then_everything_is_kept():
    follower = HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(2))
    first = follower.take_headers(CHAIN.headers([0], None), NOW_MS)
    assert first == Taken((), is_complete=False)
    second = follower.take_headers(CHAIN.headers([2], 31), NOW_MS)
    assert second == Taken((CHAIN.end(0), CHAIN.end(2)), is_complete=True)


def test_a_chain_beside_the_checkpoint_is_refused():
    forged = HeaderChain([OLD, OTHER, OTHER], CHAIN.genesis)
    follower = HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(1))
    assert isinstance(follower.take_headers(forged.headers([0], None), NOW_MS), Taken)
    assert (
        "does not stand on the checkpoint" in refusal_of(follower, forged.headers([1], 25)).detail
    )
    follower.forget_unkept()
    assert isinstance(follower.take_headers(CHAIN.headers([0, 1], 25), NOW_MS), Taken)


def test_a_chain_that_ends_before_the_checkpoint_is_refused():
    follower = HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(2))
    assert "does not stand on the checkpoint" in refusal_of(follower, CHAIN.headers([0], 15)).detail


def test_a_checkpoint_that_is_too_old_is_refused():
    follower = HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(0))
    late = START_MS + BLOCKS_PER_EPOCH * SLOT_MS + TRUST_PERIOD_MS + 1
    assert "set a newer one" in refusal_of(follower, CHAIN.headers([0, 2], 35), late).detail


def saved(follower: HeaderFollower, *epochs: int) -> Trail:
    assert follower.newest is not None
    ends = tuple(CHAIN.end(epoch) for epoch in epochs)
    return Trail(ends, follower.newest.final, follower.met)


def test_it_goes_on_from_what_was_saved():
    again = HeaderFollower(CHAIN.genesis, None, saved(ready(35), 0, 1, 2))
    assert again.is_ready
    assert height_of(again) == 35
    assert isinstance(again.take_headers(CHAIN.headers([], 36), NOW_MS), Taken)


def test_a_checkpoint_that_was_met_or_is_older_need_not_be_met_again():
    trail = replace(saved(ready(35), 0, 1, 2), met=str(CHAIN.checkpoint(2)))
    assert HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(2), trail).is_ready
    assert HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(1), trail).is_ready


def test_a_new_checkpoint_must_be_met_behind_what_was_saved():
    follower = HeaderFollower(CHAIN.genesis)
    follower.take_headers(CHAIN.headers([0], 15), NOW_MS)
    again = HeaderFollower(CHAIN.genesis, CHAIN.checkpoint(2), saved(follower, 0))
    assert not again.is_ready
    now_ms = START_MS + 30 * SLOT_MS + TRUST_PERIOD_MS
    assert isinstance(again.take_headers(CHAIN.headers([2], 31), now_ms), Taken)
    assert again.is_ready


def test_damage_in_what_was_saved_is_told():
    trail = saved(ready(35), 0, 1, 2)
    wrong_set = msgspec.structs.replace(trail.ends[0], next_set=trail.ends[2].next_set)
    with pytest.raises(CodecError):
        HeaderFollower(CHAIN.genesis, None, replace(trail, ends=(wrong_set, *trail.ends[1:])))
    with pytest.raises(CodecError):
        HeaderFollower(CHAIN.genesis, None, replace(trail, newest=CHAIN.final(36, version=1)))
