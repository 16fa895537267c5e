"""The state from which a chain starts.

Rule 1: what is allocated adds up to no more than `AMOUNT_MAX`; no address is allocated to twice.
Rule 2: every agent is a registered node; all keys of all agents are valid points and differ.
"""

from ledger.codec import canonical
from ledger.crypto.ed25519 import is_public_key
from ledger.errors import GenesisError
from ledger.params import AMOUNT_MAX, PROTOCOL_VERSION
from ledger.state.accounts import put_account
from ledger.state.keys import FOUNDATION_KEY, account_key, node_index_key, node_key
from ledger.state.overlay import Overlay
from ledger.types.genesis import Allocation, Genesis, GenesisAgent
from ledger.types.records import Account, Node


def genesis_writes(genesis: Genesis) -> dict[bytes, bytes | None]:
    """Return the first state of a chain; raise `GenesisError` where the genesis breaks a rule."""
    if genesis.version != PROTOCOL_VERSION:
        raise GenesisError(f"genesis version {genesis.version}: this node runs {PROTOCOL_VERSION}")
    if sum(allocation.amount for allocation in genesis.allocations) > AMOUNT_MAX:
        raise GenesisError(f"the allocations add up to more than {AMOUNT_MAX} base units")
    state = Overlay({})
    for allocation in genesis.allocations:
        _allocate(state, allocation)
    for agent in genesis.agents:
        _register(state, agent)
    if genesis.foundation is not None:
        state.put(FOUNDATION_KEY, genesis.foundation)
    return state.writes


def _allocate(state: Overlay, allocation: Allocation) -> None:
    if account_key(allocation.address) in state.writes:
        raise GenesisError(f"address {allocation.address.hex()} has two allocations: join them")
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
