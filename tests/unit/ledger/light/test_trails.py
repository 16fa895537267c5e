"""Trails over any sequence of agent sets: every way of telling it leads to the same agents, and a gap does no harm."""

from itertools import pairwise

from hypothesis import given, settings, strategies as st

from ledger.errors import Rejected
from ledger.light.follower import HeaderFollower, Taken
from tests.support.light_lab import BLOCKS_PER_EPOCH, START_MS, HeaderChain, agents_of
from tests.support.transactions import Person

PEOPLE = agents_of(*"abcdefgh")
SETS = st.lists(
    st.sets(st.sampled_from(PEOPLE), min_size=1, max_size=5).map(
        lambda chosen: tuple(sorted(chosen, key=lambda one: one.address))
    ),
    min_size=2,
    max_size=6,
)
Sets = list[tuple[Person, ...]]


def changes_of(sets: Sets) -> list[int]:
    """The epochs whose end block brings other agents."""
    return [epoch for epoch in range(len(sets) - 1) if sets[epoch] != sets[epoch + 1]]


def newest_of(sets: Sets) -> int:
    return (len(sets) - 1) * BLOCKS_PER_EPOCH + 1


@given(SETS, st.data())
@settings(max_examples=40)
def test_parts_restarts_and_end_blocks_left_out_make_no_difference(sets: Sets, data: st.DataObject):
    chain = HeaderChain(sets)
    needed = changes_of(sets)
    spare = [epoch for epoch in range(len(sets) - 1) if epoch not in needed]
    told = sorted(
        {*needed, *data.draw(st.sets(st.sampled_from(spare)) if spare else st.just(set()))}
    )
    cuts = sorted(data.draw(st.sets(st.integers(0, len(told)))) | {0, len(told)})
    follower = HeaderFollower(chain.genesis)
    for first, last in pairwise(cuts):  # none of them empty
        assert isinstance(
            follower.take_headers(chain.headers(told[first:last], None), START_MS), Taken
        )
    taken = follower.take_headers(chain.headers([], newest_of(sets)), START_MS)
    assert isinstance(taken, Taken), taken
    assert set(follower.agents) == {one.address for one in sets[-1]}
    assert follower.newest is not None
    assert follower.newest.header.height == newest_of(sets)


@given(SETS, st.data())
@settings(max_examples=40)
def test_a_change_that_is_left_out_is_noticed_or_does_no_harm(sets: Sets, data: st.DataObject):
    chain, needed = HeaderChain(sets), changes_of(sets)
    if not needed:
        return
    gone = data.draw(st.sampled_from(needed))
    told = [epoch for epoch in needed if epoch != gone]
    follower = HeaderFollower(chain.genesis)
    found = follower.take_headers(chain.headers(told, newest_of(sets)), START_MS)
    if isinstance(found, Rejected):
        return
    # A quorum of those who are trusted did sign what was told: it is true, and what is missing is made up for.
    since = follower.question_again().since_epoch
    rest = [epoch for epoch in needed if epoch >= since]
    again = follower.take_headers(chain.headers(rest, newest_of(sets)), START_MS)
    assert isinstance(again, Taken), again
    assert set(follower.agents) == {one.address for one in sets[-1]}
    assert not follower.fork
