"""Queries: answers that change and cost nothing."""

import pytest

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.errors import ExecutorError, Reason, Rejected
from ledger.params import CONTRACT_QUERY_GAS_MAX
from ledger.ports import ExecutionResult, ExecutionStatus
from ledger.state.transition import query_contract
from ledger.types.transaction import CallContract, DeployContract
from tests.support.contracts import PROGRAM
from tests.support.transactions import ANNA, Chain, assert_applied

CONTRACT = domains.contract_address(ANNA.address, 0)


@pytest.fixture
def chain():
    chain = Chain(ANNA)
    deploy = DeployContract(PROGRAM.source, PROGRAM.manifest, b"\x90", 5_000)
    assert_applied(chain.run(ANNA, deploy))
    store = CallContract(CONTRACT, "keep", canonical.encode([b"key", b"value"]), 5, 5_000)
    assert_applied(chain.run(ANNA, store))
    return chain


def ask(chain: Chain, method: str, *arguments: object) -> ExecutionResult | Rejected:
    args = canonical.encode(list(arguments))
    return query_contract(chain.state, chain.context, CONTRACT, method, args, chain.executor)


def test_a_query_reads_the_state(chain):
    answer = ask(chain, "read", b"key")
    assert isinstance(answer, ExecutionResult)
    assert canonical.Decoder(bytes).decode(answer.result) == b"value"


def test_the_executor_is_told_that_it_is_a_query_by_nobody(chain):
    ask(chain, "read", b"key")
    call = chain.executor.calls[-1]
    assert (call.is_query, call.caller, call.owner) == (True, bytes(32), ANNA.address)
    assert (call.deposit, call.gas_limit) == (0, CONTRACT_QUERY_GAS_MAX)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [("keep", (b"key", b"other")), ("pay", (ANNA.address, 5)), ("announce", ("tick",))],
)
def test_a_method_that_changes_something_is_refused(chain, method, arguments):
    before = dict(chain.state)
    answer = ask(chain, method, *arguments)
    assert isinstance(answer, ExecutionResult)
    assert answer.status is ExecutionStatus.ABORTED
    assert answer.error.startswith("a query ")
    assert chain.state == before


def test_an_unknown_contract_is_refused(chain):
    answer = query_contract(
        chain.state, chain.context, sha256(b"nowhere"), "read", b"\x90", chain.executor
    )
    assert isinstance(answer, Rejected)
    assert answer.reason is Reason.UNKNOWN_CONTRACT


@pytest.mark.parametrize("args", [b"", b"\xcb" + bytes(8), b"\xc5\xff\xff" + bytes(65_535)])
def test_arguments_that_are_not_plain_or_too_long_are_refused(chain, args):
    answer = query_contract(chain.state, chain.context, CONTRACT, "read", args, chain.executor)
    assert isinstance(answer, Rejected)
    assert answer.reason is Reason.MALFORMED


@pytest.mark.parametrize("gas", [-1, CONTRACT_QUERY_GAS_MAX + 1])
def test_gas_beyond_the_limit_is_refused(chain, gas):
    answer = query_contract(
        chain.state, chain.context, CONTRACT, "read", b"\x90", chain.executor, gas
    )
    assert isinstance(answer, Rejected)
    assert answer.reason is Reason.OUT_OF_RANGE


def test_a_worker_that_fails_is_not_an_answer(chain):
    with pytest.raises(ExecutorError):
        ask(chain, "crash")
