"""Rules of RegisterNode."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.state.keys import node_index_key, node_key
from ledger.types.records import Node
from ledger.types.transaction import RegisterNode
from tests.support.transactions import (
    ANNA,
    BEN,
    HEIGHT,
    Chain,
    Person,
    assert_applied,
    assert_failed,
)

CONSENSUS, METERING = Person("consensus"), Person("metering")
BODY = RegisterNode(consensus=CONSENSUS.address, metering=METERING.address)
SMALL_ORDER_POINT = bytes(32)
NOT_CANONICAL = b"\xff" * 32


def test_a_node_registers_with_its_keys_and_all_are_indexed():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, BODY))
    stored = canonical.Decoder(Node).decode(chain.state[node_key(ANNA.address)])
    assert stored == Node(CONSENSUS.address, METERING.address, HEIGHT)
    for key in (ANNA, CONSENSUS, METERING):
        assert chain.state[node_index_key(key.address)] == ANNA.address


def test_a_node_registers_only_once():
    chain = Chain(ANNA)
    assert_applied(chain.run(ANNA, BODY))
    other = RegisterNode(Person("x").address, Person("y").address)
    assert_failed(chain.run(ANNA, other), "already-exists")


@pytest.mark.parametrize("field", ["consensus", "metering"])
@pytest.mark.parametrize("key", [SMALL_ORDER_POINT, NOT_CANONICAL])
def test_a_key_that_is_no_valid_point_is_refused(field, key):
    chain = Chain(ANNA)
    body = msgspec.structs.replace(BODY, **{field: key})
    assert_failed(chain.run(ANNA, body), "malformed")
    assert node_key(ANNA.address) not in chain.state


@pytest.mark.parametrize(
    "body",
    [
        RegisterNode(CONSENSUS.address, CONSENSUS.address),
        RegisterNode(ANNA.address, METERING.address),
        RegisterNode(CONSENSUS.address, ANNA.address),
    ],
)
def test_one_key_does_not_serve_two_purposes(body):
    assert_failed(Chain(ANNA).run(ANNA, body), "malformed")


@pytest.mark.parametrize(
    "taken",
    [
        RegisterNode(CONSENSUS.address, Person("y").address),
        RegisterNode(Person("y").address, METERING.address),
        RegisterNode(METERING.address, CONSENSUS.address),
        RegisterNode(ANNA.address, Person("y").address),
    ],
)
def test_a_key_of_another_node_is_refused_and_leaves_nothing_behind(taken):
    chain = Chain(ANNA, BEN)
    assert_applied(chain.run(ANNA, BODY))
    before = {key for key in chain.state if key[:1] in (b"n", b"k")}
    assert_failed(chain.run(BEN, taken), "already-exists")
    assert {key for key in chain.state if key[:1] in (b"n", b"k")} == before
