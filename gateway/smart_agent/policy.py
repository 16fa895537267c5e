"""Which key may sign which transaction. What is not listed here is refused.

The consensus key signs no transaction. A key pays its own fees only, so that no key can be made to
pay for what another one sends; but the metering or the wallet key pays for the node key, which owns nothing.
"""

from collections.abc import Mapping

from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import Refused, RefusedReason, SignTransaction, one_line
from ledger.codec.canonical import Decoder
from ledger.errors import CodecError
from ledger.params import SSP_BASE_UNITS
from ledger.types.identity_bodies import AppealRevocation, NameOwner, RenewLease, RetireNode
from ledger.types.transaction import (
    Anchor,
    Body,
    BurnCoin,
    CallContract,
    CastBallot,
    CreateCoin,
    Delegate,
    DeployContract,
    MintCoin,
    Propose,
    RecommitOnion,
    RegisterAgent,
    RegisterDevice,
    RegisterNode,
    ReportEvidence,
    Transaction,
    Transfer,
    TransferCoin,
    Undelegate,
    Unjail,
    VoteAgents,
    Withdraw,
)

_ALLOWED_BODIES: Mapping[Purpose, tuple[type[Body], ...]] = {
    Purpose.NODE: (
        *(RegisterNode, RetireNode, AppealRevocation),
        *(RegisterAgent, Unjail, RecommitOnion, Delegate, Undelegate, Withdraw, Transfer),
    ),
    Purpose.CONSENSUS: (),
    Purpose.METERING: (
        *(RegisterDevice, Anchor, CallContract, RenewLease, NameOwner),
        ReportEvidence,
    ),
    Purpose.WALLET: (
        *(Transfer, CreateCoin, TransferCoin, DeployContract, CallContract),
        *(NameOwner, RetireNode, MintCoin, BurnCoin),
        *(VoteAgents, Delegate, Undelegate, Withdraw, Propose, CastBallot, ReportEvidence),
    ),
}
# Fees alone must not empty the accounts that the gateway process uses without asking anybody.
SERVICE_FEE_MAX = SSP_BASE_UNITS  # some five hundred times what the largest of them costs
_PAYERS_FOR_NODE = (Purpose.METERING, Purpose.WALLET)

_transactions = Decoder(Transaction)


def check_transaction(request: SignTransaction, keys: AgentKeys) -> Transaction | Refused:
    """Return what `request.purpose` may sign on the bound chain, else why not."""
    try:
        transaction = _transactions.decode(request.payload)
    except CodecError as error:
        return Refused(RefusedReason.MALFORMED, one_line(f"transaction {error}"))
    if keys.chain_id is None:
        return Refused(RefusedReason.NOT_BOUND, "this SmartAgent is not bound to a chain yet")
    if transaction.chain_id != keys.chain_id:
        return Refused(RefusedReason.WRONG_CHAIN, "the transaction is for another chain")
    return (
        _check_parties(request.purpose, transaction, keys)
        or _check_body(_sending_purpose(request.purpose, transaction, keys), transaction.body, keys)
        or transaction
    )


def _sending_purpose(purpose: Purpose, transaction: Transaction, keys: AgentKeys) -> Purpose:
    """Return whose transaction it is: the asked key's own, or the node's, for which that key pays."""
    return purpose if transaction.sender == keys.key_of(purpose) else Purpose.NODE


def _check_parties(purpose: Purpose, transaction: Transaction, keys: AgentKeys) -> Refused | None:
    """Check that the key is the sender, or pays for the node key; and who pays the fee."""
    key = keys.key_of(purpose)
    pays_for_node = (
        transaction.sender == keys.node
        and transaction.fee_payer == key
        and purpose in _PAYERS_FOR_NODE
    )
    if transaction.sender != key and not pays_for_node:
        return Refused(RefusedReason.WRONG_SENDER, f"the sender is not the {purpose.value} key")
    payers = {transaction.sender}
    if transaction.sender == keys.node:
        payers |= {keys.key_of(one) for one in _PAYERS_FOR_NODE}
    if transaction.fee_payer not in payers:
        return Refused(RefusedReason.NOT_ALLOWED, "the fee payer must be the sender")
    if purpose is not Purpose.WALLET and transaction.fee > SERVICE_FEE_MAX:
        detail = f"a fee of {transaction.fee} base units is over {SERVICE_FEE_MAX}"
        return Refused(RefusedReason.NOT_ALLOWED, detail)
    return None


def _check_body(purpose: Purpose, body: Body, keys: AgentKeys) -> Refused | None:
    kind = type(body).__name__
    if not isinstance(body, _ALLOWED_BODIES[purpose]):
        detail = f"the {purpose.value} key does not sign {kind}"
        return Refused(RefusedReason.NOT_ALLOWED, detail)
    if isinstance(body, CallContract) and purpose is Purpose.METERING and body.deposit:
        detail = "the metering key does not pay deposits: use the wallet key"
        return Refused(RefusedReason.NOT_ALLOWED, detail)
    if isinstance(body, RegisterNode) and not _names_own_keys(body, keys):
        detail = "RegisterNode must name this SmartAgent's own consensus and metering keys"
        return Refused(RefusedReason.NOT_ALLOWED, detail)
    if isinstance(body, Transfer) and purpose is Purpose.NODE and body.to != keys.wallet:
        detail = "what the node key earns goes to this SmartAgent's own wallet, nowhere else"
        return Refused(RefusedReason.NOT_ALLOWED, detail)
    return _check_identity(purpose, body, keys)


def _check_identity(purpose: Purpose, body: Body, keys: AgentKeys) -> Refused | None:
    """What the node says of its own identity: its wallet owns it, and it retires nobody else."""
    if isinstance(body, NameOwner) and purpose is Purpose.METERING:
        if (body.node, body.owner) != (keys.node, keys.wallet):
            detail = "the metering key names this node's own wallet as its owner, nobody else"
            return Refused(RefusedReason.NOT_ALLOWED, detail)
    elif isinstance(body, RetireNode) and purpose is Purpose.NODE and body.node != keys.node:
        return Refused(RefusedReason.NOT_ALLOWED, "the node key retires its own node alone")
    return None


def _names_own_keys(body: RegisterNode, keys: AgentKeys) -> bool:
    return body.consensus == keys.consensus and body.metering == keys.metering
