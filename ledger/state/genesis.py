"""The state from which a chain starts.

Rule 1: allocations, bonds and the reward pool add up to no more than `AMOUNT_MAX`; no address is
allocated to twice, and none that is the ledger's own.
Rule 2: every agent is a registered node; all keys of all agents are valid points and differ.
Rule 3: the agents of the genesis are the sets of epochs 0 and 1, whatever their bonds; elections
begin with the set of epoch 2. The order of epoch 0 is seeded by the chain's id.
"""

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH
from ledger.crypto.ed25519 import is_public_key
from ledger.errors import GenesisError
from ledger.params import AMOUNT_MAX, PROTOCOL_VERSION
from ledger.state.accounts import (
    RESERVED_ADDRESSES,
    REWARD_POOL,
    STAKE_ESCROW,
    encode_accounts,
    put_account,
)
from ledger.state.agents import put_agent
from ledger.state.epochs import build_running, put_running
from ledger.state.keys import (
    AGENT_INDEX_KEY,
    EPOCH_KEY,
    FOUNDATION_KEY,
    PARAMETERS_KEY,
    PENDING_SLASHES_KEY,
    PROPOSAL_INDEX_KEY,
    node_index_key,
    node_key,
    past_epoch_key,
)
from ledger.state.loading import save
from ledger.state.overlay import Overlay
from ledger.state.stake import change_allowance, change_stake
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.genesis_file import compute_supply, genesis_chain_id
from ledger.types.parameters import Parameters
from ledger.types.records import Account, Node
from ledger.types.stake import (
    Agent,
    AgentIndex,
    EpochState,
    PastEpoch,
    PendingSlashes,
    ProposalIndex,
)


def genesis_writes(genesis: Genesis) -> dict[bytes, bytes | None]:
    """Return the first state of a chain; raise `GenesisError` where the genesis breaks a rule."""
    if genesis.version != PROTOCOL_VERSION:
        raise GenesisError(f"genesis version {genesis.version}: this node runs {PROTOCOL_VERSION}")
    if compute_supply(genesis) > AMOUNT_MAX:
        raise GenesisError(f"the allocations add up to more than {AMOUNT_MAX} base units")
    state = Overlay({})
    for allocation in genesis.allocations:
        _allocate(state, allocation)
    put_account(state, REWARD_POOL, Account(balance=genesis.reward_pool))
    put_account(state, STAKE_ESCROW, Account(sum(agent.bond for agent in genesis.agents)))
    for agent in genesis.agents:
        _register(state, agent)
    if genesis.foundation is not None:
        state.put(FOUNDATION_KEY, genesis.foundation)
    _start_first_epoch(state, genesis)
    encode_accounts(state)
    return state.writes


def _allocate(state: Overlay, allocation: Allocation) -> None:
    if allocation.address in state.accounts:
        raise GenesisError(f"address {allocation.address.hex()} has two allocations: join them")
    if allocation.address in RESERVED_ADDRESSES:
        raise GenesisError(f"address {allocation.address.hex()} is the ledger's own")
    put_account(state, allocation.address, Account(balance=allocation.amount))


def _register(state: Overlay, agent: GenesisAgent) -> None:
    for key in (agent.node, agent.consensus, agent.metering):
        if not is_public_key(key):
            raise GenesisError(f"agent key {key.hex()} is not a valid Ed25519 public key")
        if node_index_key(key) in state.writes:
            raise GenesisError(f"agent key {key.hex()} is used twice: every key serves one purpose")
        state.put(node_index_key(key), agent.node)
    node = Node(consensus=agent.consensus, metering=agent.metering, registered_height=0)
    state.put(node_key(agent.node), canonical.encode(node))
    put_agent(
        state,
        agent.node,
        Agent(
            bond=agent.bond,
            delegated=0,
            onion=agent.onion,
            onion_next=NO_HASH,
            onion_next_epoch=0,
            registered_epoch=0,
            seated_since=0,
            seated_epochs=2,
        ),
    )
    change_stake(state, agent.node, agent.bond)
    change_allowance(state, agent.metering, agent.bond)


def _start_first_epoch(state: Overlay, genesis: Genesis) -> None:
    nodes = tuple(sorted(agent.node for agent in genesis.agents))
    chain_id = genesis_chain_id(genesis)
    epoch = EpochState(
        epoch=0,
        root_height=0,
        root_time_ms=genesis.time_ms,
        order_seed=chain_id,
        current=nodes,
        following=nodes,
        oldest_epoch=0,
    )
    save(state, EPOCH_KEY, epoch)
    save(state, past_epoch_key(0), PastEpoch(genesis.time_ms, nodes))
    save(state, AGENT_INDEX_KEY, AgentIndex(nodes))
    save(state, PENDING_SLASHES_KEY, PendingSlashes())
    save(state, PROPOSAL_INDEX_KEY, ProposalIndex())
    parameters = Parameters(epoch_blocks=genesis.epoch_blocks, epoch_ms=genesis.epoch_ms)
    save(state, PARAMETERS_KEY, parameters)
    put_running(state, build_running(state, chain_id, nodes))
