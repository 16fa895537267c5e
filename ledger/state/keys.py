"""Keys of the state: one byte for the kind of record, then fixed-width parts, so no two collide.

Only a contract's own storage key has a free length, and it stands last.
"""

import struct

ACCOUNT_PREFIX = b"a"  # ledger.types.records.Account


def account_key(address: bytes) -> bytes:
    """Return the key of an address's `Account`."""
    return ACCOUNT_PREFIX + address


def node_key(node_id: bytes) -> bytes:
    """Return the key of a registered gateway's `Node`."""
    return b"n" + node_id


def node_index_key(public_key: bytes) -> bytes:
    """Return the key under which stands the id of the node that uses `public_key`.

    Every one of a node's three keys is indexed: its id, its consensus key and its metering key.
    """
    return b"k" + public_key


def device_key(device_id: bytes) -> bytes:
    """Return the key of a `Device`."""
    return b"d" + device_id


def anchor_key(device_id: bytes, first: int) -> bytes:
    """Return the key of the `AnchorRecord` that starts with sequence `first` of a device."""
    return b"r" + device_id + struct.pack(">Q", first)


def coin_key(coin: bytes) -> bytes:
    """Return the key of a `Coin`."""
    return b"c" + coin


def coin_balance_key(coin: bytes, address: bytes) -> bytes:
    """Return the key of the units of a coin that an address holds: a canonical integer."""
    return b"b" + coin + address


def contract_key(address: bytes) -> bytes:
    """Return the key of a `Contract`."""
    return b"x" + address


def contract_code_key(code_hash: bytes) -> bytes:
    """Return the key of contract source text: UTF-8 bytes named by their SHA-256."""
    return b"s" + code_hash


def contract_manifest_key(manifest_hash: bytes) -> bytes:
    """Return the key of a contract manifest: UTF-8 bytes named by their SHA-256."""
    return b"m" + manifest_hash


def contract_storage_key(contract: bytes, key: bytes) -> bytes:
    """Return the key of what a contract stores under its own `key`."""
    return b"v" + contract + key


FOUNDATION_KEY = b"iF"  # the address of the foundation that the genesis names


def lease_key(node_id: bytes) -> bytes:
    """Return the key of a node's `Lease`."""
    return b"iL" + node_id


def owner_key(node_id: bytes) -> bytes:
    """Return the key of the address that owns a node."""
    return b"iO" + node_id


def retirement_key(node_id: bytes) -> bytes:
    """Return the key of a node's `Retirement`."""
    return b"iR" + node_id


def revocation_key(grant_id: bytes) -> bytes:
    """Return the key of a grant's `Revocation`."""
    return b"iV" + grant_id


def software_key(measurement: bytes) -> bytes:
    """Return the key of a listed `Software`."""
    return b"iS" + measurement


PARAMETERS_KEY = b"P"  # ledger.types.parameters.Parameters; this and the next are one record each
EPOCH_KEY = b"e"  # ledger.types.stake.EpochState
RUNNING_KEY = b"f"  # ledger.types.stake.Running
AGENT_INDEX_KEY = b"G"  # ledger.types.stake.AgentIndex
PENDING_SLASHES_KEY = b"h"  # ledger.types.stake.PendingSlashes
PROPOSAL_INDEX_KEY = b"O"  # ledger.types.stake.ProposalIndex
STAKE_TOTAL_KEY = b"Z"  # a canonical integer: all stake that may cast ballots


def agent_key(node_id: bytes) -> bytes:
    """Return the key of an `Agent`."""
    return b"g" + node_id


def tally_key(node_id: bytes) -> bytes:
    """Return the key of the `Tally` of votes for an agent."""
    return b"t" + node_id


def vote_key(voter: bytes) -> bytes:
    """Return the key of an account's `VoteRecord`."""
    return b"w" + voter


def delegation_key(delegator: bytes, agent: bytes) -> bytes:
    """Return the key of a `Delegation`."""
    return b"l" + delegator + agent


def stake_key(address: bytes) -> bytes:
    """Return the key of an account's stake with all agents, a canonical integer."""
    return b"z" + address


def unbonding_key(address: bytes) -> bytes:
    """Return the key of an account's `Unbonding`."""
    return b"u" + address


def allowance_key(address: bytes) -> bytes:
    """Return the key of an account's `Allowance`."""
    return b"q" + address


def past_epoch_key(epoch: int) -> bytes:
    """Return the key of a `PastEpoch`."""
    return b"p" + struct.pack(">Q", epoch)


def proposal_key(proposal: bytes) -> bytes:
    """Return the key of a `Proposal`."""
    return b"o" + proposal


def ballot_key(proposal: bytes, voter: bytes) -> bytes:
    """Return the key of a `Ballot`."""
    return b"y" + proposal + voter
