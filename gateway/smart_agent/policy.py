"""Which key may sign which transaction. What is not listed here is refused.

The consensus key signs no transaction. A key pays its own fees only, so that no key can be made to
pay for what another one sends.
"""

from collections.abc import Mapping

from gateway.smart_agent.keys import AgentKeys, Purpose
from gateway.smart_agent.messages import Refused, RefusedReason, SignTransaction, one_line
from ledger.codec.canonical import Decoder
from ledger.errors import CodecError
from ledger.types.transaction import (
    Anchor,
    Body,
    CallContract,
    CreateCoin,
    DeployContract,
    RegisterDevice,
    RegisterNode,
    Transaction,
    Transfer,
    TransferCoin,
)

_ALLOWED_BODIES: Mapping[Purpose, tuple[type[Body], ...]] = {
    Purpose.NODE: (RegisterNode,),
    Purpose.CONSENSUS: (),
    Purpose.METERING: (RegisterDevice, Anchor, CallContract),
    Purpose.WALLET: (Transfer, CreateCoin, TransferCoin, DeployContract, CallContract),
}

_transactions = Decoder(Transaction)


def check_transaction(request: SignTransaction, keys: AgentKeys) -> Refused | None:
    """Return None when `request.purpose` may sign this payload on the bound chain, else why not."""
    try:
        transaction = _transactions.decode(request.payload)
    except CodecError as error:
        return Refused(RefusedReason.MALFORMED, one_line(f"transaction {error}"))
    if keys.chain_id is None:
        return Refused(RefusedReason.NOT_BOUND, "this SmartAgent is not bound to a chain yet")
    if transaction.chain_id != keys.chain_id:
        return Refused(RefusedReason.WRONG_CHAIN, "the transaction is for another chain")
    if transaction.sender != keys.key_of(request.purpose):
        detail = f"the sender is not the {request.purpose.value} key"
        return Refused(RefusedReason.WRONG_SENDER, detail)
    if transaction.fee_payer != transaction.sender:
        return Refused(RefusedReason.NOT_ALLOWED, "the fee payer must be the sender")
    return _check_body(request.purpose, transaction.body, keys)


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
    return None


def _names_own_keys(body: RegisterNode, keys: AgentKeys) -> bool:
    return body.consensus == keys.consensus and body.metering == keys.metering
