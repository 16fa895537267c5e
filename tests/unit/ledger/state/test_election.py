"""The election as a pure function: seats, rest, draw, few changes at once."""

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ledger.crypto.hashing import sha256
from ledger.params import DRAW_RANK_LAST
from ledger.state.election import Candidate, compute_change_limit, elect
from ledger.types.parameters import Parameters

RULES = Parameters()
SEED = sha256(b"seed")


def node(number: int) -> bytes:
    return number.to_bytes(32, "big")


def candidates(count: int, *, tired: int = 0, weight: int = 10**12) -> list[Candidate]:
    """Candidates of falling weight; the first `tired` have held seats for a long time."""
    return [
        Candidate(node(n), weight - n, seated_epochs=400 - n if n < tired else 1)
        for n in range(count)
    ]


def nodes(first: int, end: int) -> set[bytes]:
    return {node(number) for number in range(first, end)}


def run(
    standing: list[Candidate], incumbents: set[bytes], seed: bytes = SEED, **changes: int
) -> tuple[set[bytes], set[bytes], set[bytes]]:
    rules = msgspec.structs.replace(RULES, **changes)
    elected = elect(standing, incumbents, sorted(incumbents), seed, rules)
    assert list(elected.nodes) == sorted(set(elected.nodes))
    return set(elected.nodes), set(elected.drawn), set(elected.resting)


def test_ninety_by_votes_and_nine_drawn_from_the_ranks_behind():
    seated, drawn, resting = run(candidates(400), nodes(0, 99))
    assert nodes(0, 90) <= seated
    assert len(seated) == 99
    assert len(drawn) == 9
    assert drawn <= nodes(90, DRAW_RANK_LAST)
    assert not resting


def test_the_draw_follows_the_seed_alone():
    standing = candidates(400)
    assert run(standing, nodes(0, 99)) == run(standing, nodes(0, 99))
    assert run(standing, nodes(0, 99)) != run(standing, nodes(0, 99), sha256(b"another"))


def test_without_drawn_seats_it_is_the_top_by_votes():
    seated, drawn, _ = run(candidates(400), nodes(0, 99), drawn_seats=0)
    assert (seated, drawn) == (nodes(0, 90), set())


def test_the_draw_favours_weight_by_its_square_root():
    heavy = [Candidate(node(n), 10**12, 1) for n in range(90)]
    pool = [Candidate(node(90 + n), 10**10 if n % 2 else 10**8, 1) for n in range(40)]
    count = {True: 0, False: 0}
    for trial in range(300):
        drawn = run([*heavy, *pool], nodes(0, 90), sha256(b"%d" % trial))[1]
        for one in drawn:
            count[int.from_bytes(one, "big") % 2 == 1] += 1
    # Ten times the chance in each draw, less for nine draws without return out of forty.
    assert 5 < count[True] / count[False] < 10


def test_the_longest_serving_rest_where_others_can_take_their_seats():
    seated, _, resting = run(candidates(130, tired=20), nodes(0, 99))
    assert resting == nodes(0, 9)
    assert not seated & resting
    assert len(seated) == 99


def test_nobody_rests_in_a_network_that_needs_them():
    seated, _, resting = run(candidates(100, tired=99), nodes(0, 99))
    assert resting == nodes(0, 1)
    assert len(seated) == 99
    assert run(candidates(99, tired=99), nodes(0, 99))[2] == set()


def test_one_agents_weight_counts_for_no_more_than_its_share():
    giant = Candidate(node(7), 10**15, 1)
    others = [Candidate(node(100 + n), 10**9, 1) for n in range(30)]
    elected = run([giant, *others], nodes(0, 0) | {node(100)}, elected_seats=1, drawn_seats=0)[0]
    assert elected == {node(7)}


def test_at_most_twenty_seats_change_and_incumbents_keep_the_others_by_rank():
    standing = candidates(198)
    seated, _, _ = run(standing, nodes(99, 198), drawn_seats=0)
    assert nodes(0, 20) <= seated
    assert len(seated & nodes(0, 99)) == 20
    assert seated - nodes(0, 20) == nodes(99, 169)


@pytest.mark.parametrize(
    ("size", "limit"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (10, 4), (21, 10), (99, 20)]
)
def test_a_small_set_takes_no_more_newcomers_than_it_can_do_without(size, limit):
    assert compute_change_limit(size, RULES) == limit
    seated, _, _ = run(candidates(size + 50), set(nodes(40, 40 + size)))
    assert len(seated - nodes(40, 40 + size)) <= limit


def test_a_network_grows_from_one_agent_step_by_step():
    seated = {node(5)}
    sizes = []
    for _ in range(16):
        seated = run(candidates(200), seated)[0]
        sizes.append(len(seated))
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (1, 99) or sizes[-1] == 99


def test_without_candidates_the_incumbents_stay():
    assert run([], nodes(0, 4))[0] == nodes(0, 4)
    elected = elect([], nodes(0, 2), [], SEED, RULES)
    assert set(elected.nodes) == nodes(0, 2)


def test_a_set_keeps_two_thirds_of_its_seats_though_nobody_stands():
    seated, _, _ = run(candidates(1), nodes(0, 9))
    assert node(0) in seated
    assert len(seated) == 6


@settings(max_examples=60)
@given(
    count=st.integers(0, 300),
    incumbents=st.sets(st.integers(0, 320), min_size=1, max_size=99),
    tired=st.integers(0, 99),
    seed=st.binary(min_size=32, max_size=32),
)
def test_every_set_keeps_the_promises(count, incumbents, tired, seed):
    before = {node(number) for number in incumbents}
    seated, drawn, resting = run(candidates(count, tired=tired), before, seed)
    assert 1 <= len(seated) <= 99
    assert len(seated) >= -(-2 * len(before) // 3)
    assert len(seated - before) <= compute_change_limit(len(before), RULES)
    assert drawn <= seated
    assert not resting & seated
    assert seated <= before | nodes(0, count)
