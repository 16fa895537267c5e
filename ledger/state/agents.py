"""Agents: the nodes that stand for election, and the sorted index of them."""

from bisect import bisect_left, insort

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.params import AGENT_CANDIDATES_MAX
from ledger.state.keys import AGENT_INDEX_KEY, PARAMETERS_KEY, agent_key
from ledger.state.loading import load, load_one, save
from ledger.state.overlay import Overlay, StateReader
from ledger.types.parameters import Parameters
from ledger.types.stake import Agent, AgentIndex

_agents = canonical.OwnDecoder(Agent)
_indexes = canonical.OwnDecoder(AgentIndex)
_parameters = canonical.OwnDecoder(Parameters)


def get_parameters(state: StateReader) -> Parameters:
    """Return the parameters in force."""
    return load_one(state, PARAMETERS_KEY, _parameters)


def get_agent(state: StateReader, node_id: bytes) -> Agent | None:
    """Return an agent's record, or None for a node that never stood for election."""
    return load(state, agent_key(node_id), _agents)


def get_known_agent(state: StateReader, node_id: bytes) -> Agent:
    """Return the record of an agent that another record names."""
    return load_one(state, agent_key(node_id), _agents)


def put_agent(state: Overlay, node_id: bytes, agent: Agent) -> None:
    """Store an agent's record."""
    save(state, agent_key(node_id), agent)


def get_agent_nodes(state: StateReader) -> tuple[bytes, ...]:
    """Return the node ids of all agents, sorted."""
    return load_one(state, AGENT_INDEX_KEY, _indexes).nodes


def add_agent(state: Overlay, node_id: bytes, agent: Agent) -> Rejected | None:
    """Store a new agent, or one that returns, and index it; refuse it when there is no place."""
    nodes = list(get_agent_nodes(state))
    place = bisect_left(nodes, node_id)
    if nodes[place : place + 1] != [node_id]:
        if len(nodes) >= AGENT_CANDIDATES_MAX:
            return Rejected(Reason.FULL, f"{AGENT_CANDIDATES_MAX} agents stand for election")
        insort(nodes, node_id)
        save(state, AGENT_INDEX_KEY, AgentIndex(tuple(nodes)))
    put_agent(state, node_id, agent)
    return None


def keep_agents(state: Overlay, nodes: tuple[bytes, ...]) -> None:
    """Let the index hold these agents only; the records of the others stay for their history."""
    if nodes != get_agent_nodes(state):
        save(state, AGENT_INDEX_KEY, AgentIndex(nodes))


def is_eligible(agent: Agent, bond_min: int) -> bool:
    """Tell whether an agent may be elected now."""
    return agent.bond >= bond_min and agent.jailed_until_ms is None and not agent.is_tombstoned
