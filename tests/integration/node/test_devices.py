"""A device from `device add` to a receipt that anybody can verify, while the node runs."""

import pytest

from tests.integration.node.conftest import Command, RunningNode, until

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]


def final_receipt(node: RunningNode, device: str, sequence: int, path) -> Command:
    def write() -> Command | None:
        command = node.run("receipt", device, str(sequence), "-o", str(path))
        if command.code:
            assert "not final on the chain yet" in command.line
        return command if command.code == 0 else None

    return until(write)


def test_an_added_device_publishes_and_its_receipt_verifies(node, tmp_path):
    password = node.add_device("plug")
    node.publish("plug", password, 10, 20, 30)

    newest = node.ask("readings", "plug", "--last", "1")
    assert newest[0]["sequence"] == 3
    assert float(newest[0]["values"]["power_active_total"]) == 30

    receipt, genesis = tmp_path / "receipt.json", tmp_path / "genesis.json"
    final_receipt(node, "plug", 2, receipt)
    genesis.write_bytes(node.home.genesis.read_bytes())
    verified = Command("verify", str(receipt), "--genesis", str(genesis), "--json")
    assert verified.code == 0
    assert verified.data["valid"]
    assert verified.data["sequence"] == 2
    assert float(verified.data["values"]["power_active_total"]) == 20

    text = receipt.read_bytes()
    position = text.index(b'"reading"') + 40
    receipt.write_bytes(text[:position] + bytes([text[position] ^ 1]) + text[position + 1 :])
    forged = Command("verify", str(receipt), "--genesis", str(genesis))
    assert forged.code == 1
    assert forged.out.startswith("NOT VALID")


def test_a_password_stops_working_when_it_is_replaced_or_the_device_removed(node):
    old = node.add_device("lamp")
    node.publish("lamp", old, 1)
    new = node.ask("device", "credential", "lamp")["password"]
    node.publish("lamp", new, 2)
    with pytest.raises(AssertionError, match="is not let in"):
        node.publish("lamp", old, tries=2)

    node.ask("device", "remove", "lamp")
    until(lambda: "lamp" not in node.ask("status")["gateway"]["devices"])
    assert len(node.ask("readings", "lamp")) == 2, "stored readings stay"


def test_a_broken_file_keeps_the_devices_and_is_named_until_it_is_mended(node):
    password = node.add_device("fridge")
    node.publish("fridge", password, 1)
    until(lambda: node.run("status").code == 0)
    good = node.home.devices.read_text()
    node.home.devices.write_text(good + "\n[devices.broken\n")

    status = until(lambda: (s := node.run("status")).code == 1 and s)
    (problem,) = [line for line in status.out.splitlines() if line.startswith("PROBLEM")]
    assert "devices.toml: not valid TOML" in problem
    node.publish("fridge", password, 2)
    refused = node.run("device", "add", "late", "--profile", "json-energy")
    assert (refused.code, "devices.toml" in refused.line) == (1, True)
    doctor = node.run("doctor", "--json")
    assert doctor.code == 1
    found = {one["check"]: one["problem"] for one in doctor.data}
    assert "not valid TOML" in found["devices and profiles"]
    assert "not valid TOML" in found["gateway and ledger"]
    assert found["SmartAgent"] == found["readings store"] == found["genesis"] == ""

    node.home.devices.write_text(good)
    until(lambda: node.run("status").code == 0)
    mended = {one["check"]: one["problem"] for one in node.run("doctor", "--json").data}
    assert {name for name, problem in mended.items() if problem} <= {"clock"}
