"""Rules of DeployContract."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.crypto import domains
from ledger.crypto.hashing import sha256
from ledger.errors import Rejected
from ledger.state.fees import get_gas_limit
from ledger.state.keys import (
    contract_code_key,
    contract_key,
    contract_manifest_key,
    contract_storage_key,
)
from ledger.types.records import Contract
from ledger.types.transaction import DeployContract
from tests.support.contracts import GAS, PROGRAM
from tests.support.transactions import ANNA, HEIGHT, Chain, assert_applied, assert_failed, check

BODY = DeployContract(
    code=PROGRAM.source, manifest=PROGRAM.manifest, args=b"\x90", gas_limit=10_000
)
CHECK_GAS = 1_000_000 + 4 * len("python")
ADDRESS = domains.contract_address(ANNA.address, 0)


def contract_records(chain: Chain) -> list[bytes]:
    return [key for key in chain.state if key[:1] in (b"x", b"s", b"m", b"v")]


def test_a_contract_is_stored_and_init_has_run():
    chain = Chain(ANNA)
    outcome = chain.run(ANNA, BODY)
    assert_applied(outcome)
    code_hash, manifest_hash = sha256(b"python"), sha256(PROGRAM.manifest.encode())
    stored = canonical.Decoder(Contract).decode(chain.state[contract_key(ADDRESS)])
    assert stored == Contract(ANNA.address, code_hash, manifest_hash, HEIGHT)
    assert chain.state[contract_code_key(code_hash)] == b"python"
    assert chain.state[contract_manifest_key(manifest_hash)] == PROGRAM.manifest.encode()
    assert chain.state[contract_storage_key(ADDRESS, b"owner")] == ANNA.address
    assert outcome.gas_used == CHECK_GAS + GAS


def test_init_runs_as_the_deployer_without_a_deposit():
    chain = Chain(ANNA)
    chain.run(ANNA, BODY)
    (call,) = chain.executor.calls
    assert (call.method, call.owner, call.caller) == ("init", ANNA.address, ANNA.address)
    assert (call.contract, call.deposit, call.is_query) == (ADDRESS, 0, False)
    assert (call.height, call.time_ms, call.gas_limit) == (HEIGHT, HEIGHT * 3_000, 10_000)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "import os"}, "malformed"),
        ({"manifest": "?"}, "malformed"),
        ({"gas_limit": GAS - 1}, "out-of-gas"),
        ({"args": canonical.encode(["refuse"])}, "contract-aborted"),
    ],
)
def test_a_deployment_that_fails_leaves_no_contract(changes, reason):
    chain = Chain(ANNA)
    assert_failed(chain.run(ANNA, msgspec.structs.replace(BODY, **changes)), reason)
    assert contract_records(chain) == []


def test_the_same_code_is_stored_once_for_two_contracts():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, BODY))
    assert_applied(chain.run(ANNA, BODY))
    prefixes = [key[:1] for key in contract_records(chain)]
    assert sorted(prefixes) == [b"m", b"s", b"v", b"v", b"x", b"x"]


def test_a_deployment_pays_for_the_check_of_its_code_even_if_that_fails():
    body = msgspec.structs.replace(BODY, code="é" * 1_000, gas_limit=0)
    checked = check(ANNA, body)
    check_gas = 1_000_000 + 4 * 2_000
    assert get_gas_limit(checked.transaction) == check_gas
    (outcome,) = Chain(ANNA).apply(checked)
    assert_failed(outcome, "malformed")
    assert outcome.gas_used == check_gas
    assert outcome.fee_paid == 1_000 + checked.size + check_gas // 100


def test_a_deployment_that_does_not_offer_the_price_of_its_check_is_not_for_a_block():
    checked = check(ANNA, msgspec.structs.replace(BODY, gas_limit=0), fee=5_000)
    refused = Chain(ANNA).try_block(checked)
    assert isinstance(refused, Rejected)
    assert "fee-too-low" in refused.detail
