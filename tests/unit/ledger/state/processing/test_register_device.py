"""Rules of RegisterDevice."""

import pytest

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.state.keys import device_key
from ledger.types.records import Device
from ledger.types.transaction import RegisterDevice
from tests.support.transactions import (
    ANNA,
    BEN,
    Chain,
    Person,
    assert_applied,
    assert_failed,
    register_node,
)

CONSENSUS, METERING = Person("consensus"), Person("metering")
DEVICE, PROFILE = sha256(b"device"), sha256(b"profile")
BODY = RegisterDevice(device_id=DEVICE, profile_hash=PROFILE)


@pytest.fixture
def chain():
    chain = Chain(ANNA, BEN, CONSENSUS, METERING)
    assert_applied(chain.run(ANNA, register_node(ANNA, CONSENSUS, METERING)))
    return chain


def test_a_device_is_registered_and_starts_at_sequence_one(chain):
    assert_applied(chain.run(METERING, BODY))
    stored = canonical.Decoder(Device).decode(chain.state[device_key(DEVICE)])
    assert stored == Device(METERING.address, PROFILE, next_sequence=1, last_anchor=NO_HASH)


@pytest.mark.parametrize("sender", [ANNA, BEN, CONSENSUS], ids=["node id", "stranger", "votes"])
def test_only_a_metering_key_registers_devices(chain, sender):
    assert_failed(chain.run(sender, BODY), "not-owner")
    assert device_key(DEVICE) not in chain.state


def test_its_own_metering_key_changes_the_profile_and_sequences_go_on(chain):
    assert_applied(chain.run(METERING, BODY))
    other_profile = sha256(b"other profile")
    assert_applied(chain.run(METERING, RegisterDevice(DEVICE, other_profile)))
    stored = canonical.Decoder(Device).decode(chain.state[device_key(DEVICE)])
    assert stored == Device(METERING.address, other_profile, next_sequence=1, last_anchor=NO_HASH)


def test_another_nodes_metering_key_cannot_take_a_device(chain):
    other_consensus, other_metering = Person("other consensus"), Person("other metering")
    chain = Chain(ANNA, BEN, CONSENSUS, METERING, other_consensus, other_metering)
    assert_applied(chain.run(ANNA, register_node(ANNA, CONSENSUS, METERING)))
    body = register_node(BEN, other_consensus, other_metering)
    assert_applied(chain.run(BEN, body))
    assert_applied(chain.run(METERING, BODY))
    before = chain.state[device_key(DEVICE)]
    assert_failed(chain.run(other_metering, BODY), "not-owner")
    assert chain.state[device_key(DEVICE)] == before
