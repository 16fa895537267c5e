"""The state transition: what a block of transactions makes of a state. The package's front door.

Rule 1: a transaction that may not stand in a block makes the whole block invalid.
Rule 2: one whose body fails pays its fee, uses its nonce and leaves no other effect.
Rule 3: fees are the proposer's, credited to its node id's account after the last transaction.
Rule 4: the sum of all SSP balances never changes: stake, rewards and what is burnt have accounts too.
Rule 5: a metering transaction may offer no fee when stake gives its sender a free one.
"""

from collections.abc import Iterable, Mapping, Sequence

from ledger.errors import OutdatedError, Reason, Rejected, StorageError
from ledger.params import BLOCK_GAS_MAX, REASON_LENGTH_MAX
from ledger.ports import ContractExecutor
from ledger.state.accounts import get_account, increase_balance, put_account
from ledger.state.admission import (
    NO_FREE_METERING,
    admit_transaction,
    check_includable,
    check_transaction,
)
from ledger.state.agents import get_parameters
from ledger.state.block_rules import begin_block, finish_block
from ledger.state.context import (
    BlockContext,
    BlockResult,
    CheckedTransaction,
    Processed,
    Selected,
)
from ledger.state.fees import compute_fee_paid, get_gas_limit, is_free_offer, runs_contract
from ledger.state.genesis import genesis_writes
from ledger.state.keys import ACCOUNT_PREFIX
from ledger.state.overlay import Overlay, StateReader
from ledger.state.plain_text import to_one_line
from ledger.state.processing.dispatch import process_body
from ledger.state.processing.transfer import process_paid_transfer
from ledger.state.query import query_contract
from ledger.state.stake import use_allowance
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.records import Account
from ledger.types.transaction import Transfer

__all__ = [
    "BlockContext",
    "BlockResult",
    "CheckedTransaction",
    "Selected",
    "admit_transaction",
    "apply_block",
    "check_transaction",
    "genesis_writes",
    "list_account_keys",
    "query_contract",
    "select_transactions",
]

FAILED_IN_BLOCK_MAX = 4  # worker failures that a proposer bears before it runs no more contracts


def list_account_keys(transactions: Iterable[CheckedTransaction]) -> list[bytes]:
    """Return the keys of accounts that these transactions will read: senders, and who is paid."""
    keys: list[bytes] = []
    for checked in transactions:
        transaction = checked.transaction
        keys.append(ACCOUNT_PREFIX + transaction.sender)
        if isinstance(transaction.body, Transfer):
            keys.append(ACCOUNT_PREFIX + transaction.body.to)
    return keys


def apply_block(
    view: StateReader,
    context: BlockContext,
    transactions: Sequence[CheckedTransaction],
    executor: ContractExecutor,
) -> BlockResult | Rejected:
    """Run a block's transactions in order over `view`, which is only read.

    Raises `ExecutorError` when a contract worker failed: then nothing is known about the block.
    """
    state = Overlay(view)
    refusal = begin_block(state, context)
    if refusal is not None:
        return refusal
    outcomes: list[Outcome] = []
    if sum(get_gas_limit(checked.transaction) for checked in transactions) > BLOCK_GAS_MAX:
        return Rejected(Reason.BAD_BLOCK, f"gas limits add up to more than {BLOCK_GAS_MAX}")
    for position, checked in enumerate(transactions):
        outcome = _apply_transaction(state, context, checked, executor)
        if isinstance(outcome, Rejected):
            return Rejected(
                Reason.BAD_BLOCK, f"transaction {position} ({checked.id.hex()[:16]}): {outcome}"
            )
        outcomes.append(outcome)
    return _finish(view, state, context, outcomes)


def _finish(
    view: StateReader, state: Overlay, context: BlockContext, outcomes: Sequence[Outcome]
) -> BlockResult:
    _pay_proposer(state, context, sum(outcome.fee_paid for outcome in outcomes))
    next_set, changed = finish_block(state, context)
    assert _compute_supply_change(view, changed) == 0, "SSP was made or lost"
    return BlockResult(outcomes=tuple(outcomes), writes=state.writes, next_set=next_set)


