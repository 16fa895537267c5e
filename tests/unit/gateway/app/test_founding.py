"""Cards, and the genesis that is made of them."""

import msgspec
import pytest

from gateway.app.founding import (
    FOUNDERS_GENESIS_AMOUNT,
    METERING_GENESIS_AMOUNT,
    NetworkOptions,
    NodeCard,
    found_network,
    make_card,
    read_card,
)
from gateway.app.provision import Membership, initialise
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import load_genesis
from gateway.settings import Home
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import format_address, parse_address
from ledger.crypto.domains import NO_HASH
from ledger.crypto.ed25519 import derive_public_key
from ledger.errors import GenesisError
from ledger.types.genesis_file import format_genesis, parse_genesis
from tests.support.readings import ManualClock


def _card(number: int, **changes: str) -> NodeCard:
    fields = {"onion": f"{number:02x}" * 32}
    for place, name in enumerate(("node", "consensus", "metering", "wallet")):
        fields[name] = format_address(derive_public_key(bytes([number, place]) * 16))
    return msgspec.convert(fields | changes, NodeCard)


def test_a_genesis_of_four_cards_gives_everybody_the_same_and_can_be_read_back():
    cards = [_card(number) for number in range(1, 5)]
    genesis = found_network(cards, "street", ManualClock(), NetworkOptions(slot_ms=500))

    assert [format_address(agent.node) for agent in genesis.agents] == [c.node for c in cards]
    assert [agent.onion.hex() for agent in genesis.agents] == [card.onion for card in cards]
    amounts = {format_address(a.address): a.amount for a in genesis.allocations}
    assert {amounts[card.wallet] for card in cards} == {FOUNDERS_GENESIS_AMOUNT // 4}
    assert {amounts[card.metering] for card in cards} == {METERING_GENESIS_AMOUNT}
    assert parse_genesis(format_genesis(genesis)) == genesis


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"node": "ssp1nonsense"}, "card 2: node"),
        ({"onion": "00"}, "card 2: onion"),
        ({"onion": "zz" * 32}, "card 2: onion"),
        ({"node": _card(1).node}, "same as"),
        ({"wallet": _card(1).wallet}, "same as"),
    ],
)
def test_a_card_that_does_not_fit_gets_one_line(changes, problem):
    with pytest.raises((SettingsError, GenesisError)) as caught:
        found_network([_card(1), _card(2, **changes)], "x", ManualClock(), NetworkOptions())

    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 100])
def test_a_network_has_one_to_99_first_agents(count):
    with pytest.raises(SettingsError, match="1 to 99"):
        found_network([_card(1)] * count, "x", ManualClock(), NetworkOptions())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (b"[" * 5000, "is it a card.json"),
        (b"{}", "missing"),
        (b'{"node": 1}', "node"),
        (b'\xff"', "not JSON"),
        (b'{"node":"a","consensus":"a","metering":"a","wallet":"a","onion":"a","x":1}', "unknown"),
    ],
)
def test_a_file_that_is_no_card_gets_one_line(tmp_path, content, problem):
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_card(path)

    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_home_with_a_card_joins_the_chain_that_was_made_of_it(tmp_path):
    home = Home(tmp_path / "home")
    card = make_card(home, DEFAULT_URI)
    assert make_card(home, DEFAULT_URI) == card == read_card(home.card)
    assert bytes.fromhex(card.onion) != NO_HASH

    genesis = found_network([_card(1), card], "street", ManualClock(), NetworkOptions())
    membership = Membership(genesis=genesis, listen="127.0.0.1:8884", peers=("x@y:1",))
    keys = initialise(home, "cellar", ManualClock(), membership=membership)

    assert keys.node == parse_address(card.node)
    assert load_genesis(home) == genesis
    assert '"127.0.0.1:8884"' in home.settings.read_text()
    with pytest.raises(SettingsError, match="already"):
        make_card(home, DEFAULT_URI)
