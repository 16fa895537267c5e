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
    PROPOSAL_CHANGES_MAX,
    TRANSACTION_BYTES_MAX,
)
from ledger.types.block import Vote
from ledger.types.identity_bodies import IdentityBody
from ledger.types.primitives import Address, Amount, Counter, Hash, Signature
from ledger.types.stake import BallotChoice, Change, Choices, ProposalTitle

CoinSymbol = Annotated[
    str, Meta(min_length=1, max_length=COIN_SYMBOL_LENGTH_MAX, pattern=r"^[A-Z][A-Z0-9]*\Z")
]
MethodName = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[a-z][a-z0-9_]*\Z")]
ContractArgs = Annotated[bytes, Meta(max_length=CONTRACT_ARGS_BYTES_MAX)]
GasLimit = Annotated[int, Meta(ge=0, le=CONTRACT_CALL_GAS_MAX)]


# Immutable values cannot form cycles: the collector need not look at them (`gc=False`).
class _Body(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
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
    """Issue an IOT_Coin; `supply` starts with the sender, who may mint up to `supply_max` in all."""

    symbol: CoinSymbol
    name: Annotated[str, Meta(max_length=COIN_NAME_LENGTH_MAX)]
    decimals: Annotated[int, Meta(ge=0, le=COIN_DECIMALS_MAX)]
    supply: Amount
    supply_max: Amount


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


class RegisterAgent(_Body, frozen=True, tag=10):
    """Stand for election: the sender is a registered node, `bond` its own stake.

    `onion` commits to what the node will reveal in its blocks (`docs/spec/DPOS.md`).
    """

    bond: Amount
    onion: Hash


class Delegate(_Body, frozen=True, tag=11):
    """Lend stake to an agent (or raise one's own bond); `beneficiary` may then meter for free."""

    agent: Address
    amount: Amount
    beneficiary: Address


class Undelegate(_Body, frozen=True, tag=12):
    """Take stake back from an agent: it is free after the unbonding time."""

    agent: Address
    amount: Amount


class Withdraw(_Body, frozen=True, tag=13):
    """Move all of the sender's stake whose unbonding time is over to its balance."""


class VoteAgents(_Body, frozen=True, tag=14):
    """Vote for agents with the balance that the sender holds at any time; none: withdraw the vote."""

    choices: Choices


class Unjail(_Body, frozen=True, tag=15):
    """Stand for election again after the time in jail: the sender is the agent."""


class RecommitOnion(_Body, frozen=True, tag=16):
    """Replace the agent's onion, two epochs from now."""

    onion: Hash


class ReportEvidence(_Body, frozen=True, tag=17):
    """Show two votes by one agent in one slot that contradict each other."""

    agent: Address
    first: Vote
    second: Vote


class Propose(_Body, frozen=True, tag=18):
    """Propose changes of parameters, for the first epoch at or after `activation_height`.

    The deposit comes back unless hardly anybody votes.
    """

    deposit: Amount
    title: ProposalTitle
    changes: Annotated[tuple[Change, ...], Meta(min_length=1, max_length=PROPOSAL_CHANGES_MAX)]
    activation_height: Counter


class CastBallot(_Body, frozen=True, tag=19):
    """Say yes, no or nothing to a proposal, with the stake that the sender has now."""

    proposal: Hash
    choice: BallotChoice


class MintCoin(_Body, frozen=True, tag=20):
    """Make more of an IOT_Coin: only its issuer, and only up to its `supply_max`."""

    coin: Hash
    to: Address
    amount: Amount


class BurnCoin(_Body, frozen=True, tag=21):
    """Destroy units of an IOT_Coin that the sender holds."""

    coin: Hash
    amount: Amount


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
    | RegisterAgent
    | Delegate
    | Undelegate
    | Withdraw
    | VoteAgents
    | Unjail
    | RecommitOnion
    | ReportEvidence
    | Propose
    | CastBallot
    | MintCoin
    | BurnCoin
)


class Transaction(
    msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False
):
    """What is signed. `fee` is offered in base units; the transaction is void after `expiry_height`."""

    chain_id: Hash
    sender: Address
    nonce: Counter
    fee_payer: Address
    fee: Amount
    expiry_height: Counter
    body: Body


class SignedTransaction(
    msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False
):
    """The envelope: payload bytes and signatures; `fee_signature` only when the payer is another."""

    payload: Annotated[bytes, Meta(max_length=TRANSACTION_BYTES_MAX)]
    signature: Signature
    fee_signature: Signature | None
