"""`wallet`, `contract` and `chain` against a running node."""

import threading

import msgspec
import pytest

from ledger.codec.text import format_address
from tests.integration.node.conftest import Command, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

CARLA = format_address(bytes(range(32)))

TERMS = {
    "provider": CARLA,
    "device": "0x" + "11" * 32,
    "quantity": "energy_import_total",
    "unit": "kWh",
    "gap_max_ms": 3_600_000,
    "clocks": ["synchronised", "unsynchronised"],
    "tariff": {
        "name": "flat",
        "fixed": 7,
        "utc_offset_minutes": 0,
        "zones": [{"name": "all", "from_minute": 0, "to_minute": 1440, "price": 30}],
    },
}


def test_a_payment_is_final_and_seen_on_the_chain(node):
    before = float(node.ask("wallet", "show")["balance"])
    paid = node.ask("wallet", "send", CARLA, "12.5")

    assert before - float(node.ask("wallet", "show")["balance"]) == pytest.approx(
        12.5 + float(paid["fee"])
    )
    found = node.ask("chain", "tx", paid["id"])
    assert (found["status"], found["applied"], found["height"]) == ("final", True, paid["height"])
    assert paid["id"] in node.ask("chain", "block", str(paid["height"]))["transactions"]
    assert node.ask("chain", "status")["height"] >= paid["height"]
    newest = node.ask("chain", "blocks", "--last", "2")
    assert newest[0]["parent_hash"] == newest[1]["hash"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("wallet", "send", CARLA, "92233720368"), "spending-policy: "),
        (("wallet", "send", CARLA, "0"), "nothing to send"),
        (("wallet", "send", CARLA, "lots"), "is not a number of SSP"),
        (("wallet", "send", CARLA[:-1] + "q", "1"), "checksum"),
        (("chain", "block", "999999999"), "there is no block 999999999"),
        (("chain", "block", "9" * 30), "malformed request: height"),
        (("chain", "tx", "zz"), "id: not hexadecimal text"),
        (("contract", "query", CARLA, "terms"), "terms: "),
        (("contract", "call", CARLA, "terms"), "failed: "),
        (("receipt", "nothing", "1"), "no device is named 'nothing'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_line(node, arguments, words):
    command = node.run(*arguments)

    assert (command.code, command.out) == (1, "")
    assert words in command.line


def test_an_unknown_transaction_is_told_with_exit_code_1(node):
    command = node.run("chain", "tx", "ab" * 32)
    assert (command.code, command.out) == (1, f"{'ab' * 32} is unknown\n")


def test_commands_at_the_same_time_do_not_disturb_each_other(node):
    commands: list[Command] = []
    threads = [
        threading.Thread(target=lambda: commands.append(node.run("chain", "status", "--json")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [command.code for command in commands] == [0] * 4, [c.err for c in commands]


def test_a_contract_of_the_library_is_deployed_called_and_asked(node):
    password = node.add_device("meter")
    node.publish("meter", password, 1)
    proof = until(lambda: (p := node.run("receipt", "meter", "1", "--proof")).code == 0 and p)
    assert proof.out.startswith("0x")
    terms = msgspec.json.encode(TERMS).decode()
    deployed = node.ask("contract", "deploy", "settlement", "--args", terms)
    contract = deployed["contract"]
    assert contract.startswith("ssp1")

    told = node.ask("contract", "query", contract, "terms")
    assert told["tariff"]["fixed"] == 7
    assert told["provider"] == "0x" + bytes(range(32)).hex()

    session = '{"session": "day"}'
    opened = node.ask("contract", "call", contract, "open", "--args", session, "--deposit", "0.5")
    assert opened["result"] is None
    state = node.ask("contract", "query", contract, "session", "--args", session)
    assert (state["state"], state["deposit"]) == ("open", 50_000_000)
    again = node.run("contract", "call", contract, "open", "--args", session, "--deposit", "0.5")
    assert (again.code, "is not settled yet" in again.line) == (1, True)

    settled = node.ask("contract", "call", contract, "settle", "--args", session)
    assert settled["result"]["returned"] == 50_000_000
    nothing = node.run("contract", "query", contract, "fly")
    assert (nothing.code, nothing.line.startswith("smartshare: fly: ")) == (1, True)
