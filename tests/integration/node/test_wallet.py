"""The wallet and measurement records on a running node: offline, limits, history, assets, OCMF."""

import os

import pytest
from pyocmf import OCMF

from gateway.metering.ecdsa import Curve, EcdsaKey
from gateway.metering.ocmf import build_text
from ledger.codec.text import format_address
from tests.integration.node.conftest import Command, RunningNode, until
from tests.support.node import Node

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]

CARLA = format_address(bytes(range(32)))


@pytest.fixture(scope="module")
def owned(tmp_path_factory):
    """A node whose wallet has an owner's passphrase."""
    folder = tmp_path_factory.mktemp("owned")
    phrase = folder / "phrase"
    descriptor = os.open(phrase, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(descriptor, b"the owner's own words")
    os.close(descriptor)
    with Node(folder / "home") as running:
        home = ("--home", str(running.home.path))
        made = Command("wallet", "owner", "--passphrase-file", str(phrase), *home)
        assert made.code == 0, made.err
        running.start()
        running.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        yield RunningNode(running), str(phrase)


def standing(node: RunningNode, name: str) -> str:
    (entry,) = [one for one in node.ask("wallet", "queue", "--all") if one["id"] == name]
    return str(entry["standing"])


def test_payments_signed_offline_are_sent_by_the_gateway(owned):
    node, _ = owned
    node.ask("wallet", "send", CARLA, "1")
    with node.without("ledger"):
        refused = node.run("wallet", "send", CARLA, "2")
        assert refused.code == 1
        names = [
            node.ask("wallet", "send", CARLA, amount, "--offline")["id"] for amount in ("2", "3")
        ]
        gone = node.ask("wallet", "send", CARLA, "4", "--offline")["id"]
        assert node.ask("wallet", "cancel", gone, "--offline")["standing"] == "dropped"
    until(lambda: [standing(node, name) for name in names] == ["final", "final"])
    amounts = [
        entry["amount"]
        for line in node.ask("wallet", "history")
        for entry in line["entries"]
        if entry["id"]
    ]
    assert [a for a in amounts if a] == [-100_000_000, -200_000_000, -300_000_000]
    balance = node.ask("wallet", "history")[-1]["balance"]
    shown = node.ask("wallet", "show")
    assert f"{balance // 10**8}.{balance % 10**8:08d}" == shown["balance"]
    assert shown["waiting"] == 0


def test_the_owner_decides_what_may_be_spent(owned):
    node, phrase = owned
    words = ("--passphrase-file", phrase)
    policy = node.ask("wallet", "policy", "--payment-max", "50", "--approval-above", "10", *words)
    assert (policy["payment_max"], policy["approval_above"]) == ("50.00000000", "10.00000000")
    refused = node.run("wallet", "send", CARLA, "20")
    assert refused.code == 1
    assert "needs its owner's approval" in refused.line
    node.ask("wallet", "send", CARLA, "20", "--approve", *words)
    refused = node.run("wallet", "send", CARLA, "51", "--approve", *words)
    assert refused.code == 1
    assert "over the limit" in refused.line
    node.ask("wallet", "policy", "--payment-max", "none", "--approval-above", "none", *words)


def test_records_of_a_meter_become_ocmf_that_others_verify(owned, tmp_path):
    node, _ = owned
    password = str(node.ask("device", "add", "car", "--profile", "json-energy")["password"])
    node.publish("car", password, 1)
    quantity = ("--quantity", "power_active_total")
    assert node.ask("meter", "record", "car", *quantity)["page"] == 1
    refused = node.run("meter", "export", "car")
    assert refused.code == 1
    assert "energy in Wh or kWh only" in refused.line
    assert node.run("meter", "check", "car").code == 0

    meter_text = tmp_path / "meter.ocmf"
    key = make_foreign_text(meter_text)
    kept = ("--ocmf", str(meter_text), "--ocmf-key", key)
    page = node.ask("meter", "record", "car", *quantity, *kept)
    assert (page["page"], page["has_foreign"]) == (2, True)
    again = tmp_path / "again.ocmf"
    node.ask("meter", "export", "car", "--page", "2", "-o", str(again))
    assert again.read_bytes() == meter_text.read_bytes()
    assert OCMF.from_string(again.read_text()).verify_signature(key)
    meter_text.write_text(meter_text.read_text().replace("1.5", "1.6"))
    refused = node.run("meter", "record", "car", *quantity, *kept)
    assert refused.code == 1
    assert "it is not kept" in refused.line


def make_foreign_text(path) -> str:
    """Write what a calibrated meter would, in a layout of its own; return its public key."""
    maker = EcdsaKey(b"a meter's own secret", Curve.SECP256K1)
    reading = '{"TM":"2026-01-01T00:00:00,000+0000 S","TX":"E","RV":1.5,"RI":"1-0:1.8.0","RU":"kWh","ST":"G"}'
    payload = f'{{ "FV":"1.0", "GS":"7","PG":"T1","IS":false,"RD":[ {reading} ] }}'.encode()
    path.write_text(build_text(payload, maker.sign(payload), Curve.SECP256K1))
    return maker.public_der.hex()


def test_assets_are_listed_with_where_they_are_known_from(owned):
    node, _ = owned
    assets = {(one["kind"], one["name"]): one for one in node.ask("wallet", "assets")}
    data_set = assets["data set", "car"]
    assert data_set["amount"] == "1 readings"
    assert "device " in data_set["provenance"]
