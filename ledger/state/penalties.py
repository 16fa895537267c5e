"""Penalties: for whom an epoch went badly, what follows, and when it bites.

Rule 1: penalties are decided as an epoch e ends (double signing: when it is shown) and written into
the agent's record with their cause; they bite as epoch e + 2 begins, whose set is then elected.
Rule 2: probation for `missed_percent` of own slots missed, at least `missed_min`, or for votes in
fewer than `participation_percent` of the certificates that blocks name.
Rule 3: jail for half of the slots missed in two epochs on end, or `jail_missed_in_row` misses on end:
2**k hours, k the number of jails in the last 30 days.
Rule 4: no more agents go to jail at once than a seventh of the set and `removed_max`, at least one,
the worst first, and at least two thirds of the seats stay; the others get probation. A failure of many is rather a failure of the network.
Rule 5: double signing takes `slash_percent` of the bond, that which is unbonding included, and bars
the agent for ever. The reporter gets one part in `reporter_part` of it, the rest is burnt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ledger.codec import canonical
from ledger.params import DAY_MS, HOUR_MS, JAIL_DOUBLINGS_MAX, PENALTY_HISTORY_MAX
from ledger.state.accounts import BURNT, STAKE_ESCROW, decrease_balance, increase_balance
from ledger.state.agents import get_known_agent, put_agent
from ledger.state.identities import get_node
from ledger.state.keys import PENDING_SLASHES_KEY
from ledger.state.loading import load_one, save
from ledger.state.overlay import Overlay, StateReader
from ledger.state.stake import (
    change_allowance,
    change_stake,
    get_unbonding,
    put_unbonding,
)
from ledger.types.parameters import Parameters
from ledger.types.stake import (
    Agent,
    EpochState,
    Penalty,
    PenaltyCause,
    PenaltyKind,
    PendingSlash,
    PendingSlashes,
    Running,
    UnbondingEntry,
)

JAIL_MEMORY_MS = 30 * DAY_MS
EPOCHS_AHEAD = 2  # the set of the next epoch is elected already

_pending = canonical.OwnDecoder(PendingSlashes)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one seat's epoch went: the cause of a penalty, whether it is one for jail, and how bad."""

    node: bytes
    cause: PenaltyCause
    is_for_jail: bool
    missed: int
    slots: int


def with_penalty(agent: Agent, penalty: Penalty) -> Agent:
    """Return the record with one more penalty; the oldest of too many is dropped."""
    kept = (*agent.penalties, penalty)[-PENALTY_HISTORY_MAX:]
    return msgspec.structs.replace(agent, penalties=kept)


def judge_epoch(
    state: Overlay, epoch: EpochState, running: Running, rules: Parameters, time_ms: int
) -> None:
    """Decide and announce the penalties of an epoch that ends."""
    verdicts: list[Verdict] = []
    for seat, node in enumerate(epoch.current):
        agent = get_known_agent(state, node)
        verdict = judge_seat(node, agent, _read_seat(running, seat), rules)
        if verdict is not None and not agent.is_tombstoned:
            verdicts.append(verdict)
        slots, missed = running.proposed[seat] + running.missed[seat], running.missed[seat]
        is_absent = _is_absent(slots, missed, rules)
        if agent.was_absent != is_absent:
            put_agent(state, node, msgspec.structs.replace(agent, was_absent=is_absent))
    jailed = choose_jailed(verdicts, len(epoch.current), rules)
    for verdict in verdicts:
        if verdict.node in jailed:
            _jail(state, epoch.epoch, verdict, time_ms)
        else:
            _put_on_probation(state, epoch.epoch, verdict, rules)


@dataclass(frozen=True, slots=True)
class SeatWork:
    """One seat's counters of an epoch."""

    slots: int
    missed: int
    missed_in_row: int
    counted: int
    signed: int


def _read_seat(running: Running, seat: int) -> SeatWork:
    return SeatWork(
        slots=running.proposed[seat] + running.missed[seat],
        missed=running.missed[seat],
        missed_in_row=running.missed_in_row[seat],
        counted=running.counted,
        signed=running.signed[seat],
    )


def _is_absent(slots: int, missed: int, rules: Parameters) -> bool:
    return missed >= rules.missed_min and missed * 100 >= slots * rules.jail_missed_percent


def judge_seat(node: bytes, agent: Agent, work: SeatWork, rules: Parameters) -> Verdict | None:
    """Return what one seat's work deserves, or None where nothing follows (rules 2 and 3)."""
    missed_much = (
        work.missed >= rules.missed_min and work.missed * 100 >= work.slots * rules.missed_percent
    )
    voted_little = work.signed * 100 < work.counted * rules.participation_percent
    cause: PenaltyCause | None = None
    if work.missed_in_row >= rules.jail_missed_in_row:
        cause = PenaltyCause.MISSED_IN_ROW
    elif agent.was_absent and _is_absent(work.slots, work.missed, rules):
        cause = PenaltyCause.ABSENT
    elif missed_much:
        cause = PenaltyCause.MISSED_SLOTS
    elif voted_little:
        cause = PenaltyCause.LOW_PARTICIPATION
    if cause is None:
        return None
    is_for_jail = cause in {PenaltyCause.MISSED_IN_ROW, PenaltyCause.ABSENT}
    return Verdict(node, cause, is_for_jail, work.missed, work.slots)


