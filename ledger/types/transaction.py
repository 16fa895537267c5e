"""Transactions: one struct a kind, a tagged union, and the envelope that carries signatures.

`SignedTransaction.payload` is the canonical encoding of a `Transaction`; signatures are over those
bytes as received. The id leaves signatures out.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import (
    ANCHOR_READINGS_MAX,
    COIN_DECIMALS_MAX,
    COIN_NAME_LENGTH_MAX,
    COIN_SYMBOL_LENGTH_MAX,
    CONTRACT_ARGS_BYTES_MAX,
    CONTRACT_CALL_GAS_MAX,
    CONTRACT_CODE_BYTES_MAX,
    CONTRACT_MANIFEST_BYTES_MAX,
    TRANSACTION_BYTES_MAX,
)
from ledger.types.identity_bodies import IdentityBody
from ledger.types.primitives import Address, Amount, Counter, Hash, Signature

CoinSymbol = Annotated[
    str, Meta(min_length=1, max_length=COIN_SYMBOL_LENGTH_MAX, pattern=r"^[A-Z][A-Z0-9]*\Z")
]
MethodName = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[a-z][a-z0-9_]*\Z")]
ContractArgs = Annotated[bytes, Meta(max_length=CONTRACT_ARGS_BYTES_MAX)]
GasLimit = Annotated[int, Meta(ge=0, le=CONTRACT_CALL_GAS_MAX)]


class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class Transfer(_Body, frozen=True, tag=1):
    """Move SSP from the sender."""

    to: Address
    amount: Amount


class RegisterNode(_Body, frozen=True, tag=2):
    """Bind a gateway to its SmartAgent: the sender is the node id; a node registers once.

    `metering` is the only key that may register devices and anchor for this node. The proofs are the
    two keys' signatures over `domains.possession_message`: nobody registers a stranger's keys.
    """

    consensus: Address
    metering: Address
    consensus_proof: Signature
    metering_proof: Signature


class RegisterDevice(_Body, frozen=True, tag=3):
    """Let the sender (a registered node's metering key) anchor readings of a device."""

    device_id: Hash
    profile_hash: Hash


class Anchor(_Body, frozen=True, tag=4):
    """Commit to `count` consecutive readings of a device, from sequence `first`.

    `root` is the RFC 9162 Merkle root over the readings' canonical bytes; `previous` the id of the
    transaction with the device's previous anchor, or zeros for its first.
    """

    device_id: Hash
    profile_hash: Hash
    first: Counter
    count: Annotated[int, Meta(ge=1, le=ANCHOR_READINGS_MAX)]
    time_first_ms: Counter
    time_last_ms: Counter
    root: Hash
    previous: Hash


class CreateCoin(_Body, frozen=True, tag=5):
    """Issue an IOT_Coin; its whole supply starts with the sender."""

    symbol: CoinSymbol
    name: Annotated[str, Meta(max_length=COIN_NAME_LENGTH_MAX)]
    decimals: Annotated[int, Meta(ge=0, le=COIN_DECIMALS_MAX)]
    supply: Amount


class TransferCoin(_Body, frozen=True, tag=6):
    """Move an IOT_Coin from the sender."""

    coin: Hash
    to: Address
    amount: Amount


class DeployContract(_Body, frozen=True, tag=7):
    """Create a contract: Lua source, manifest (TOML) and the arguments of its `init` method."""

    code: Annotated[str, Meta(max_length=CONTRACT_CODE_BYTES_MAX)]
    manifest: Annotated[str, Meta(max_length=CONTRACT_MANIFEST_BYTES_MAX)]
    args: ContractArgs
    gas_limit: GasLimit


class CallContract(_Body, frozen=True, tag=8):
    """Call a contract's method with canonical MessagePack `args`; `deposit` SSP go to the contract."""

    contract: Hash
    method: MethodName
    args: ContractArgs
    deposit: Amount
    gas_limit: GasLimit


Body = (
    Transfer
    | RegisterNode
    | RegisterDevice
    | Anchor
    | CreateCoin
    | TransferCoin
    | DeployContract
    | CallContract
    | IdentityBody
)


class Transaction(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What is signed. `fee` is offered in base units; the transaction is void after `expiry_height`."""

    chain_id: Hash
    sender: Address
    nonce: Counter
    fee_payer: Address
    fee: Amount
    expiry_height: Counter
    body: Body


class SignedTransaction(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The envelope: payload bytes and signatures; `fee_signature` only when the payer is another."""

    payload: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX)]
    signature: Signature
    fee_signature: Signature | None
