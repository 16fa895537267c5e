"""Questions to a contract: a call that is thrown away and costs nobody anything."""

from ledger.errors import Reason, Rejected
from ledger.params import CONTRACT_ARGS_BYTES_MAX, CONTRACT_QUERY_GAS_MAX, PUBLIC_KEY_BYTES
from ledger.ports import ContractCall, ContractExecutor, ExecutionResult
from ledger.state.context import BlockContext
from ledger.state.contract_host import OverlayHost
from ledger.state.contract_run import get_contract, get_contract_code
from ledger.state.contract_values import is_contract_value
from ledger.state.overlay import Overlay, StateReader

NO_CALLER = bytes(PUBLIC_KEY_BYTES)


def query_contract(  # noqa: PLR0913, PLR0917 - the seven facts that make up one question
    view: StateReader,
    context: BlockContext,
    contract: bytes,
    method: str,
    args: bytes,
    executor: ContractExecutor,
    gas: int = CONTRACT_QUERY_GAS_MAX,
) -> ExecutionResult | Rejected:
    """Run a method as a query at `context` (the newest block); the caller's address is zeros.

    Raises `ExecutorError` when the worker, not the contract, failed.
    """
    if not 0 <= gas <= CONTRACT_QUERY_GAS_MAX:
        return Rejected(Reason.OUT_OF_RANGE, f"gas is outside 0..{CONTRACT_QUERY_GAS_MAX}")
    if len(args) > CONTRACT_ARGS_BYTES_MAX or not is_contract_value(args):
        return Rejected(Reason.MALFORMED, "contract arguments are not canonical plain values")
    deployed = get_contract(view, contract)
    if isinstance(deployed, Rejected):
        return deployed
    call = ContractCall(
        code=get_contract_code(view, deployed),
        contract=contract,
        owner=deployed.owner,
        caller=NO_CALLER,
        method=method,
        args=args,
        deposit=0,
        height=context.height,
        time_ms=context.time_ms,
        gas_limit=gas,
        is_query=True,
    )
    return executor.execute(call, OverlayHost(Overlay(view), contract, is_query=True))
