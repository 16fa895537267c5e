"""What the chain knows of identities: nodes, leases, owners, retirements, revoked grants, software."""

from ledger.codec import canonical
from ledger.errors import Reason, Rejected
from ledger.identity.facts import LeaseFacts
from ledger.params import LEASE_MS
from ledger.state.keys import (
    FOUNDATION_KEY,
    lease_key,
    node_index_key,
    node_key,
    owner_key,
    retirement_key,
    revocation_key,
    software_key,
)
from ledger.state.overlay import StateReader
from ledger.types.identity_records import Lease, Retirement, Revocation, RevocationState, Software
from ledger.types.records import Node

_nodes = canonical.OwnDecoder(Node)
_leases = canonical.Decoder(Lease)
_retirements = canonical.Decoder(Retirement)
_revocations = canonical.Decoder(Revocation)
_software = canonical.Decoder(Software)


def get_node(state: StateReader, node_id: bytes) -> Node | None:
    """Return a registered node, retired or not."""
    data = state.get(node_key(node_id))
    return None if data is None else _nodes.decode(data)


def get_lease(state: StateReader, node_id: bytes) -> Lease | None:
    """Return a node's newest lease, which may have ended."""
    data = state.get(lease_key(node_id))
    return None if data is None else _leases.decode(data)


def get_owner(state: StateReader, node_id: bytes) -> bytes | None:
    """Return the address that owns a node, if one was named."""
    return state.get(owner_key(node_id))


def get_retirement(state: StateReader, node_id: bytes) -> Retirement | None:
    """Return how a node's identity ended, or None."""
    data = state.get(retirement_key(node_id))
    return None if data is None else _retirements.decode(data)


def get_revocation(state: StateReader, grant_id: bytes) -> Revocation | None:
    """Return a grant's revocation, whatever became of it."""
    data = state.get(revocation_key(grant_id))
    return None if data is None else _revocations.decode(data)


def get_software(state: StateReader, measurement: bytes) -> Software | None:
    """Return a listed software measurement."""
    data = state.get(software_key(measurement))
    return None if data is None else _software.decode(data)


def get_foundation(state: StateReader) -> bytes | None:
    """Return the foundation's address; None in an open network."""
    return state.get(FOUNDATION_KEY)


def check_not_retired(state: StateReader, key: bytes) -> Rejected | None:
    """Refuse a key (node id, consensus or metering) of a node that was retired."""
    node_id = state.get(node_index_key(key))
    if node_id is None or state.get(retirement_key(node_id)) is None:
        return None
    return Rejected(Reason.RETIRED, f"node {node_id.hex()[:16]} was retired for good")


def get_metering_node(state: StateReader, key: bytes) -> bytes | Rejected:
    """Return the id of the node, registered and not retired, whose metering key this is."""
    node_id = state.get(node_index_key(key))
    node = None if node_id is None else get_node(state, node_id)
    if node_id is None or node is None or node.metering != key:
        return Rejected(
            Reason.NOT_OWNER, f"{key.hex()[:16]} is not the metering key of a registered node"
        )
    return check_not_retired(state, key) or node_id


def check_foundation(state: StateReader, sender: bytes) -> Rejected | None:
    """Refuse a sender who is not the foundation."""
    foundation = get_foundation(state)
    if foundation is None:
        return Rejected(Reason.NOT_OWNER, "this chain's genesis names no foundation")
    if foundation != sender:
        return Rejected(Reason.NOT_OWNER, "only the foundation may do this")
    return None


class StateIdentityFacts:
    """`ledger.identity.facts.IdentityFacts` as a state tells them; `time_ms` is its block's."""

    def __init__(self, state: StateReader, chain_id: bytes, time_ms: int) -> None:
        self._state = state
        self._chain_id = chain_id
        self._time_ms = time_ms

    @property
    def chain_id(self) -> bytes:
        """The chain's 32-byte id."""
        return self._chain_id

    @property
    def foundation(self) -> bytes | None:
        """The key that grants chain up to; None in an open network."""
        return get_foundation(self._state)

    def is_revoked(self, grant_id: bytes, /) -> bool:
        """Tell whether a grant is revoked and not reinstated."""
        revocation = get_revocation(self._state, grant_id)
        return revocation is not None and revocation.state is not RevocationState.REINSTATED

    def is_retired(self, node_id: bytes, /) -> bool:
        """Tell whether a node was retired."""
        return self._state.get(retirement_key(node_id)) is not None

    def is_listed(self, measurement: bytes, /) -> bool:
        """Tell whether a software measurement is listed."""
        return self._state.get(software_key(measurement)) is not None

    def lease(self, node_id: bytes, /) -> LeaseFacts | None:
        """Return who holds the node's identity."""
        lease = get_lease(self._state, node_id)
        if lease is None:
            return None
        return LeaseFacts(lease.instance, lease.renewed_ms + LEASE_MS, self._time_ms)