def choose_jailed(verdicts: Sequence[Verdict], seats: int, rules: Parameters) -> frozenset[bytes]:
    """Return who really goes to jail (rule 4)."""
    to_spare = seats - -(-2 * seats // 3)
    count = min(rules.removed_max, max(1, seats // 7), to_spare)
    worst = sorted(
        (one for one in verdicts if one.is_for_jail),
        key=lambda one: (-(one.missed * 1_000_000 // max(one.slots, 1)), one.node),
    )
    return frozenset(one.node for one in worst[:count])


def _jail(state: Overlay, epoch: int, verdict: Verdict, time_ms: int) -> None:
    agent = get_known_agent(state, verdict.node)
    recent = tuple(at for at in agent.jailed_at_ms if at > time_ms - JAIL_MEMORY_MS)
    until_ms = time_ms + HOUR_MS * 2 ** min(len(recent), JAIL_DOUBLINGS_MAX)
    penalty = Penalty(PenaltyKind.JAIL, verdict.cause, epoch, epoch + EPOCHS_AHEAD, until=until_ms)
    jailed = msgspec.structs.replace(
        agent,
        jailed_until_ms=until_ms,
        jailed_at_ms=(*recent, time_ms)[-2 * JAIL_DOUBLINGS_MAX :],
        missed_in_row=0,
        was_absent=False,
    )
    put_agent(state, verdict.node, with_penalty(jailed, penalty))


def _put_on_probation(state: Overlay, epoch: int, verdict: Verdict, rules: Parameters) -> None:
    agent = get_known_agent(state, verdict.node)
    bites = epoch + EPOCHS_AHEAD
    until = bites + rules.probation_epochs
    penalty = Penalty(PenaltyKind.PROBATION, verdict.cause, epoch, bites, until)
    on_probation = msgspec.structs.replace(agent, probation_until_epoch=until)
    put_agent(state, verdict.node, with_penalty(on_probation, penalty))


def get_pending_slashes(state: StateReader) -> tuple[PendingSlash, ...]:
    """Return the announced slashes that have not bitten yet."""
    return load_one(state, PENDING_SLASHES_KEY, _pending).slashes


def announce_slash(
    state: Overlay, epoch: int, node: bytes, reporter: bytes, cause: PenaltyCause
) -> None:
    """Bar an agent for ever and announce that it loses bond (rule 5)."""
    agent = get_known_agent(state, node)
    bites = epoch + EPOCHS_AHEAD
    penalty = Penalty(PenaltyKind.TOMBSTONE, cause, epoch, bites, until=0)
    barred = msgspec.structs.replace(agent, is_tombstoned=True, jailed_until_ms=None)
    put_agent(state, node, with_penalty(barred, penalty))
    pending = (*get_pending_slashes(state), PendingSlash(node, reporter, bites))
    save(state, PENDING_SLASHES_KEY, PendingSlashes(pending))


def execute_slashes(state: Overlay, next_epoch: int, rules: Parameters) -> None:
    """Take the bond of whom it is time for: called as the epoch before `next_epoch` ends."""
    pending = get_pending_slashes(state)
    left = tuple(one for one in pending if one.bites_epoch > next_epoch)
    for slash in pending:
        if slash.bites_epoch <= next_epoch:
            _slash(state, slash, rules)
    if left != pending:
        save(state, PENDING_SLASHES_KEY, PendingSlashes(left))


def _slash(state: Overlay, slash: PendingSlash, rules: Parameters) -> None:
    agent = get_known_agent(state, slash.node)
    from_bond = agent.bond * rules.slash_percent // 100
    taken = from_bond + _slash_unbonding(state, slash.node, rules)
    node = get_node(state, slash.node)
    assert node is not None, "an agent is a node"
    change_stake(state, slash.node, -from_bond)
    change_allowance(state, node.metering, -from_bond)
    for_reporter = taken // rules.reporter_part
    refusal = (
        decrease_balance(state, STAKE_ESCROW, taken)
        or increase_balance(state, slash.reporter, for_reporter)
        or increase_balance(state, BURNT, taken - for_reporter)
    )
    assert refusal is None, "the escrow holds every bond"
    penalties = tuple(
        msgspec.structs.replace(one, until=taken) if one.kind is PenaltyKind.TOMBSTONE else one
        for one in agent.penalties
    )
    slashed = msgspec.structs.replace(agent, bond=agent.bond - from_bond, penalties=penalties)
    put_agent(state, slash.node, slashed)


def _slash_unbonding(state: Overlay, node: bytes, rules: Parameters) -> int:
    """Take the part of an agent's own bond that is on its way back; return how much."""
    taken = 0
    kept: list[UnbondingEntry] = []
    for entry in get_unbonding(state, node):
        part = entry.amount * rules.slash_percent // 100 if entry.is_bond else 0
        taken += part
        kept.append(msgspec.structs.replace(entry, amount=entry.amount - part))
    put_unbonding(state, node, tuple(entry for entry in kept if entry.amount))
    return taken
