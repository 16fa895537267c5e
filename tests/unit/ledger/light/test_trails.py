"""Trails over any sequence of agent sets: every way of telling it leads to the same agents, and none past a gap."""

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
@settings(max_examples=40, deadline=None)
def test_parts_restarts_and_end_blocks_left_out_make_no_difference(sets: Sets, data: st.DataObject):
    chain = HeaderChain(sets)
    needed = changes_of(sets)
    spare = [epoch for epoch in range(len(sets) - 1) if epoch not in needed]
    told = sorted(
        {*needed, *data.draw(st.sets(st.sampled_from(spare)) if spare else st.just(set()))}
    )
    cuts = sorted(data.draw(st.sets(st.integers(0, len(told)))) | {0, len(told)})
    follower = HeaderFollower(chain.genesis)
    for first, last in pairwise(cuts):
        assert isinstance(
            follower.take_headers(chain.headers(told[first:last], None), START_MS), Taken
        )
    taken = follower.take_headers(chain.headers([], newest_of(sets)), START_MS)
    assert isinstance(taken, Taken), taken
    assert set(follower.agents) == {one.address for one in sets[-1]}
    assert follower.newest is not None
    assert follower.newest.header.height == newest_of(sets)


@given(SETS, st.data())
@settings(max_examples=40, deadline=None)
def test_a_change_that_is_left_out_is_noticed_unless_a_quorum_of_the_old_agents_goes_on(
    sets: Sets, data: st.DataObject
):
    chain, needed = HeaderChain(sets), changes_of(sets)
    if not needed:
        return
    gone = data.draw(st.sampled_from(needed))
    told = [epoch for epoch in needed if epoch != gone]
    found = HeaderFollower(chain.genesis).take_headers(
        chain.headers(told, newest_of(sets)), START_MS
    )
    # Keys stand by seat: a certificate of another set is of other keys at the same seats.
    assert isinstance(found, Rejected) or any(sets[gone] == other for other in sets[gone + 1 :])
