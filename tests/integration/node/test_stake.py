"""Holders and agents on the command line of a running node."""

import json
from typing import Any

import pytest

from gateway.cli.main import main
from ledger.codec.text import format_address
from tests.support.node import Node

pytestmark = pytest.mark.integration


def smartshare(node: Node, capsys, *arguments: str) -> Any:
    capsys.readouterr()
    code = main(["chain", *arguments, "--home", str(node.home.path), "--json"])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return json.loads(captured.out)


def refuse(node: Node, capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["chain", *arguments, "--home", str(node.home.path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    return str(line)


def test_votes_stake_and_proposals_on_the_command_line(tmp_path, capsys):
    with Node(tmp_path / "home") as node:
        node.start()
        with node.operator():
            pass
        own = format_address(node.keys.node)
        (agent,) = smartshare(node, capsys, "agents")["agents"]
        assert (agent["node"], agent["standing"]) == (node.keys.node.hex(), "seated")
        smartshare(node, capsys, "vote", own)
        smartshare(node, capsys, "delegate", own, "250")
        stake = smartshare(node, capsys, "stake")
        assert stake["stake"] == 250 * 10**8
        assert stake["choices"] == [node.keys.node.hex()]
        smartshare(node, capsys, "propose", "shorter epochs", "epoch_blocks=900", "--at", "100000")
        (proposal,) = smartshare(node, capsys, "proposals")["proposals"]
        smartshare(node, capsys, "ballot", proposal["id"], "yes")
        (proposal,) = smartshare(node, capsys, "proposals")["proposals"]
        assert proposal["yes"] == 250 * 10**8
        smartshare(node, capsys, "undelegate", own, "50")
        stake = smartshare(node, capsys, "stake")
        assert [amount for _, amount in stake["unbonding"]] == [50 * 10**8]
        assert agent["has_onion"], "committed to by the genesis"
        smartshare(node, capsys, "recommit")
        assert "counts from epoch 2 on" in refuse(node, capsys, "recommit", "--generation", "3")
        parameters = smartshare(node, capsys, "params")["parameters"]
        assert {"epoch_blocks", "block_reward"} <= {one["name"] for one in parameters}
        assert "stands for election already" in refuse(node, capsys, "stand", "2000")
        assert "not in jail: seated" in refuse(node, capsys, "unjail")
        stranger = format_address(node.keys.wallet)
        for arguments in (("vote", own, stranger), ("delegate", stranger, "5")):
            assert f"{stranger} does not stand" in refuse(node, capsys, *arguments)
        earned = smartshare(node, capsys, "collect")
        assert earned["height"] > 0
        file = tmp_path / "proof.json"
        prove = ("proof", "account", format_address(node.keys.wallet), "-o", str(file))
        assert main(["chain", *prove, "--home", str(node.home.path)]) == 0
        genesis = str(node.home.genesis)
        assert main(["chain", "verify-proof", str(file), "--genesis", genesis]) == 0
        file.write_text(file.read_text().replace("a", "b", 1))
        assert main(["chain", "verify-proof", str(file), "--genesis", genesis]) == 1
        blocks = smartshare(node, capsys, "blocks")
        assert all(block["skipped"] == [] for block in blocks)
