"""Grants, the lease, a copied card and retirement: real processes, real keys."""

import os
import shutil

import pytest

from gateway.settings import Home
from ledger.types.genesis_file import format_genesis, parse_genesis
from tests.integration.node.conftest import Command, RunningNode, until
from tests.support.node import Node

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(180)]


class Issuer:
    """A sealed key in a folder, with the options that name it."""

    def __init__(self, folder, name: str) -> None:
        self.path = folder / f"{name}.key"
        self.phrase = folder / f"{name}.phrase"
        descriptor = os.open(self.phrase, os.O_WRONLY | os.O_CREAT, 0o600)
        os.write(descriptor, b"a passphrase of some length")
        os.close(descriptor)
        made = Command("grant", "new-key", *self.options, "--json")
        assert made.code == 0, made.err
        self.address: str = made.data["address"]

    @property
    def options(self) -> tuple[str, ...]:
        return ("--key", str(self.path), "--passphrase-file", str(self.phrase))


def issue(issuer: Issuer, home: Home, level: str, subject: str, target) -> None:
    made = Command(
        *("grant", "issue", level, subject, *issuer.options, "--genesis", str(home.genesis)),
        *("--role", "agent", "--model", "gw-1", "--days", "30", "-o", str(target)),
    )
    assert made.code == 0, made.err


def test_grants_are_installed_revoked_appealed_and_reinstated(tmp_path):
    foundation, maker = Issuer(tmp_path, "foundation"), Issuer(tmp_path, "maker")
    with Node(tmp_path / "home", foundation=foundation.address) as running:
        running.start()
        running.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        node = RunningNode(running)
        own = until(lambda: node.ask("identity", "show"))["node"]
        for name in (foundation.address, maker.address):
            node.ask("wallet", "send", name, "1")
        # A manufacturer for a month, and a unit within it.
        manufacturer, unit = tmp_path / "maker.grant", tmp_path / "unit.grant"
        issue(foundation, node.home, "manufacturer", maker.address, manufacturer)
        made = Command(
            *("grant", "issue", "unit", own, *maker.options),
            *("--genesis", str(node.home.genesis), "--role", "agent", "--model", "gw-1"),
            *("--days", "1", "-o", str(unit)),
        )
        assert made.code == 0, made.err

        installed = node.ask("grant", "install", str(manufacturer), str(unit))
        assert (installed["model"], installed["manufacturer"]) == ("gw-1", maker.address)
        refused = node.run("grant", "install", str(unit), str(manufacturer))
        assert refused.code == 1
        assert "malformed" in refused.line

        reason = ("--cause", "device-stolen", "--note", "stolen in May")
        node.ask("grant", "revoke", str(manufacturer), *foundation.options, *reason)
        assert node.ask("grant", "status", str(manufacturer))["state"] == "revoked"
        node.ask("grant", "appeal", str(manufacturer), "found again", *maker.options)
        decision = ("--reinstate", "--note", "heard")
        node.ask("grant", "decide", str(manufacturer), *foundation.options, *decision)
        status = node.ask("grant", "status", str(manufacturer))
        assert (status["state"], status["statement"]) == ("reinstated", "found again")

        node.ask("grant", "revoke", str(unit), *maker.options, "--cause", "defect")
        node.ask("grant", "appeal", str(unit), "recalibrated")  # by the node's own key
        assert node.ask("grant", "status", str(unit))["state"] == "appealed"

        measurement = Command("software", "measure", "--json").data["measurement"]
        assert node.ask("identity", "show")["software_listed"] == "no"
        node.ask("software", "list", measurement, "--label", "0.1.0", *foundation.options)
        assert node.ask("identity", "show")["software_listed"] == "0.1.0"


def test_a_copied_home_finds_the_lease_taken_and_a_retired_node_is_over(tmp_path):
    with Node(tmp_path / "home") as first:
        first.start()
        first.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        node = RunningNode(first)
        shown = until(lambda: held(node))
        assert shown["lease_instance"] == shown["instance"]
        password = node.add_device("plug")
        node.publish("plug", password, 1, 2)
        until(lambda: node.ask("status")["gateway"]["anchored"] >= 2)
    instance = shown["instance"]

    shutil.copytree(tmp_path / "home", tmp_path / "copy", symlinks=True)
    with Node.of_home(tmp_path / "copy", first.port) as copied:
        copied.start()
        copied.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        clone = RunningNode(copied)
        until(lambda: "holds this node's identity" in problems_of(clone))
        assert instance[:16] in problems_of(clone)
        clone.publish("plug", password, 3)
        refused = clone.run("wallet", "send", shown["owner"], "1")
        assert refused.code == 1
        assert "identity-not-held" in refused.line
        assert clone.run("status", "--json").data["gateway"]["anchored"] == 0

    with first:
        first.start()
        first.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        assert until(lambda: held(node))["instance"] == instance, "a restart goes on"
        refused = node.run("identity", "retire", shown["node"])
        assert refused.code == 1
        assert "--for-ever" in refused.line
        node.ask("identity", "retire", shown["node"], "--for-ever")
        until(lambda: "was retired" in problems_of(node))
        node.publish("plug", password, 4)
        node.ask("wallet", "send", shown["owner"], "1")


def problems_of(node: RunningNode) -> str:
    return str(node.run("status", "--json").data["gateway"]["problems"])


def held(node: RunningNode) -> dict[str, str] | None:
    shown = node.ask("identity", "show")
    return shown if shown["instance_standing"] == "held" and shown["owner"] else None


def test_the_genesis_file_names_the_foundation(tmp_path):
    foundation = Issuer(tmp_path, "foundation")
    home = Home(tmp_path / "home")
    made = Command(
        *("init", "--new-network", "--home", str(home.path)),
        *("--foundation", foundation.address),
    )
    assert made.code == 0, made.err
    text = home.genesis.read_text()
    genesis = parse_genesis(text)
    assert genesis.foundation is not None
    assert format_genesis(genesis) == text
