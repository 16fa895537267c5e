"""What a contract may see and do, and every reason for which it may not."""

import msgspec
import pytest

from ledger.codec import canonical
from ledger.codec.merkle import audit_paths, merkle_root
from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.params import (
    AMOUNT_MAX,
    CONTRACT_EVENT_BYTES_MAX,
    CONTRACT_EVENTS_MAX,
    CONTRACT_KEY_BYTES_MAX,
    CONTRACT_OUTPUT_BYTES_MAX,
    CONTRACT_STATE_CHANGE_BYTES_MAX,
    CONTRACT_VALUE_BYTES_MAX,
)
from ledger.ports import ContractHost, HostRefusedError
from ledger.state.accounts import get_account, put_account
from ledger.state.contract_host import EVENT_NAME_LENGTH_MAX, OverlayHost
from ledger.state.keys import anchor_key, contract_storage_key, device_key
from ledger.state.overlay import Overlay
from ledger.types.outcome import Event
from ledger.types.reading import ClockStatus, Quantity, Reading, ReadingProof
from ledger.types.records import Account, AnchorRecord, Device

CONTRACT, OTHER, PAYEE = sha256(b"contract"), sha256(b"other contract"), sha256(b"payee")


@pytest.fixture
def state():
    state = Overlay({})
    put_account(state, CONTRACT, Account(balance=100))
    return state


@pytest.fixture
def host(state):
    return OverlayHost(state, CONTRACT)


def test_it_is_the_host_that_executors_expect(host):
    expected: ContractHost = host
    assert expected.balance() == 100


def test_a_contract_reads_and_writes_only_its_own_storage(host, state):
    state.put(contract_storage_key(OTHER, b"key"), b"secret")
    assert host.load(b"key") is None
    host.store(b"key", b"value")
    assert host.load(b"key") == b"value"
    assert state.get(contract_storage_key(OTHER, b"key")) == b"secret"
    host.store(b"key", None)
    assert host.load(b"key") is None


@pytest.mark.parametrize("length", [0, CONTRACT_KEY_BYTES_MAX + 1])
def test_a_storage_key_has_a_limited_length(host, length):
    with pytest.raises(HostRefusedError, match="storage key"):
        host.load(b"k" * length)
    with pytest.raises(HostRefusedError, match="storage key"):
        host.store(b"k" * length, b"")
    host.store(b"k" * CONTRACT_KEY_BYTES_MAX, b"")


def test_a_value_has_a_limited_size(host):
    host.store(b"k", bytes(CONTRACT_VALUE_BYTES_MAX))
    with pytest.raises(HostRefusedError, match="value"):
        host.store(b"k", bytes(CONTRACT_VALUE_BYTES_MAX + 1))


def test_a_call_changes_a_limited_number_of_bytes_and_one_key_counts_once(host):
    count = CONTRACT_STATE_CHANGE_BYTES_MAX // CONTRACT_VALUE_BYTES_MAX
    for _ in range(2):
        for number in range(count):
            host.store(b"%d" % number, bytes(CONTRACT_VALUE_BYTES_MAX - 1))
    left = CONTRACT_STATE_CHANGE_BYTES_MAX - count * CONTRACT_VALUE_BYTES_MAX
    with pytest.raises(HostRefusedError, match="bytes of state"):
        host.store(b"last", bytes(left - 3))
    host.store(b"last", bytes(left - 4))
    with pytest.raises(HostRefusedError, match="bytes of state"):
        host.store(b"x", None)


def test_a_refused_store_changes_nothing(host):
    host.store(b"k", b"before")
    with pytest.raises(HostRefusedError):
        host.store(b"k", bytes(CONTRACT_VALUE_BYTES_MAX + 1))
    assert host.load(b"k") == b"before"


def test_a_contract_pays_from_its_own_account(host, state):
    host.pay(PAYEE, 60)
    assert (host.balance(), get_account(state, PAYEE).balance) == (40, 60)
    host.pay(CONTRACT, 40)
    assert host.balance() == 40


@pytest.mark.parametrize(
    ("to", "amount", "message"),
    [
        (PAYEE, 101, "holds 100"),
        (PAYEE, -1, "outside"),
        (PAYEE, AMOUNT_MAX + 1, "outside"),
        (PAYEE[:31], 1, "32 bytes"),
        (PAYEE + b"\x00", 1, "32 bytes"),
    ],
)
def test_a_payment_that_cannot_be_is_refused(host, state, to, amount, message):
    with pytest.raises(HostRefusedError, match=message):
        host.pay(to, amount)
    assert (host.balance(), get_account(state, PAYEE).balance) == (100, 0)