def select_transactions(
    view: StateReader,
    context: BlockContext,
    candidates: Sequence[CheckedTransaction],
    executor: ContractExecutor,
) -> Selected:
    """Run a proposer's candidates in order and keep those that can be run: a block of them is valid.

    Left out are one that cannot be run, and its sender's later ones, which need its nonce. After
    `FAILED_IN_BLOCK_MAX` failures, each as long as a worker's time limit, no more contracts run.
    Raises `OutdatedError` where no block of ours can stand in this place, and `StorageError`.
    """
    state = Overlay(view)
    refusal = begin_block(state, context)
    if refusal is not None:
        raise OutdatedError(f"block {context.height} of slot {context.slot}: {refusal}")
    chosen: list[CheckedTransaction] = []
    outcomes: list[Outcome] = []
    failed: list[tuple[CheckedTransaction, Rejected]] = []
    skipped_senders: set[bytes] = set()
    attempt = state.child()
    for checked in candidates:
        transaction = checked.transaction
        is_tired = len(failed) >= FAILED_IN_BLOCK_MAX and runs_contract(transaction)
        if transaction.sender in skipped_senders or is_tired:
            skipped_senders.add(transaction.sender)
            continue
        is_apart = not isinstance(transaction.body, Transfer)  # which `_process_apart` says why
        outcome = _try_transaction(attempt if is_apart else state, context, checked, executor)
        if isinstance(outcome, Rejected):
            attempt.reset()
            failed.append((checked, outcome))
            skipped_senders.add(transaction.sender)
            continue
        if is_apart:
            state.merge(attempt)
            attempt.reset()
        chosen.append(checked)
        outcomes.append(outcome)
    return Selected(tuple(chosen), _finish(view, state, context, outcomes), tuple(failed))


def _try_transaction(
    state: Overlay, context: BlockContext, checked: CheckedTransaction, executor: ContractExecutor
) -> Outcome | Rejected:
    """Run a transaction; `Rejected` for whatever way it fails to have an outcome."""
    try:
        return _apply_transaction(state, context, checked, executor)
    except StorageError:
        raise
    except Exception as error:  # noqa: BLE001 - no stranger's transaction may end the node
        text = to_one_line(str(error), REASON_LENGTH_MAX) or type(error).__name__
        return Rejected(Reason.NOT_RUN, text)


def _pay_proposer(state: Overlay, context: BlockContext, fees: int) -> None:
    if fees:
        refusal = increase_balance(state, context.proposer, fees)
        assert refusal is None, "fees cannot exceed the supply that they come from"


def _apply_transaction(
    state: Overlay, context: BlockContext, checked: CheckedTransaction, executor: ContractExecutor
) -> Outcome | Rejected:
    if checked.transaction.chain_id != context.chain_id:
        return Rejected(Reason.WRONG_CHAIN, "made for another chain")
    if isinstance(checked.transaction.body, Transfer):
        outcome = process_paid_transfer(state, checked, checked.transaction.body, context.height)
        if outcome is not None:
            return outcome
    refusal = _charge_offer(state, checked, context)
    if refusal is not None:
        return refusal
    processed = _process_apart(state, context, checked, executor)
    fee_paid = compute_fee_paid(checked, processed.gas_used)
    unused = checked.transaction.fee - fee_paid
    if unused:
        refusal = increase_balance(state, checked.transaction.fee_payer, unused)
        assert refusal is None, "what is returned was taken from the same account"
    return _describe(checked, processed, fee_paid)


def _process_apart(
    state: Overlay, context: BlockContext, checked: CheckedTransaction, executor: ContractExecutor
) -> Processed:
    """Run a body so that a failure leaves no effect. A transfer refuses before it changes anything."""
    if isinstance(checked.transaction.body, Transfer):
        return process_body(state, context, checked, executor)
    effects = state.child()
    processed = process_body(effects, context, checked, executor)
    if processed.failure is None:
        state.merge(effects)
    return processed


def _charge_offer(
    state: Overlay, checked: CheckedTransaction, context: BlockContext
) -> Rejected | None:
    """Take the whole offered fee and use the nonce, if the transaction may stand in the block."""
    transaction = checked.transaction
    sender = get_account(state, transaction.sender)
    pays_itself = transaction.fee_payer == transaction.sender
    payer = sender if pays_itself else get_account(state, transaction.fee_payer)
    refusal = check_includable(checked, sender, payer, context.height)
    if refusal is None and is_free_offer(transaction):
        refusal = _use_free_metering(state, transaction.sender, context.epoch)
    if refusal is not None:
        return refusal
    by_sender = transaction.fee if pays_itself else 0
    charged = Account(sender.balance - by_sender, sender.nonce + 1, sender.is_voter)
    put_account(state, transaction.sender, charged)
    if not pays_itself:
        charged = Account(payer.balance - transaction.fee, payer.nonce, payer.is_voter)
        put_account(state, transaction.fee_payer, charged)
    return None


def _use_free_metering(state: Overlay, sender: bytes, epoch: int) -> Rejected | None:
    if use_allowance(state, sender, epoch, get_parameters(state).free_anchor_stake):
        return None
    return NO_FREE_METERING


def _describe(checked: CheckedTransaction, processed: Processed, fee_paid: int) -> Outcome:
    failure = processed.failure
    return Outcome(
        transaction_id=checked.id,
        status=OutcomeStatus.APPLIED if failure is None else OutcomeStatus.FAILED,
        reason="" if failure is None else str(failure),
        gas_used=processed.gas_used,
        fee_paid=fee_paid,
        result=processed.result,
        events=processed.events,
    )


def _compute_supply_change(view: StateReader, changed: Mapping[bytes, Account]) -> int:
    """Return by how much all changed balances together differ from what they were."""
    before = sum([get_account(view, address).balance for address in changed])
    return sum([account.balance for account in changed.values()]) - before
