"""Agents, parameters, proposals and stake of a state in the words of the replies."""

from gateway.ledger_host.agent_problem import find_agent_problem
from gateway.model.stake_api import (
    AgentReply,
    AgentsReply,
    ParameterReply,
    ParametersReply,
    ProposalReply,
    ProposalsReply,
    StakeReply,
)
from ledger.crypto.domains import NO_HASH
from ledger.state.accounts import REWARD_POOL, get_account
from ledger.state.agents import get_parameters
from ledger.state.epochs import get_epoch
from ledger.state.overlay import StateReader
from ledger.state.overview import (
    AgentOverview,
    describe_penalty,
    describe_stake,
    list_agents,
    list_parameters,
    list_proposals,
    measure,
)
from ledger.state.stake import get_stake_total
from ledger.types.stake import Proposal


def build_parameters_reply(state: StateReader) -> ParametersReply:
    """Return the parameters of a state in the words of the reply."""
    return ParametersReply(tuple(ParameterReply(*row) for row in list_parameters(state)))


def build_stake_reply(state: StateReader, address: bytes) -> StakeReply:
    """Return an account's stake and vote in the words of the reply."""
    found = describe_stake(state, address)
    return StakeReply(
        stake=found.stake,
        unbonding=tuple((entry.free_at_ms, entry.amount) for entry in found.unbonding),
        choices=tuple(choice.hex() for choice in found.choices),
        free_left=found.free_left,
        free_an_epoch=found.free_an_epoch,
    )


def build_agents_reply(state: StateReader, time_ms: int) -> AgentsReply:
    """Return the agents of a state in the words of the reply."""
    epoch, rules = get_epoch(state), get_parameters(state)
    agents = list_agents(state, time_ms)
    metrics = measure(agents, epoch.epoch)
    return AgentsReply(
        epoch=epoch.epoch,
        root_height=epoch.root_height,
        ends_height=epoch.root_height + rules.epoch_blocks,
        nakamoto=metrics.nakamoto,
        gini_permille=metrics.gini_permille,
        seat_age_epochs=metrics.seat_age_epochs,
        reward_pool=get_account(state, REWARD_POOL).balance,
        agents=tuple(_build_agent(one, epoch.epoch) for one in agents),
    )


def _build_agent(one: AgentOverview, epoch: int) -> AgentReply:
    agent, work = one.agent, one.work
    return AgentReply(
        node=one.node.hex(),
        standing=one.standing,
        seat=one.seat,
        weight=one.weight,
        bond=agent.bond,
        delegated=agent.delegated,
        has_onion=agent.onion != NO_HASH,
        blocks_total=agent.blocks_total,
        missed_total=agent.missed_total,
        rewards_total=agent.rewards_total,
        seated_since=agent.seated_since,
        proposed=0 if work is None else work.proposed,
        missed=0 if work is None else work.missed,
        signed=0 if work is None else work.signed,
        counted=0 if work is None else work.counted,
        penalties=tuple(describe_penalty(penalty) for penalty in agent.penalties),
        onion_next_epoch=agent.onion_next_epoch if agent.onion_next != NO_HASH else 0,
        jailed_until_ms=agent.jailed_until_ms,
        problem=find_agent_problem(one, epoch),
    )


def build_proposals_reply(state: StateReader) -> ProposalsReply:
    """Return the unsettled proposals of a state in the words of the reply."""
    rules = get_parameters(state)
    return ProposalsReply(
        stake_total=get_stake_total(state),
        turnout_percent=rules.turnout_percent,
        approval_percent=rules.approval_percent,
        deposit=rules.proposal_deposit,
        proposals=tuple(_build_proposal(id_, one) for id_, one in list_proposals(state)),
    )


def _build_proposal(proposal_id: bytes, one: Proposal) -> ProposalReply:
    return ProposalReply(
        id=proposal_id.hex(),
        proposer=one.proposer.hex(),
        title=one.title,
        changes=tuple((change.name, change.value) for change in one.changes),
        activation_height=one.activation_height,
        closes_ms=one.closes_ms,
        status=one.status.name.lower(),
        yes=one.yes,
        no=one.no,
        abstain=one.abstain,
    )
