"""Rules of RegisterNode."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.state.keys import node_index_key, node_key
from ledger.types.records import Node
from tests.support.transactions import (
    ANNA,
    BEN,
    HEIGHT,
    Chain,
    Person,
    assert_applied,
    assert_failed,
    register_node,
)

CONSENSUS, METERING = Person("consensus"), Person("metering")
X, Y = Person("x"), Person("y")
BODY = register_node(ANNA, CONSENSUS, METERING)
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
    other = register_node(ANNA, X, Y)
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
        register_node(ANNA, CONSENSUS, CONSENSUS),
        register_node(ANNA, ANNA, METERING),
        register_node(ANNA, CONSENSUS, ANNA),
    ],
)
def test_one_key_does_not_serve_two_purposes(body):
    assert_failed(Chain(ANNA).run(ANNA, body), "malformed")


@pytest.mark.parametrize(
    "taken",
    [
        register_node(BEN, CONSENSUS, Y),
        register_node(BEN, Y, METERING),
        register_node(BEN, METERING, CONSENSUS),
        register_node(BEN, ANNA, Y),
    ],
)
def test_a_key_of_another_node_is_refused_and_leaves_nothing_behind(taken):
    chain = Chain(ANNA, BEN)
    assert_applied(chain.run(ANNA, BODY))
    before = {key for key in chain.state if key[:1] in (b"n", b"k")}
    assert_failed(chain.run(BEN, taken), "already-exists")
    assert {key for key in chain.state if key[:1] in (b"n", b"k")} == before


@pytest.mark.parametrize(
    "body",
    [
        register_node(BEN, CONSENSUS, METERING),
        register_node(ANNA, CONSENSUS, METERING, chain_id=bytes(32)),
        msgspec.structs.replace(BODY, consensus_proof=BODY.metering_proof),
        msgspec.structs.replace(BODY, metering_proof=BODY.consensus_proof),
        msgspec.structs.replace(BODY, metering_proof=bytes(64)),
    ],
    ids=["for another node", "on another chain", "consensus", "metering", "zeros"],
)
def test_nobody_registers_keys_without_proof_of_possession(body):
    chain = Chain(ANNA, BEN)
    assert_failed(chain.run(ANNA, body), "bad-signature")
    assert_applied(chain.run(BEN, register_node(BEN, CONSENSUS, METERING)))
