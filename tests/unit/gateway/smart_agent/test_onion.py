"""The hash onion: every layer is the preimage of the one around it, and nobody gets a deeper one early."""

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.messages import Refused, RefusedReason
from gateway.smart_agent.onion import CHECKPOINT_LAYERS, LAYERS, Onion
from gateway.smart_agent.onion_desk import BURST, OnionDesk
from ledger.crypto.hashing import hkdf, sha256
from tests.support.readings import ManualClock

SECRET = b"s" * 32
SMALL = 2_500  # layers: two and a half checkpoints


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def desk(tmp_path, clock):
    return make_desk(tmp_path, clock)


def make_desk(folder, clock):
    return OnionDesk(folder / "onion.json", lambda: SECRET, 3_000, clock, SMALL)


def layers_of(generation):
    value = hkdf(SECRET, f"ssp/onion/{generation}")
    values = [value]
    for _ in range(SMALL):
        value = sha256(value)
        values.append(value)
    return values


def test_every_layer_is_found_by_its_value():
    onion, values = Onion(SECRET, 1, SMALL), layers_of(1)

    assert onion.commitment() == values[-1]
    depths = {*range(0, SMALL, 97), 1, 999, 1_000, 1_001, SMALL - 1, SMALL}
    assert all(onion.depth_of(values[depth]) == depth for depth in depths)
    assert all(onion.layer(depth) == values[depth] for depth in depths - {SMALL})


@pytest.mark.parametrize("value", [bytes(32), sha256(b"x"), layers_of(2)[7]])
def test_what_is_no_layer_is_none(value):
    assert Onion(SECRET, 1, SMALL).depth_of(value) is None


def test_the_hash_of_the_commitment_is_no_layer():
    onion = Onion(SECRET, 1, SMALL)
    assert onion.depth_of(sha256(onion.commitment())) is None


def test_making_it_goes_in_chunks():
    onion, chunks = Onion(SECRET, 1, SMALL), 0
    while onion.make_some():
        chunks += 1

    assert chunks == 3
    assert onion.commitment() == layers_of(1)[-1]


@pytest.mark.slow
def test_an_onion_of_full_size_ends_where_it_says():
    onion = Onion(SECRET, 1)
    commitment = onion.commitment()

    outermost = onion.layer(LAYERS - 1)
    assert sha256(outermost) == commitment
    assert onion.depth_of(outermost) == LAYERS - 1
    assert len(onion._checkpoints) == -(-LAYERS // CHECKPOINT_LAYERS) == 1_049


def test_the_chain_of_reveals_leads_from_the_commitment_inwards(desk, clock):
    value = desk.commit(1)
    for _ in range(100):
        clock._monotonic_ns += 3_000_000_000
        layer = desk.reveal(value)
        assert sha256(layer) == value
        value = layer


def test_the_same_layer_is_given_again_but_never_one_further_in(desk):
    commitment = desk.commit(1)

    first = desk.reveal(commitment)

    assert all(desk.reveal(commitment) == first for _ in range(1_000))
    values = layers_of(1)
    assert first == values[-2]


def test_walking_inwards_is_no_faster_than_the_blocks(desk, clock):
    value, opened = desk.commit(1), 0
    while not isinstance(layer := desk.reveal(value), Refused):
        value, opened = layer, opened + 1
    assert opened == BURST
    assert layer.reason is RefusedReason.RATE_LIMIT

    clock._monotonic_ns += 3_000_000_000
    assert sha256(desk.reveal(value)) == value
    assert desk.reveal(desk.reveal(value)).reason is RefusedReason.RATE_LIMIT


def test_a_strangers_value_opens_nothing(desk):
    desk.commit(1)

    for value in (bytes(32), sha256(b"x"), layers_of(1)[0]):
        assert desk.reveal(value).reason is RefusedReason.NOT_ALLOWED


def test_nothing_is_revealed_before_a_commitment(desk):
    assert desk.reveal(layers_of(1)[-1]).reason is RefusedReason.NOT_ALLOWED
    assert not desk.make_some()


def test_onions_are_made_one_after_the_other_and_the_last_two_open(desk, tmp_path, clock):
    assert desk.commit(2).reason is RefusedReason.NOT_ALLOWED
    commitments = [desk.commit(number) for number in (1, 2, 3)]
    assert len(set(commitments)) == 3

    again = make_desk(tmp_path, clock)
    assert isinstance(again.reveal(commitments[0]), Refused)
    assert sha256(again.reveal(commitments[1])) == commitments[1]
    assert sha256(again.reveal(commitments[2])) == commitments[2]
    assert again.commit(5).detail == "the next order commitment is number 4"


def test_an_onion_is_committed_to_again_only_until_a_layer_of_it_is_known(desk, tmp_path, clock):
    commitment = desk.commit(1)
    assert desk.commit(1) == commitment
    desk.reveal(commitment)

    for one in (desk, make_desk(tmp_path, clock)):
        refused = one.commit(1)
        assert isinstance(refused, Refused)
        assert refused.detail.endswith(
            "was used already, and its values are known: commit to number 2"
        )
        assert isinstance(one.commit(2), bytes)


def test_a_used_up_onion_says_so(desk):
    desk.commit(1)
    refused = desk.reveal(layers_of(1)[0])
    assert "used up" in refused.detail


def test_a_damaged_number_is_one_line(desk, tmp_path, clock):
    desk.commit(1)
    (tmp_path / "onion.json").write_text("{}")

    with pytest.raises(AgentError, match="is damaged"):
        make_desk(tmp_path, clock)
