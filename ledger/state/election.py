"""The election of an epoch's agents: a pure function of candidates, seed and parameters.

Rule 1: candidates rank by weight; no one's weight counts for more than `weight_cap_percent` of all.
Equal weights rank by node id.
Rule 2: who held an elected seat for `rest_after_epochs` epochs on end rests for one, the longest
serving first, as long as others can take those seats.
Rule 3: `elected_seats` go to the first ranks; `drawn_seats` are drawn from the ranks behind them up
to `DRAW_RANK_LAST`, with a chance in proportion to the square root of the weight.
Rule 4: few seats change at once, since a newcomer may not be there yet: `seat_changes_max`, and in
a small set no more than it can do without (limited by `(n - 1) // 2`, at least one). Incumbents that
lost keep the other seats, best rank first.
Rule 5: a set never shrinks below two thirds of the one before: who sits there already and is not
barred for ever fills the seats, eligible or not. Without any candidate all incumbents stay: the chain
must go on.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt

from ledger.crypto.hashing import sha256
from ledger.params import DRAW_RANK_LAST
from ledger.types.parameters import Parameters

DRAW_PREFIX = b"ssp/draw/1"
_WORD_VALUES = 1 << 64


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who may be elected: its weight and for how many epochs on end it has held an elected seat."""

    node: bytes
    weight: int
    seated_epochs: int


@dataclass(frozen=True, slots=True)
class Elected:
    """The new set, sorted by node id; who of it was drawn, and who rests."""

    nodes: tuple[bytes, ...]
    drawn: frozenset[bytes]
    resting: frozenset[bytes]


def compute_draw_seed(beacon: bytes, epoch: int) -> bytes:
    """Return the seed of the draw for an epoch's set, from the beacon at the election."""
    return sha256(DRAW_PREFIX + beacon + epoch.to_bytes(8, "big"))


def compute_change_limit(incumbents: int, rules: Parameters) -> int:
    """Return how many newcomers a set may take at once (rule 4)."""
    return min(rules.seat_changes_max, max(1, (incumbents - 1) // 2))


def elect(
    candidates: Sequence[Candidate],
    incumbents: Collection[bytes],
    last_resort: Sequence[bytes],
    draw_seed: bytes,
    rules: Parameters,
) -> Elected:
    """Return the set that these candidates make.

    `last_resort` are the incumbents that may stay without being eligible (rule 5), best first.
    """
    if not candidates:
        return Elected(tuple(sorted(incumbents)), frozenset(), frozenset())
    ranked = _rank(candidates, rules)
    resting = _choose_resting(ranked, rules)
    standing = [one for one in ranked if one.node not in resting]
    elected = standing[: rules.elected_seats]
    drawn = _draw(standing[rules.elected_seats : DRAW_RANK_LAST], draw_seed, rules.drawn_seats)
    wanted = [one.node for one in [*elected, *drawn]]
    nodes = _limit_changes(wanted, [one.node for one in ranked], incumbents, rules)
    nodes = _fill_up(nodes, incumbents, last_resort)
    drawn_nodes = frozenset(one.node for one in drawn) & frozenset(nodes)
    return Elected(tuple(sorted(nodes)), drawn_nodes, resting - frozenset(nodes))


def _rank(candidates: Sequence[Candidate], rules: Parameters) -> list[Candidate]:
    cap = sum(one.weight for one in candidates) * rules.weight_cap_percent // 100
    capped = (Candidate(c.node, min(c.weight, cap), c.seated_epochs) for c in candidates)
    return sorted(capped, key=lambda one: (-one.weight, one.node))


def _choose_resting(ranked: Sequence[Candidate], rules: Parameters) -> frozenset[bytes]:
    spare = len(ranked) - rules.elected_seats - rules.drawn_seats
    count = min(rules.resting_max, max(spare, 0))
    tired = [one for one in ranked if one.seated_epochs >= rules.rest_after_epochs]
    tired.sort(key=lambda one: (-one.seated_epochs, one.node))
    return frozenset(one.node for one in tired[:count])


def _draw(pool: Sequence[Candidate], seed: bytes, seats: int) -> list[Candidate]:
    """Return up to `seats` candidates, drawn without return."""
    left = list(pool)
    chances = [max(isqrt(one.weight), 1) for one in left]
    words = _draw_words(seed)
    drawn: list[Candidate] = []
    while left and len(drawn) < seats:
        ticket = _draw_below(words, sum(chances))
        place = 0
        while ticket >= chances[place]:
            ticket -= chances[place]
            place += 1
        drawn.append(left.pop(place))
        chances.pop(place)
    return drawn


def _draw_words(seed: bytes) -> Iterator[int]:
    """Yield an endless stream of 64-bit numbers that `seed` alone decides."""
    counter = 0
    while True:
        block = sha256(seed + counter.to_bytes(8, "big"))
        for start in range(0, len(block), 8):
            yield int.from_bytes(block[start : start + 8], "big")
        counter += 1


def _draw_below(words: Iterator[int], bound: int) -> int:
    """Return a number below `bound` (up to 2**64), each one equally likely."""
    limit = _WORD_VALUES - _WORD_VALUES % bound
    while True:
        word = next(words)
        if word < limit:
            return word % bound


def _limit_changes(
    wanted: Sequence[bytes],
    ranked: Sequence[bytes],
    incumbents: Collection[bytes],
    rules: Parameters,
) -> list[bytes]:
    """Return the wanted set with too many newcomers exchanged for incumbents that still stand."""
    newcomers = [node for node in wanted if node not in incumbents]
    surplus = set(newcomers[compute_change_limit(len(incumbents), rules) :])
    kept = [node for node in wanted if node not in surplus]
    chosen = set(kept)
    stand_ins = [node for node in ranked if node in incumbents and node not in chosen]
    return kept + stand_ins[: len(surplus)]


def _fill_up(
    nodes: list[bytes], incumbents: Collection[bytes], last_resort: Sequence[bytes]
) -> list[bytes]:
    """Return the set with enough of the last resort (rule 5); the incumbents if it were empty."""
    missing = -(-2 * len(incumbents) // 3) - len(nodes)
    others = [node for node in last_resort if node not in nodes]
    return nodes + others[: max(missing, 0)] or sorted(incumbents)
