from hypothesis import given, strategies as st

from gateway.model.observation import StoredReading
from gateway.pipeline.batch import (
    Backlog,
    BatchPolicy,
    anchor_body,
    build_batch,
    is_batch_due,
    proof_for,
    proofs_for,
    take_batchable,
)
from ledger.codec import canonical
from ledger.codec.canonical import Decoder
from ledger.codec.merkle import verify_inclusion
from ledger.types.reading import ClockStatus, Quantity, Reading, ReadingProof
from ledger.types.transaction import Anchor

DEVICE_ID = b"d" * 32
PROFILE = b"p" * 32
OTHER_PROFILE = b"q" * 32
POLICY = BatchPolicy(count_max=4, age_max_ms=10_000)


def stored(sequence: int, profile: bytes = PROFILE, time_ms: int | None = None) -> StoredReading:
    time_ms = 1000 * sequence if time_ms is None else time_ms
    power = (Quantity("power_w", sequence, -1, "W"),)
    reading = Reading(
        DEVICE_ID, sequence, profile, None, time_ms, ClockStatus.SIMULATED, power, bytes(16)
    )
    return StoredReading("meter", reading, canonical.encode(reading))


def run_of(first: int, count: int) -> list[StoredReading]:
    return [stored(sequence) for sequence in range(first, first + count)]


def test_nothing_is_never_due():
    assert not is_batch_due(Backlog(0, 0), POLICY, now_ms=10**15)


def test_a_full_batch_is_due_at_once():
    assert not is_batch_due(Backlog(3, 5000), POLICY, now_ms=5000)
    assert is_batch_due(Backlog(4, 5000), POLICY, now_ms=5000)


def test_a_batch_is_due_when_its_oldest_reading_has_waited_long_enough():
    assert not is_batch_due(Backlog(1, 5000), POLICY, now_ms=14_999)
    assert is_batch_due(Backlog(1, 5000), POLICY, now_ms=15_000)


def test_a_clock_that_was_set_back_does_not_hold_readings_back():
    assert is_batch_due(Backlog(1, 5000), POLICY, now_ms=4_999)


def test_a_batch_takes_one_profile_and_no_more_than_its_maximum():
    mixed = [stored(1), stored(2), stored(3, OTHER_PROFILE), stored(4, PROFILE)]

    assert take_batchable(run_of(7, 9), POLICY) == run_of(7, 4)
    assert take_batchable(mixed, POLICY) == mixed[:2]
    assert take_batchable(mixed[2:], POLICY) == mixed[2:3]
    assert take_batchable([], POLICY) == []


def test_an_anchor_says_what_the_batch_holds():
    readings = [stored(5, time_ms=900), stored(6, time_ms=700), stored(7, time_ms=800)]
    batch = build_batch(DEVICE_ID, PROFILE, readings)

    assert (batch.count, batch.last) == (3, 7)
    assert anchor_body(batch, previous=b"a" * 32) == Anchor(
        device_id=DEVICE_ID,
        profile_hash=PROFILE,
        first=5,
        count=3,
        time_first_ms=700,
        time_last_ms=900,
        root=batch.root,
        previous=b"a" * 32,
    )


@given(first=st.integers(1, 2**40), count=st.integers(1, 70), data=st.data())
def test_every_proof_holds_for_its_reading_and_for_no_other(first: int, count: int, data):
    batch = build_batch(DEVICE_ID, PROFILE, run_of(first, count))
    sequence = data.draw(st.integers(first, batch.last))
    proof = proof_for(batch, sequence)

    assert proof == proofs_for(batch)[sequence - first]
    assert (proof.anchor_first, proof.index) == (first, sequence - first)
    assert verify_inclusion(proof.reading, proof.index, count, proof.path, batch.root)
    assert not verify_inclusion(proof.reading + b"x", proof.index, count, proof.path, batch.root)
    assert not verify_inclusion(proof.reading, proof.index + 1, count, proof.path, batch.root)


def test_a_proof_of_the_largest_batch_fits_its_type():
    batch = build_batch(DEVICE_ID, PROFILE, run_of(1, 1000))
    encoded = canonical.encode(proof_for(batch, 1000))

    assert Decoder(ReadingProof).decode(encoded).reading == batch.leaves[-1]
