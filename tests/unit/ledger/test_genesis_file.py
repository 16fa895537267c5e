"""The genesis file: one text for each genesis, and a helpful line for everything else."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ledger.codec.canonical import encode
from ledger.codec.text import format_address
from ledger.crypto import domains
from ledger.errors import GenesisError
from ledger.params import AMOUNT_MAX
from ledger.types.genesis import Allocation, Genesis
from ledger.types.genesis_file import format_genesis, genesis_chain_id, parse_genesis
from tests.support.ledger_lab import address_of, make_genesis

GENESIS = make_genesis()
Fields = dict[str, Any]


def test_a_written_genesis_reads_back_as_itself():
    assert parse_genesis(format_genesis(GENESIS)) == GENESIS


def test_the_text_has_addresses_and_times_that_people_can_read():
    fields = json.loads(format_genesis(GENESIS))
    assert fields["time"] == "2023-11-14T22:13:20.000Z"
    assert fields["agents"][0]["node"] == format_address(GENESIS.agents[0].node)
    assert fields["allocations"][0] == {
        "address": format_address(address_of("alice")),
        "amount": 10**12,
    }


def test_a_foundation_is_named_by_its_address_or_left_out():
    assert "foundation" not in json.loads(format_genesis(GENESIS))
    founded = msgspec.structs.replace(GENESIS, foundation=address_of("alice"))
    fields = json.loads(format_genesis(founded))
    assert fields["foundation"] == format_address(address_of("alice"))
    assert parse_genesis(format_genesis(founded)) == founded
    assert genesis_chain_id(founded) != genesis_chain_id(GENESIS)
    for wrong in ("ssp1nonsense", format_address(bytes(32)), 7):
        with pytest.raises(GenesisError, match="field foundation: "):
            parse_genesis(json.dumps({**fields, "foundation": wrong}))


def test_layout_and_order_of_fields_do_not_change_the_chain():
    fields = json.loads(format_genesis(GENESIS))
    shuffled = json.dumps(dict(reversed(fields.items())), indent=7)
    assert genesis_chain_id(parse_genesis(shuffled)) == genesis_chain_id(GENESIS)


def test_the_chain_id_is_over_the_canonical_bytes():
    assert genesis_chain_id(GENESIS) == domains.chain_id(encode(GENESIS))


def test_a_time_may_be_milliseconds_and_may_leave_out_fractions():
    fields = json.loads(format_genesis(GENESIS))
    for time in (GENESIS.time_ms, "2023-11-14T22:13:20Z"):
        assert parse_genesis(json.dumps({**fields, "time": time})) == GENESIS


@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=48),
    time_ms=st.integers(0, 2**63 - 1),
    amount=st.integers(0, AMOUNT_MAX),
)
@settings(max_examples=60)
def test_every_genesis_reads_back_as_itself(name: str, time_ms: int, amount: int):
    genesis: Genesis = msgspec.structs.replace(
        GENESIS, name=name, time_ms=time_ms, allocations=(Allocation(address_of("x"), amount),)
    )
    assert parse_genesis(format_genesis(genesis)) == genesis


def edit(change: Callable[[Fields], object]) -> str:
    fields = json.loads(format_genesis(GENESIS))
    change(fields)
    return json.dumps(fields)


def agent(fields: Fields) -> Fields:
    first: Fields = fields["agents"][0]
    return first


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda f: f.pop("name"), "field name: missing: write a name of 1 to 48 characters"),
        (lambda f: f.update(name=""), "field name: out of range: write a name"),
        (lambda f: f.update(name="\ud800"), "field name: has a character that is not Unicode"),
        (lambda f: f.update(nmae="x"), "field 'nmae' is not known: remove it"),
        (
            lambda f: f.update(version=1),
            "field version: 1 is of a chain with other rules than this",
        ),
        (lambda f: f.update(slot_ms="3 s"), "field slot_ms: Expected `int`, got `str`: write"),
        (lambda f: f.update(slot_ms=99), "field slot_ms: out of range: write the block interval"),
        (
            lambda f: f.update(slot_ms=2**64),
            "field slot_ms: out of range: write the block interval",
        ),
        (lambda f: f.update(slot_ms=1e3), "field slot_ms: Expected `int`, got `float`"),
        (lambda f: f.update(heartbeat_ms=500), "field heartbeat_ms: shorter than slot_ms: write"),
        (lambda f: f.update(time="yesterday"), "field time: 'yesterday' is not a UTC time such as"),
        (lambda f: f.update(time="2026-02-30T00:00:00Z"), "field time: '2026-02-30T00:00:00Z' is"),
        (lambda f: f.update(time="1969-12-31T00:00:00Z"), "lies before 1970"),
        (lambda f: f.update(time=-1), "field time: out of range: write a UTC time"),
        (lambda f: f.update(time=2**70), "field time: out of range: write a UTC time"),
        (lambda f: f.update(agents=[]), "field agents: out of range: write a list of 1 to 99"),
        (lambda f: f.update(agents=[7]), "field agents[0]: not a JSON object: write a list"),
        (lambda f: agent(f).pop("node"), "field agents[0].node: missing: write the node's address"),
        (lambda f: agent(f).update(node="ssp1q"), "field agents[0].node: address ssp1q... has 5"),
        (
            lambda f: agent(f).update(metering=format_address(bytes(32))),
            "field agents[0].metering: not a usable Ed25519 public key",
        ),
        (
            lambda f: f["agents"].append(agent(f)),
            "field agents[1].node: the same as agents[0].node",
        ),
        (
            lambda f: f["allocations"].append(f["allocations"][0]),
            "field allocations[4].address: the same as allocations[0].address",
        ),
        (lambda f: f["allocations"][0].update(amount=-1), "field allocations[0].amount: out of"),
        (lambda f: f["allocations"][0].update(amount=1.5), "allocations[0].amount: Expected `int`"),
        (
            lambda f: f["allocations"][0].update(amount=AMOUNT_MAX),
            "field allocations: with bonds and",
        ),
    ],
)
def test_a_wrong_field_is_named_in_one_line(change: Callable[[Fields], object], line: str):
    with pytest.raises(GenesisError) as caught:
        parse_genesis(edit(change))
    message = str(caught.value)
    assert line in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "not JSON at line 1 column 1"),
        ('{"version": 1,\n"name" 2}', "not JSON at line 2 column 8"),
        ("[]", "not one JSON object: write one JSON object with version, name, time"),
        ("null", "not one JSON object"),
        ("NaN", "not one JSON object"),
        ("[" * 100_000, "nest too deep"),
        ('{"version": ' + "9" * 5_000 + "}", "number is too long"),
        ('{"name": "a", "name": "b"}', "field 'name' stands twice"),
        (" " * (1024 * 1024 + 1), "longer than 1048576 characters"),
    ],
)
def test_text_that_is_no_genesis_is_refused_in_one_line(text: str, line: str):
    with pytest.raises(GenesisError) as caught:
        parse_genesis(text)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
