"""CallContract: run a method of a deployed contract.

Rule 1: the contract exists; `init` ran when it was deployed and never runs again.
Rule 2: the sender holds the deposit, which is the contract's before the method runs.
Rule 3: a call that does not end OK leaves no effect: the deposit is back with the sender.
"""

from ledger.errors import Reason, Rejected
from ledger.ports import ContractCall, ContractExecutor
from ledger.state.accounts import move_balance
from ledger.state.context import BlockContext, Processed
from ledger.state.contract_run import (
    INIT_METHOD,
    get_contract,
    get_contract_code,
    run_contract,
)
from ledger.state.overlay import Overlay
from ledger.types.transaction import CallContract


def process_call_contract(
    state: Overlay,
    context: BlockContext,
    sender: bytes,
    body: CallContract,
    executor: ContractExecutor,
) -> Processed:
    """Move the deposit and run the method."""
    if body.method == INIT_METHOD:
        return Processed(failure=Rejected(Reason.NOT_OWNER, "init runs only at deployment"))
    contract = get_contract(state, body.contract)
    if isinstance(contract, Rejected):
        return Processed(failure=contract)
    refusal = move_balance(state, sender, body.contract, body.deposit)
    if refusal is not None:
        return Processed(failure=refusal)
    call = ContractCall(
        code=get_contract_code(state, contract),
        contract=body.contract,
        owner=contract.owner,
        caller=sender,
        method=body.method,
        args=body.args,
        deposit=body.deposit,
        height=context.height,
        time_ms=context.time_ms,
        gas_limit=body.gas_limit,
    )
    return run_contract(state, call, executor)
