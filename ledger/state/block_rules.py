"""What a block does apart from its transactions: before the first one, and behind the last.

Rule 1: before: the slot is one of the epoch that the proposer leads, its reveal moves the beacon on,
work is counted and the parent's reward earned.
Rule 2: behind the last transaction of an end block, in this order: work is paid and judged, announced
slashes are executed, proposals are settled.
Rule 3: then, behind every block, votes follow the balances that changed; and at last an end block elects
the set after next, which moves no money.
"""

import msgspec

from ledger.crypto.domains import next_beacon
from ledger.errors import Rejected
from ledger.params import WEEK_MS
from ledger.state.accounts import encode_accounts
from ledger.state.agents import (
    get_agent_nodes,
    get_known_agent,
    get_parameters,
    is_eligible,
    keep_agents,
    put_agent,
)
from ledger.state.context import BlockContext
from ledger.state.election import Candidate, Elected, compute_draw_seed, elect
from ledger.state.epochs import (
    HandOver,
    build_running,
    check_place,
    get_epoch,
    get_running,
    is_end_block,
    process_reveal,
    put_running,
    start_next_epoch,
)
from ledger.state.governance import settle_proposals
from ledger.state.identities import get_retirement
from ledger.state.overlay import Overlay, StateReader
from ledger.state.penalties import execute_slashes, judge_epoch
from ledger.state.votes import compute_votes, recount_votes
from ledger.state.work import (
    close_work,
    count_work,
    earn_for_parent,
    note_block,
    read_signers,
)
from ledger.types.agent_set import AgentSet
from ledger.types.parameters import Parameters
from ledger.types.records import Account
from ledger.types.stake import Agent, EpochState


def begin_block(state: Overlay, context: BlockContext) -> Rejected | None:
    """Apply what precedes the transactions; tell why this block cannot stand here."""
    epoch = get_epoch(state)
    refusal = check_place(epoch, context)
    if refusal is not None:
        return refusal
    signers = read_signers(epoch, context)
    if isinstance(signers, Rejected):
        return signers
    refusal = process_reveal(state, context)
    if refusal is not None:
        return refusal
    running = get_running(state)
    running = earn_for_parent(state, running, epoch, context, signers)
    running = count_work(running, epoch, context, signers)
    beacon = next_beacon(running.beacon, context.reveal)
    put_running(state, note_block(running, beacon, context, epoch, len(signers)))
    return None


def finish_block(
    state: Overlay, context: BlockContext
) -> tuple[AgentSet | None, dict[bytes, Account]]:
    """Apply what follows the transactions.

    Returns the next epoch's set behind an end block, and every account that the block changed.
    """
    epoch, rules = get_epoch(state), get_parameters(state)
    is_end = is_end_block(epoch, rules, context.height, context.time_ms)
    if is_end:
        _close_epoch(state, context, epoch, rules)
    changed = encode_accounts(state)
    recount_votes(state, {who: one.balance for who, one in changed.items() if one.is_voter})
    return (_hand_over(state, context, epoch) if is_end else None), changed


def _close_epoch(
    state: Overlay, context: BlockContext, epoch: EpochState, rules: Parameters
) -> None:
    running = get_running(state)
    close_work(state, epoch, running)
    judge_epoch(state, epoch, running, rules, context.time_ms)
    execute_slashes(state, epoch.epoch + 1, rules)
    settle_proposals(state, context)


def _hand_over(state: Overlay, context: BlockContext, epoch: EpochState) -> AgentSet:
    running = get_running(state)
    elected = elect_set(state, epoch, running.beacon, context.time_ms)
    _note_election(state, epoch, elected)
    _forget_agents(state, epoch, elected)
    next_set = start_next_epoch(state, context, HandOver(epoch, running.beacon, elected.nodes))
    fresh = build_running(state, running.beacon, epoch.following)
    put_running(
        state,
        msgspec.structs.replace(
            fresh,
            last_proposer=running.last_proposer,
            last_signers=running.last_signers,
            last_seats=running.last_seats,
        ),
    )
    return next_set


def elect_set(state: StateReader, epoch: EpochState, beacon: bytes, time_ms: int) -> Elected:
    """Return the set of the epoch after next, as the state would have it now."""
    rules = get_parameters(state)
    number = epoch.epoch + 2
    candidates = [
        Candidate(node, compute_weight(state, node, agent, number, time_ms), agent.seated_epochs)
        for node in get_agent_nodes(state)
        if is_eligible(agent := get_known_agent(state, node), rules.bond_min)
        and get_retirement(state, node) is None
    ]
    draw_seed = compute_draw_seed(beacon, number)
    return elect(candidates, epoch.following, _list_last_resort(state, epoch), draw_seed, rules)


def _list_last_resort(state: StateReader, epoch: EpochState) -> list[bytes]:
    """Return the incumbents that are not barred; those in jail come last."""
    agents = {node: get_known_agent(state, node) for node in epoch.following}
    stay = [
        node
        for node, agent in agents.items()
        if not agent.is_tombstoned and get_retirement(state, node) is None
    ]
    return sorted(stay, key=lambda node: (agents[node].jailed_until_ms is not None, node))


def compute_weight(
    state: StateReader, node: bytes, agent: Agent, for_epoch: int, time_ms: int
) -> int:
    """Return what counts for an agent in the election of an epoch's set.

    Votes, lent stake and its own bond, but no more than `self_bond_factor` times its bond; on
    probation only `probation_weight_percent` of that.
    """
    rules = get_parameters(state)
    votes = compute_votes(state, node, time_ms // WEEK_MS) + agent.delegated + agent.bond
    weight = min(votes, agent.bond * rules.self_bond_factor)
    if for_epoch < agent.probation_until_epoch:
        weight = weight * rules.probation_weight_percent // 100
    return weight


def _note_election(state: Overlay, epoch: EpochState, elected: Elected) -> None:
    """Count for every agent how long it has been elected, and since when it sits."""
    number = epoch.epoch + 2
    seated = frozenset(elected.nodes)
    for node in get_agent_nodes(state):
        agent = get_known_agent(state, node)
        is_elected = node in seated and node not in elected.drawn
        since = (
            (agent.seated_since if agent.seated_since is not None else number)
            if (node in seated)
            else None
        )
        noted = msgspec.structs.replace(
            agent,
            seated_epochs=agent.seated_epochs + 1 if is_elected else 0,
            seated_since=since,
        )
        if noted != agent:
            put_agent(state, node, noted)


def _forget_agents(state: Overlay, epoch: EpochState, elected: Elected) -> None:
    """Free the places of agents without a bond that no set needs any more."""
    needed = {*epoch.current, *epoch.following, *elected.nodes}
    nodes = get_agent_nodes(state)
    kept = tuple(node for node in nodes if node in needed or get_known_agent(state, node).bond > 0)
    keep_agents(state, kept)
