"""Which rule judges which kind of body: kinds in groups, every group complete."""

from typing import assert_never

from ledger.errors import Rejected
from ledger.ports import ContractExecutor
from ledger.state.context import BlockContext, CheckedTransaction, Processed
from ledger.state.overlay import Overlay
from ledger.state.processing.anchor import process_anchor
from ledger.state.processing.burn_coin import process_burn_coin
from ledger.state.processing.call_contract import process_call_contract
from ledger.state.processing.cast_ballot import process_cast_ballot
from ledger.state.processing.create_coin import process_create_coin
from ledger.state.processing.delegate import process_delegate
from ledger.state.processing.deploy_contract import process_deploy_contract
from ledger.state.processing.identity import process_identity_body
from ledger.state.processing.mint_coin import process_mint_coin
from ledger.state.processing.propose import process_propose
from ledger.state.processing.recommit_onion import process_recommit_onion
from ledger.state.processing.register_agent import process_register_agent
from ledger.state.processing.register_device import process_register_device
from ledger.state.processing.register_node import process_register_node
from ledger.state.processing.report_evidence import process_report_evidence
from ledger.state.processing.transfer import process_transfer
from ledger.state.processing.transfer_coin import process_transfer_coin
from ledger.state.processing.undelegate import process_undelegate
from ledger.state.processing.unjail import process_unjail
from ledger.state.processing.vote_agents import process_vote_agents
from ledger.state.processing.withdraw import process_withdraw
from ledger.types.transaction import (
    Anchor,
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

_DONE = Processed()

MoneyBody = Transfer | TransferCoin | CreateCoin | MintCoin | BurnCoin
MeteringBody = Anchor | RegisterNode | RegisterDevice
StakeBody = VoteAgents | Delegate | Undelegate | Withdraw | Propose | CastBallot
AgentBody = RegisterAgent | Unjail | RecommitOnion | ReportEvidence


def process_body(
    state: Overlay, context: BlockContext, checked: CheckedTransaction, executor: ContractExecutor
) -> Processed:
    """Apply a transaction's body to `state`, which the caller discards if there is a failure."""
    transaction = checked.transaction
    sender = transaction.sender
    refusal: Rejected | None
    match transaction.body:
        case Transfer() | TransferCoin() | CreateCoin() | MintCoin() | BurnCoin() as body:
            refusal = _process_money(state, transaction, body)
        case Anchor() | RegisterNode() | RegisterDevice() as body:
            refusal = _process_metering(state, context, checked, body)
        case DeployContract() as body:
            return process_deploy_contract(state, context, transaction, body, executor)
        case CallContract() as body:
            return process_call_contract(state, context, sender, body, executor)
        case (
            VoteAgents() | Delegate() | Undelegate() | Withdraw() | Propose() | CastBallot() as body
        ):
            refusal = _process_stake(state, context, transaction, body)
        case RegisterAgent() | Unjail() | RecommitOnion() | ReportEvidence() as body:
            refusal = _process_agent(state, context, sender, body)
        case _:
            refusal = process_identity_body(state, context, sender, transaction.body)
    return _DONE if refusal is None else Processed(failure=refusal)


def _process_money(state: Overlay, transaction: Transaction, body: MoneyBody) -> Rejected | None:
    sender = transaction.sender
    match body:
        case Transfer():
            return process_transfer(state, sender, body)
        case TransferCoin():
            return process_transfer_coin(state, sender, body)
        case CreateCoin():
            return process_create_coin(state, sender, transaction.nonce, body)
        case MintCoin():
            return process_mint_coin(state, sender, body)
        case BurnCoin():
            return process_burn_coin(state, sender, body)
        case _:
            assert_never(body)


def _process_metering(
    state: Overlay, context: BlockContext, checked: CheckedTransaction, body: MeteringBody
) -> Rejected | None:
    sender = checked.transaction.sender
    match body:
        case Anchor():
            return process_anchor(state, sender, body, context.height, checked.id)
        case RegisterNode():
            return process_register_node(state, context, sender, body)
        case RegisterDevice():
            return process_register_device(state, sender, body)
        case _:
            assert_never(body)


def _process_stake(
    state: Overlay, context: BlockContext, transaction: Transaction, body: StakeBody
) -> Rejected | None:
    sender = transaction.sender
    match body:
        case VoteAgents():
            return process_vote_agents(state, context, sender, body)
        case Delegate():
            return process_delegate(state, sender, body)
        case Undelegate():
            return process_undelegate(state, context, sender, body)
        case Withdraw():
            return process_withdraw(state, context, sender)
        case Propose():
            return process_propose(state, context, transaction, body)
        case CastBallot():
            return process_cast_ballot(state, context, sender, body)
        case _:
            assert_never(body)


def _process_agent(
    state: Overlay, context: BlockContext, sender: bytes, body: AgentBody
) -> Rejected | None:
    match body:
        case RegisterAgent():
            return process_register_agent(state, sender, body)
        case Unjail():
            return process_unjail(state, context, sender)
        case RecommitOnion():
            return process_recommit_onion(state, sender, body)
        case ReportEvidence():
            return process_report_evidence(state, context, sender, body)
        case _:
            assert_never(body)
