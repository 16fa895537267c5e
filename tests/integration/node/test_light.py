"""A light gateway beside a full one: its device's readings are anchored, and their receipts verify offline."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.app.founding import NetworkOptions, found_network, make_card
from gateway.app.provision import Membership
from gateway.clock import SystemClock
from gateway.ledger_host.peers.addresses import format_peer
from gateway.settings import Home
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import parse_address
from ledger.network.wire import PeerAddress
from ledger.types.genesis import Allocation
from tests.integration.node.conftest import Command, RunningNode, until
from tests.integration.node.test_devices import final_receipt
from tests.support.node import Node, find_free_port

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

SLOT_MS = 200
EPOCH_BLOCKS = 20


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[RunningNode, RunningNode]]:
    folder = tmp_path_factory.mktemp("pair")
    homes = Home(folder / "full"), Home(folder / "light")
    full_card, light_card = (make_card(home, DEFAULT_URI) for home in homes)
    options = NetworkOptions(
        SLOT_MS,
        heartbeat_ms=2 * SLOT_MS,
        allocations=(Allocation(parse_address(light_card.metering), 10**12),),
    )
    genesis = msgspec.structs.replace(
        found_network([full_card], "pair", SystemClock(), options),
        epoch_blocks=EPOCH_BLOCKS,
    )
    port = find_free_port()
    listening = Membership(genesis=genesis, listen=f"127.0.0.1:{port}")
    peer = format_peer(PeerAddress(parse_address(full_card.node), "127.0.0.1", port))
    following = Membership(genesis=genesis, peers=(peer,), role="light")
    with (
        Node(homes[0].path, membership=listening) as full,
        Node(homes[1].path, membership=following) as light,
    ):
        for node in (full, light):
            node.start()
            node.operator(answer_timeout_s=1.0).__exit__(None, None, None)
        yield RunningNode(full), RunningNode(light)


def test_readings_of_a_light_gateway_become_receipts_that_verify_offline(pair, tmp_path: Path):
    full, light = pair
    password = light.add_device("plug")
    light.publish("plug", password, 10, 20, 30)

    receipt, genesis = tmp_path / "receipt.json", tmp_path / "genesis.json"
    final_receipt(light, "plug", 2, receipt)

    genesis.write_bytes(full.home.genesis.read_bytes())
    verified = Command("verify", str(receipt), "--genesis", str(genesis), "--json")
    assert verified.code == 0, verified.out
    assert verified.data["sequence"] == 2
    assert not light.home.chain.exists()


def test_it_answers_as_a_full_one_does_where_proofs_suffice(pair):
    full, light = pair
    height = until(lambda: light.ask("chain", "status")["height"])

    assert light.ask("chain", "block", str(height)) | {"skipped": []} == full.ask(
        "chain", "block", str(height)
    ) | {"skipped": []}
    ours, theirs = (one.ask("chain", "agents")["agents"] for one in (light, full))
    assert [one["node"] for one in ours] == [one["node"] for one in theirs]
    assert light.ask("chain", "params") == full.ask("chain", "params")
    assert light.run("chain", "tx", "ab" * 32).out.strip().endswith("is unknown")
    status = light.ask("status")["chain"]
    assert "light: headers" in status["state"]
    assert status["pruned_height"] == status["height"] >= height


def test_a_payment_from_and_to_a_light_gateway_is_seen_on_both_sides(pair):
    full, light = pair
    wallet = light.ask("wallet", "show")
    full.ask("wallet", "send", wallet["address"], "5")
    until(lambda: light.ask("wallet", "show")["balance"].startswith("5."))
    sent = light.ask("wallet", "send", full.ask("wallet", "show")["address"], "1")
    until(lambda: full.ask("chain", "tx", sent["id"])["status"] == "final")
    until(lambda: light.ask("chain", "tx", sent["id"])["status"] == "final")


def test_it_goes_on_where_its_ledger_was_killed(pair, tmp_path: Path):
    _, light = pair
    light.node.processes["ledger"].kill()
    password = light.add_device("lamp")
    light.publish("lamp", password, 1)
    light.node.start("ledger")
    final_receipt(light, "lamp", 1, tmp_path / "receipt.json")


def test_what_takes_the_whole_chain_is_refused_in_one_line(pair):
    _, light = pair
    address = light.ask("wallet", "show")["address"]
    command = light.run("contract", "query", address, "session")
    assert command.code == 1
    assert "role light): ask a full node" in command.line
    for arguments in (("chain", "checkpoint"), ("chain", "snapshot", "-o", str(light.home.path))):
        command = light.run(*arguments)
        assert command.code == 1
        assert "role light" in command.line