def test_events_are_kept_in_order_up_to_a_limit(host):
    for number in range(CONTRACT_EVENTS_MAX):
        host.emit("tick", canonical.encode(number))
    assert host.events[:2] == (Event(CONTRACT, "tick", b"\x00"), Event(CONTRACT, "tick", b"\x01"))
    with pytest.raises(HostRefusedError, match="events"):
        host.emit("tick", b"\x00")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("", 1),
        ("a" * (EVENT_NAME_LENGTH_MAX + 1), 1),
        ("two\nlines", 1),
        ("tick", CONTRACT_EVENT_BYTES_MAX + 1),
    ],
)
def test_an_event_has_a_plain_name_and_a_limited_size(host, name, size):
    with pytest.raises(HostRefusedError):
        host.emit(name, bytes(size))
    assert host.events == ()


def test_a_query_changes_nothing(state):
    host = OverlayHost(state, CONTRACT, is_query=True)
    before = dict(state.writes)
    for change in (
        lambda: host.store(b"k", b"v"),
        lambda: host.pay(PAYEE, 1),
        lambda: host.emit("tick", b"\x00"),
    ):
        with pytest.raises(HostRefusedError, match="a query"):
            change()
    assert state.writes == before
    assert (host.load(b"k"), host.balance()) == (None, 100)


DEVICE, PROFILE = sha256(b"device"), sha256(b"profile")
FIRST = 11


def reading(sequence: int, **changes: object) -> Reading:
    usual = Reading(
        device_id=DEVICE,
        sequence=sequence,
        profile_hash=PROFILE,
        source_time_ms=None,
        gateway_time_ms=1_000 + sequence,
        clock=ClockStatus.SYNCHRONISED,
        quantities=(Quantity("energy", 5 * sequence, 0, "Wh"),),
        salt=sha256(b"%d" % sequence)[:16],
    )
    return msgspec.structs.replace(usual, **changes)


LEAVES = [canonical.encode(reading(FIRST + index)) for index in range(5)]
PATHS = audit_paths(LEAVES)


def proof(of: int, /, **changes: object) -> ReadingProof:
    usual = ReadingProof(LEAVES[of], anchor_first=FIRST, index=of, path=PATHS[of])
    return msgspec.structs.replace(usual, **changes)


@pytest.fixture
def anchored(state, host):
    record = AnchorRecord(merkle_root(LEAVES), len(LEAVES), 1, sha256(b"transaction"), PROFILE)
    state.put(anchor_key(DEVICE, FIRST), canonical.encode(record))
    device = Device(sha256(b"meters"), PROFILE, FIRST + len(LEAVES), NO_HASH)
    state.put(device_key(DEVICE), canonical.encode(device))
    return host


@pytest.mark.parametrize("index", range(5))
def test_an_anchored_reading_is_returned(anchored, index):
    assert anchored.anchored_reading(canonical.encode(proof(index))) == reading(FIRST + index)


def test_any_flipped_byte_of_a_reading_proof_is_refused(anchored):
    data = canonical.encode(proof(2))
    for position in range(len(data)):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(HostRefusedError):
            anchored.anchored_reading(changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reading": b"\xc0"}, "^the reading proof is not canonical$"),
        ({"reading": LEAVES[2] + b"\x00"}, "^the reading proof is not canonical$"),
        ({"anchor_first": FIRST + 1}, "no anchor"),
        ({"index": 3}, "does not stand at that index"),
        ({"index": 5}, "index 5"),
        ({"reading": LEAVES[3]}, "does not stand at that index"),
        ({"path": PATHS[3]}, "Merkle tree"),
        ({"path": PATHS[2][:-1]}, "Merkle tree"),
        ({"path": (*PATHS[2], NO_HASH)}, "Merkle tree"),
        ({"reading": canonical.encode(reading(FIRST + 2, gateway_time_ms=0))}, "Merkle tree"),
        ({"reading": canonical.encode(reading(FIRST + 2, device_id=PAYEE))}, "no anchor"),
        ({"reading": canonical.encode(reading(FIRST + 2, profile_hash=PAYEE))}, "profile"),
    ],
)
def test_one_wrong_part_of_a_reading_proof_is_refused(anchored, changes, message):
    with pytest.raises(HostRefusedError, match=message) as refusal:
        anchored.anchored_reading(canonical.encode(proof(2, **changes)))
    assert "\n" not in str(refusal.value)


def test_an_oversized_proof_is_refused_before_it_is_decoded(anchored):
    with pytest.raises(HostRefusedError, match="at most"):
        anchored.anchored_reading(bytes(100_000))


def test_a_reading_anchored_before_its_device_changed_the_profile_still_counts(anchored, state):
    device = Device(sha256(b"meters"), sha256(b"new profile"), FIRST + len(LEAVES), NO_HASH)
    state.put(device_key(DEVICE), canonical.encode(device))
    assert anchored.anchored_reading(canonical.encode(proof(2))) == reading(FIRST + 2)


def test_the_events_of_a_call_have_a_limit_together(host):
    data = bytes(CONTRACT_EVENT_BYTES_MAX)
    size = len(data) + len("e") + 32
    for _ in range(CONTRACT_OUTPUT_BYTES_MAX // size):
        host.emit("e", data)
    with pytest.raises(HostRefusedError, match="bytes in all"):
        host.emit("e", data)
    assert host.event_bytes == sum(32 + 1 + len(event.data) for event in host.events)
