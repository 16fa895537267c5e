"""Which rule judges which kind of body."""

from typing import assert_never

from ledger.errors import Rejected
from ledger.ports import ContractExecutor
from ledger.state.context import BlockContext, CheckedTransaction, Processed
from ledger.state.overlay import Overlay
from ledger.state.processing.anchor import process_anchor
from ledger.state.processing.call_contract import process_call_contract
from ledger.state.processing.create_coin import process_create_coin
from ledger.state.processing.deploy_contract import process_deploy_contract
from ledger.state.processing.identity import process_identity_body
from ledger.state.processing.register_device import process_register_device
from ledger.state.processing.register_node import process_register_node
from ledger.state.processing.transfer import process_transfer
from ledger.state.processing.transfer_coin import process_transfer_coin
from ledger.types.identity_bodies import IdentityBody
from ledger.types.transaction import (
    Anchor,
    CallContract,
    CreateCoin,
    DeployContract,
    RegisterDevice,
    RegisterNode,
    Transfer,
    TransferCoin,
)

_DONE = Processed()


def process_body(
    state: Overlay, context: BlockContext, checked: CheckedTransaction, executor: ContractExecutor
) -> Processed:
    """Apply a transaction's body to `state`, which the caller discards if there is a failure."""
    transaction = checked.transaction
    sender = transaction.sender
    match transaction.body:
        case DeployContract() as body:
            return process_deploy_contract(state, context, transaction, body, executor)
        case CallContract() as body:
            return process_call_contract(state, context, sender, body, executor)
        case _:
            refusal = _process_plain(state, context, checked)
            return _DONE if refusal is None else Processed(failure=refusal)


def _process_plain(
    state: Overlay, context: BlockContext, checked: CheckedTransaction
) -> Rejected | None:
    """Apply a body that runs no code."""
    transaction = checked.transaction
    sender = transaction.sender
    if isinstance(transaction.body, IdentityBody):
        return process_identity_body(state, context, sender, transaction.body)
    match transaction.body:
        case Transfer() as body:
            return process_transfer(state, sender, body)
        case TransferCoin() as body:
            return process_transfer_coin(state, sender, body)
        case Anchor() as body:
            return process_anchor(state, sender, body, context.height, checked.id)
        case CreateCoin() as body:
            return process_create_coin(state, sender, transaction.nonce, body)
        case RegisterNode() as body:
            return process_register_node(state, context, sender, body)
        case RegisterDevice() as body:
            return process_register_device(state, sender, body)
        case DeployContract() | CallContract():
            raise AssertionError("contract bodies are dispatched before")
        case _:
            assert_never(transaction.body)
