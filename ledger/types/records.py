"""The records of the state: one struct for each kind of key in `ledger.state`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import ANCHOR_READINGS_MAX
from ledger.types.primitives import Address, Amount, Counter, Hash


class Account(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """An address's SSP in base units and the nonce its next transaction must carry.

    The balance of a voter counts for the agents it chose (`ledger.types.stake.VoteRecord`).
    """

    balance: Amount = 0
    nonce: Counter = 0
    is_voter: bool = False


class Node(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A registered gateway: the keys that its SmartAgent uses for votes and for metering."""

    consensus: Address
    metering: Address
    registered_height: Counter


class Device(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A registered device: who anchors for it, the next sequence to anchor, its newest anchor."""

    metering: Address
    profile_hash: Hash
    next_sequence: Counter
    last_anchor: Hash


class AnchorRecord(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An anchor on the chain: enough to check a reading's audit path and the profile it was made by.

    The profile is the one at the time of the anchor: a device may change its own later.
    """

    root: Hash
    count: Annotated[int, Meta(ge=1, le=ANCHOR_READINGS_MAX)]
    height: Counter
    transaction_id: Hash
    profile_hash: Hash


class Coin(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An IOT_Coin. Its issuer may mint until the supply is `supply_max`."""

    issuer: Address
    symbol: str
    name: str
    decimals: Counter
    supply: Amount
    supply_max: Amount


class Contract(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A deployed contract; code and manifest stand under keys of their own."""

    owner: Address
    code_hash: Hash
    manifest_hash: Hash
    created_height: Counter
