"""DeployContract: create a contract and run its `init` once.

Rule 1: the executor finds nothing wrong with code and manifest.
Rule 2: the address is the hash of deployer and nonce, so it is new; the sender owns the contract.
Rule 3: `init` runs with the given arguments, the sender as caller and no deposit; if it does not end
OK, there is no contract.
Rule 4: the gas of the check is used in any case.
"""

from dataclasses import replace

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.errors import Reason, Rejected
from ledger.params import REASON_LENGTH_MAX
from ledger.ports import ContractCall, ContractCode, ContractExecutor
from ledger.state.context import BlockContext, Processed
from ledger.state.contract_run import INIT_METHOD, put_contract_code, run_contract
from ledger.state.fees import compute_check_gas
from ledger.state.keys import contract_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import to_one_line
from ledger.types.records import Contract
from ledger.types.transaction import DeployContract, Transaction


def process_deploy_contract(
    state: Overlay,
    context: BlockContext,
    transaction: Transaction,
    body: DeployContract,
    executor: ContractExecutor,
) -> Processed:
    """Store the contract with its code and run `init`."""
    code = ContractCode(source=body.code, manifest=body.manifest)
    check_gas = compute_check_gas(body.code)
    fault = executor.check(code)
    if fault is not None:
        detail = f"contract: {to_one_line(fault, REASON_LENGTH_MAX)}"
        return Processed(failure=Rejected(Reason.MALFORMED, detail), gas_used=check_gas)
    address = domains.contract_address(transaction.sender, transaction.nonce)
    code_hash, manifest_hash = put_contract_code(state, code)
    contract = Contract(
        owner=transaction.sender,
        code_hash=code_hash,
        manifest_hash=manifest_hash,
        created_height=context.height,
    )
    state.put(contract_key(address), canonical.encode(contract))
    call = ContractCall(
        code=code,
        contract=address,
        owner=transaction.sender,
        caller=transaction.sender,
        method=INIT_METHOD,
        args=body.args,
        deposit=0,
        height=context.height,
        time_ms=context.time_ms,
        gas_limit=body.gas_limit,
    )
    processed = run_contract(state, call, executor)
    return replace(processed, gas_used=check_gas + processed.gas_used)
