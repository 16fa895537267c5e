"""Rules of Anchor."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.state.keys import anchor_key, device_key
from ledger.types.records import AnchorRecord, Device
from ledger.types.transaction import Anchor, RegisterDevice
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

METERING = Person("metering")
DEVICE, PROFILE = sha256(b"device"), sha256(b"profile")
BODY = Anchor(
    device_id=DEVICE,
    profile_hash=PROFILE,
    first=1,
    count=3,
    time_first_ms=1_000,
    time_last_ms=1_000,
    root=sha256(b"root"),
    previous=NO_HASH,
)
SEQUENCE_MAX = 2**63 - 1


@pytest.fixture
def chain():
    chain = Chain(ANNA, BEN, METERING)
    assert_applied(chain.run(ANNA, register_node(ANNA, Person("votes"), METERING)))
    assert_applied(chain.run(METERING, RegisterDevice(DEVICE, PROFILE)))
    return chain


def read_device(chain: Chain) -> Device:
    return canonical.Decoder(Device).decode(chain.state[device_key(DEVICE)])


def test_an_anchor_is_stored_and_the_device_moves_on(chain):
    outcome = chain.run(METERING, BODY)
    assert_applied(outcome)
    stored = canonical.Decoder(AnchorRecord).decode(chain.state[anchor_key(DEVICE, 1)])
    assert stored == AnchorRecord(BODY.root, 3, HEIGHT, outcome.transaction_id, BODY.profile_hash)
    assert read_device(chain) == Device(METERING.address, PROFILE, 4, outcome.transaction_id)


def test_anchors_chain_from_one_to_the_next(chain):
    first = chain.run(METERING, BODY)
    following = msgspec.structs.replace(BODY, first=4, previous=first.transaction_id)
    assert_applied(chain.run(METERING, following))
    assert read_device(chain).next_sequence == 7


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device_id": sha256(b"another")}, "unknown-device"),
        ({"profile_hash": sha256(b"another")}, "out-of-range"),
        ({"first": 0}, "out-of-sequence"),
        ({"first": 2}, "out-of-sequence"),
        ({"previous": sha256(b"another")}, "out-of-sequence"),
        ({"time_last_ms": 999}, "out-of-range"),
    ],
)
def test_one_wrong_field_fails_and_the_device_stays(chain, changes, reason):
    before = read_device(chain)
    assert_failed(chain.run(METERING, msgspec.structs.replace(BODY, **changes)), reason)
    assert read_device(chain) == before


@pytest.mark.parametrize("sender", [ANNA, BEN])
def test_only_the_metering_key_anchors(chain, sender):
    assert_failed(chain.run(sender, BODY), "not-owner")


def test_the_same_readings_are_not_anchored_twice(chain):
    assert_applied(chain.run(METERING, BODY))
    assert_failed(chain.run(METERING, BODY), "out-of-sequence")


def test_a_device_whose_sequences_are_used_up_anchors_no_more(chain):
    last = Device(METERING.address, PROFILE, SEQUENCE_MAX - 2, NO_HASH)
    chain.state[device_key(DEVICE)] = canonical.encode(last)
    body = msgspec.structs.replace(BODY, first=SEQUENCE_MAX - 2)
    assert_failed(chain.run(METERING, body), "out-of-range")
    assert_applied(chain.run(METERING, msgspec.structs.replace(body, count=2)))
