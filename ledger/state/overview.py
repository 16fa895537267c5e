"""The state in words: agents with the reasons for how they stand, metrics, parameters, an account's stake.

For people and their tools: no rule depends on anything here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.state.agents import get_agent_nodes, get_known_agent, get_parameters
from ledger.state.block_rules import compute_weight
from ledger.state.epochs import get_epoch, get_running
from ledger.state.governance import get_proposal, get_unsettled_proposals
from ledger.state.identities import get_retirement
from ledger.state.overlay import StateReader
from ledger.state.stake import (
    count_free_left,
    get_allowance,
    get_stake,
    get_unbonding,
)
from ledger.state.votes import get_vote
from ledger.types.parameters import BOUNDS, Parameters
from ledger.types.stake import Agent, EpochState, Penalty, PenaltyKind, Proposal, UnbondingEntry
from ledger.types.time_text import format_time_ms

PERMILLE = 1_000


@dataclass(frozen=True, slots=True)
class EpochWork:
    """One seat's work in the running epoch; of `counted` blocks that named signers it signed so many."""

    proposed: int
    missed: int
    signed: int
    counted: int


@dataclass(frozen=True, slots=True)
class AgentOverview:
    """An agent: its standing in words, its weight and record; `seat` None where it has none now."""

    node: bytes
    agent: Agent
    weight: int
    seat: int | None
    has_next_seat: bool
    is_retired: bool
    standing: str
    work: EpochWork | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """How spread power is: fewest agents with over a third of all weight, Gini of blocks in permille."""

    nakamoto: int
    gini_permille: int
    seat_age_epochs: int  # the median


@dataclass(frozen=True, slots=True)
class StakeOverview:
    """What an account has bound, what is on its way back, and what it chose."""

    stake: int
    unbonding: tuple[UnbondingEntry, ...]
    choices: tuple[bytes, ...]
    free_left: int
    free_an_epoch: int


def list_agents(state: StateReader, time_ms: int) -> tuple[AgentOverview, ...]:
    """Return all agents, the heaviest first."""
    epoch, running, rules = get_epoch(state), get_running(state), get_parameters(state)
    seats = {node: seat for seat, node in enumerate(epoch.current)}
    found = []
    for node in get_agent_nodes(state):
        agent, seat = get_known_agent(state, node), seats.get(node)
        work = None
        if seat is not None:
            work = EpochWork(
                running.proposed[seat],
                running.missed[seat],
                running.signed[seat],
                running.counted,
            )
        is_retired = get_retirement(state, node) is not None
        found.append(
            AgentOverview(
                node=node,
                agent=agent,
                weight=compute_weight(state, node, agent, epoch.epoch + 2, time_ms),
                seat=seat,
                has_next_seat=node in epoch.following,
                is_retired=is_retired,
                standing="retired" if is_retired else describe_standing(node, agent, epoch, rules),
                work=work,
            )
        )
    return tuple(sorted(found, key=lambda one: (-one.weight, one.node)))


def describe_standing(node: bytes, agent: Agent, epoch: EpochState, rules: Parameters) -> str:
    """Return in words how an agent stands, and why."""
    if agent.is_tombstoned:
        return f"barred for ever{_why(agent, PenaltyKind.TOMBSTONE)}"
    if agent.jailed_until_ms is not None:
        until = format_time_ms(agent.jailed_until_ms)
        return f"in jail until {until}, then until unjailed{_why(agent, PenaltyKind.JAIL)}"
    if agent.bond < rules.bond_min:
        return f"bond below {rules.bond_min} base units"
    seated = "seated" if node in epoch.current else "waits for a seat"
    if node in epoch.following and node not in epoch.current:
        seated = f"takes a seat in epoch {epoch.epoch + 1}"
    elif node in epoch.current and node not in epoch.following:
        seated = f"leaves its seat with epoch {epoch.epoch}"
    if agent.probation_until_epoch > epoch.epoch:
        until_epoch = agent.probation_until_epoch
        seated += f", on probation until epoch {until_epoch}{_why(agent, PenaltyKind.PROBATION)}"
    return seated


def describe_penalty(penalty: Penalty) -> str:
    """Return a penalty in one line."""
    what = {
        PenaltyKind.PROBATION: f"probation until epoch {penalty.until}",
        PenaltyKind.JAIL: f"jail until {format_time_ms(penalty.until)}",
        PenaltyKind.TOMBSTONE: f"barred for ever, {penalty.until} base units taken",
    }[penalty.kind]
    return (
        f"{_code(penalty)}: {what}, announced in epoch {penalty.announced_epoch}, from epoch"
        f" {penalty.bites_epoch} on"
    )


def _why(agent: Agent, kind: PenaltyKind) -> str:
    codes = [_code(penalty) for penalty in agent.penalties if penalty.kind is kind]
    return f" ({codes[-1]})" if codes else ""


def _code(penalty: Penalty) -> str:
    return penalty.cause.name.lower().replace("_", "-")


def measure(agents: Sequence[AgentOverview], epoch: int) -> Metrics:
    """Return how spread weight, blocks and seats are."""
    seated = [one for one in agents if one.seat is not None]
    ages = sorted(epoch - (one.agent.seated_since or 0) for one in seated)
    return Metrics(
        nakamoto=compute_nakamoto([one.weight for one in agents]),
        gini_permille=compute_gini_permille([one.agent.blocks_total for one in seated]),
        seat_age_epochs=ages[len(ages) // 2] if ages else 0,
    )


def compute_nakamoto(weights: Sequence[int]) -> int:
    """Return how few hold more than a third of all weight: enough to stop the chain."""
    total, held = sum(weights), 0
    for count, weight in enumerate(sorted(weights, reverse=True), start=1):
        held += weight
        if held * 3 > total:
            return count
    return 0


def compute_gini_permille(values: Sequence[int]) -> int:
    """Return the Gini coefficient in permille: 0 is everybody alike."""
    total, count = sum(values), len(values)
    if not total:
        return 0
    ranked = sum(rank * value for rank, value in enumerate(sorted(values), start=1))
    return (2 * ranked - (count + 1) * total) * PERMILLE // (count * total)


def list_parameters(state: StateReader) -> tuple[tuple[str, int, int, int], ...]:
    """Return each parameter's name, value, least and largest value."""
    parameters = get_parameters(state)
    return tuple((name, getattr(parameters, name), *BOUNDS[name]) for name in BOUNDS)


def list_proposals(state: StateReader) -> tuple[tuple[bytes, Proposal], ...]:
    """Return the proposals that have something ahead of them, the oldest first."""
    found = (
        (proposal, get_proposal(state, proposal)) for proposal in get_unsettled_proposals(state)
    )
    return tuple((id_, proposal) for id_, proposal in found if proposal is not None)


def describe_stake(state: StateReader, address: bytes) -> StakeOverview:
    """Return an account's stake and vote."""
    vote = get_vote(state, address)
    unit = get_parameters(state).free_anchor_stake
    allowance = get_allowance(state, address)
    return StakeOverview(
        stake=get_stake(state, address),
        unbonding=get_unbonding(state, address),
        choices=() if vote is None else vote.choices,
        free_left=count_free_left(allowance, get_epoch(state).epoch, unit),
        free_an_epoch=allowance.stake // unit,
    )
