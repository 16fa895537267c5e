"""Votes that follow the balance: what a voter holds now counts for the agents it chose.

Rule 1: a voter's whole balance counts for each of its up to 30 choices, times `BREADTH[k]` for k of
them: few choices count less (the shape of Telos, sin**2 of k/30 of a right angle).
Rule 2: a vote loses half its weight in a year: `DECAY[age in weeks]`, until it is cast anew.
Rule 3: after every block the tallies hold exactly what the voters hold: whoever's balance changed is
counted anew. An election reads one tally for each agent, however many voters there are.

Both tables are numbers, not formulas: no node computes a sine.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from ledger.codec import canonical
from ledger.params import VOTE_AGE_WEEKS_MAX, VOTE_CHOICES_MAX
from ledger.state.keys import tally_key, vote_key
from ledger.state.loading import load, save
from ledger.state.overlay import Overlay, StateReader
from ledger.types.stake import Tally, VoteRecord

WEEKS_A_HALVING = 52
DECAY_ONE = 1 << 32
# round(2**32 * 2**(-week / 52)) for weeks 0..52
DECAY = (
    4294967296, 4238096321, 4181978392, 4126603537, 4071961918, 4018043825, 3964839679, 3912340024,
    3860535534, 3809417003, 3758975347, 3709201605, 3660086933, 3611622603, 3563800004, 3516610638,
    3470046122, 3424098180, 3378758649, 3334019473, 3289872702, 3246310491, 3203325102, 3160908895,
    3119054333, 3077753981, 3037000500, 2996786648, 2957105280, 2917949344, 2879311885, 2841186036,
    2803565023, 2766442161, 2729810855, 2693664595, 2657996958, 2622801608, 2588072290, 2553802834,
    2519987149, 2486619229, 2453693144, 2421203043, 2389143153, 2357507778, 2326291297, 2295488162,
    2265092902, 2235100114, 2205504470, 2176300711, 2147483648,
)  # fmt: skip
BREADTH_ONE = 1 << 16
# round(2**16 * sin(pi / 2 * k / 30)**2) for k choices, 0..30
BREADTH = (
    0, 180, 716, 1604, 2833, 4390, 6258, 8417, 10842, 13507, 16384, 19440, 22642, 25955, 29343,
    32768, 36193, 39581, 42894, 46096, 49152, 52029, 54694, 57119, 59278, 61146, 62703, 63932,
    64820, 65356, 65536,
)  # fmt: skip
assert len(BREADTH) == VOTE_CHOICES_MAX + 1
assert len(DECAY) == WEEKS_A_HALVING + 1

_tallies = canonical.OwnDecoder(Tally)
_votes = canonical.OwnDecoder(VoteRecord)
_Changes = defaultdict[bytes, defaultdict[int, int]]  # agent -> week -> weight


def get_vote(state: StateReader, voter: bytes) -> VoteRecord | None:
    """Return how an account votes."""
    return load(state, vote_key(voter), _votes)


def compute_vote_weight(balance: int, choices: int) -> int:
    """Return the weight that each of `choices` agents gets of a balance."""
    return balance * BREADTH[choices] // BREADTH_ONE


def compute_decayed(weight: int, age_weeks: int) -> int:
    """Return what is left of a weight that was cast `age_weeks` ago."""
    if age_weeks > VOTE_AGE_WEEKS_MAX:
        return 0
    halvings, weeks = divmod(max(age_weeks, 0), WEEKS_A_HALVING)
    return weight * DECAY[weeks] // DECAY_ONE >> halvings


def compute_votes(state: StateReader, agent: bytes, week: int) -> int:
    """Return the decayed weight of all votes for an agent in `week`."""
    tally = load(state, tally_key(agent), _tallies)
    if tally is None:
        return 0
    return sum(compute_decayed(weight, week - cast) for cast, weight in tally.weeks)


def recount_votes(state: Overlay, balances: Mapping[bytes, int]) -> None:
    """Bring the tallies up to the balances of these voters; one without a vote counts for nothing."""
    changes: _Changes = defaultdict(lambda: defaultdict(int))
    for voter, balance in balances.items():
        vote = get_vote(state, voter)
        if vote is None or vote.counted == balance:
            continue
        _note_change(changes, vote, balance)
        save(state, vote_key(voter), VoteRecord(vote.choices, vote.week, balance))
    _apply_changes(state, changes)


def withdraw_vote(state: Overlay, voter: bytes) -> None:
    """Take an account's vote out of the tallies."""
    vote = get_vote(state, voter)
    if vote is not None:
        changes: _Changes = defaultdict(lambda: defaultdict(int))
        _note_change(changes, vote, 0)
        _apply_changes(state, changes)
        state.delete(vote_key(voter))


def _note_change(changes: _Changes, vote: VoteRecord, balance: int) -> None:
    count = len(vote.choices)
    by = compute_vote_weight(balance, count) - compute_vote_weight(vote.counted, count)
    for agent in vote.choices:
        changes[agent][vote.week] += by


def _apply_changes(state: Overlay, changes: _Changes) -> None:
    for agent, weeks in changes.items():
        tally = load(state, tally_key(agent), _tallies) or Tally()
        merged = dict(tally.weeks)
        for week, by in weeks.items():
            merged[week] = merged.get(week, 0) + by
        _put_tally(state, agent, merged.items())


def _put_tally(state: Overlay, agent: bytes, weeks: Iterable[tuple[int, int]]) -> None:
    kept = sorted((week, weight) for week, weight in weeks if weight)
    assert all(weight > 0 for _, weight in kept), "a tally is a sum of weights"
    if kept:
        save(state, tally_key(agent), Tally(tuple(kept)))
    else:
        state.delete(tally_key(agent))
