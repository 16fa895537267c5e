"""Rules of CallContract."""

import pytest

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.errors import ExecutorError
from ledger.params import (
    CONTRACT_EVENT_BYTES_MAX,
    CONTRACT_OUTPUT_BYTES_MAX,
    CONTRACT_RESULT_BYTES_MAX,
)
from ledger.state.keys import contract_storage_key
from ledger.state.transition import CheckedTransaction
from ledger.types.outcome import Event
from ledger.types.transaction import CallContract, DeployContract
from tests.support.contracts import GAS, PROGRAM
from tests.support.transactions import (
    ANNA,
    BEN,
    FEE,
    PROPOSER,
    Chain,
    assert_applied,
    assert_failed,
    check,
)

CONTRACT = domains.contract_address(ANNA.address, 0)
GAS_LIMIT = 100_000


def call(method: str, *arguments: object, deposit: int = 0, gas: int = GAS_LIMIT) -> CallContract:
    return CallContract(CONTRACT, method, canonical.encode(list(arguments)), deposit, gas)


def compute_fee_paid(checked: CheckedTransaction) -> int:
    return 1_000 + checked.size + 11  # 1,050 gas at 100 a base unit, rounded up


@pytest.fixture
def chain():
    chain = Chain(ANNA, BEN)
    deploy = DeployContract(PROGRAM.source, PROGRAM.manifest, b"\x90", GAS_LIMIT)
    assert_applied(chain.run(ANNA, deploy))
    return chain


def test_a_call_changes_the_contracts_storage_and_returns_a_result(chain):
    assert_applied(chain.run(BEN, call("keep", b"key", b"value")))
    assert chain.state[contract_storage_key(CONTRACT, b"key")] == b"value"
    outcome = chain.run(BEN, call("read", b"key"))
    assert canonical.Decoder(bytes).decode(outcome.result) == b"value"


def test_the_contract_sees_who_calls_and_who_owns_it(chain):
    chain.run(BEN, call("read", b"key", deposit=5))
    seen = chain.executor.calls[-1]
    assert (seen.owner, seen.caller, seen.deposit) == (ANNA.address, BEN.address, 5)
    assert seen.code == PROGRAM


def test_the_deposit_is_the_contracts_before_it_runs(chain):
    before = chain.account(BEN).balance
    outcome = chain.run(BEN, call("pay", ANNA.address, 60, deposit=100))
    assert canonical.Decoder(int).decode(outcome.result) == 40
    assert chain.account(CONTRACT).balance == 40
    assert chain.account(BEN).balance == before - 100 - outcome.fee_paid


def test_gas_is_paid_out_of_the_offer_and_the_rest_comes_back(chain):
    checked = check(BEN, call("read", b"key"))
    before, fees = chain.account(BEN).balance, chain.account(PROPOSER).balance
    (outcome,) = chain.apply(checked)
    assert outcome.gas_used == GAS
    assert outcome.fee_paid == compute_fee_paid(checked) < FEE
    assert chain.account(BEN).balance == before - outcome.fee_paid
    assert chain.account(PROPOSER).balance == fees + outcome.fee_paid


def test_the_rest_of_the_offer_comes_back_to_the_payer_not_to_the_sender(chain):
    checked = check(BEN, call("read", b"key"), payer=ANNA)
    anna, ben = chain.account(ANNA).balance, chain.account(BEN).balance
    (outcome,) = chain.apply(checked)
    assert chain.account(ANNA).balance == anna - outcome.fee_paid
    assert chain.account(BEN).balance == ben


def test_an_aborted_call_pays_its_gas_and_leaves_nothing(chain):
    ben, anna = chain.account(BEN).balance, chain.account(ANNA).balance
    outcome = chain.run(BEN, call("pay_and_refuse", ANNA.address, 60, deposit=100))
    assert_failed(outcome, "contract-aborted")
    assert outcome.reason == "contract-aborted: changed its mind"
    assert outcome.gas_used == GAS
    assert chain.account(BEN).balance == ben - outcome.fee_paid
    assert chain.account(ANNA).balance == anna
    assert chain.account(CONTRACT).balance == 0
    assert contract_storage_key(CONTRACT, b"paid") not in chain.state


def test_a_call_that_runs_out_of_gas_pays_the_limit_and_not_more(chain):
    outcome = chain.run(BEN, call("read", b"key", gas=GAS - 50))
    assert_failed(outcome, "out-of-gas")
    assert outcome.gas_used == GAS - 50


def test_events_are_in_the_outcome(chain):
    outcome = chain.run(BEN, call("announce", "paid", deposit=7))
    assert outcome.events == (Event(CONTRACT, "paid", canonical.encode([7])),)


def test_init_never_runs_again(chain):
    assert_failed(chain.run(BEN, call("init")), "not-owner")
    assert_failed(chain.run(ANNA, call("init")), "not-owner")
    assert chain.state[contract_storage_key(CONTRACT, b"owner")] == ANNA.address


def test_a_contract_that_does_not_exist_fails(chain):
    body = CallContract(sha256(b"nowhere"), "read", b"\x90", 5, GAS_LIMIT)
    outcome = chain.run(BEN, body)
    assert_failed(outcome, "unknown-contract")
    assert outcome.gas_used == 0
    assert chain.account(sha256(b"nowhere")).balance == 0


def test_a_deposit_beyond_the_senders_funds_fails_before_the_code_runs(chain):
    runs = len(chain.executor.calls)
    body = call("read", b"key", deposit=chain.account(BEN).balance)
    assert_failed(chain.run(BEN, body), "insufficient-funds")
    assert len(chain.executor.calls) == runs


def test_a_result_too_large_for_every_node_to_store_fails(chain):
    assert_applied(chain.run(BEN, call("talk", CONTRACT_RESULT_BYTES_MAX - 3)))
    assert_failed(chain.run(BEN, call("talk", CONTRACT_RESULT_BYTES_MAX)), "too-large")


def test_a_worker_that_fails_decides_nothing(chain):
    before = dict(chain.state)
    with pytest.raises(ExecutorError):
        chain.try_block(check(BEN, call("crash")))
    assert chain.state == before


def test_result_and_events_have_a_limit_together(chain):
    events = CONTRACT_OUTPUT_BYTES_MAX - CONTRACT_RESULT_BYTES_MAX
    sizes = [CONTRACT_EVENT_BYTES_MAX - 32 - len("shout")] * (events // CONTRACT_EVENT_BYTES_MAX)
    fitting = CONTRACT_RESULT_BYTES_MAX - 3  # the encoded length of the result takes 3 bytes
    assert_applied(chain.run(BEN, call("shout", sizes, fitting)))
    assert_failed(chain.run(BEN, call("shout", [*sizes, 0], fitting)), "too-large")
