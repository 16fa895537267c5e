import errno
import itertools
import os
import resource
from contextlib import contextmanager

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.guard import SignGuard, create_guard_file, read_guard_file
from gateway.smart_agent.guard_record import SLOT_BYTES, StoredRecord, decode_slot, encode_slot
from gateway.smart_agent.judge import FIRST_RECORD, GuardRefusal, SignRecord, VoteRequest, judge
from ledger.crypto.domains import NO_HASH, VoteKind

A, B = b"a" * 32, b"b" * 32


def notarize(slot, block_hash):
    return VoteRequest(VoteKind.NOTARIZE, 0, slot, block_hash)


def finalize(slot, block_hash):
    return VoteRequest(VoteKind.FINALIZE, 0, slot, block_hash)


def nullify(slot):
    return VoteRequest(VoteKind.NULLIFY, 0, slot, NO_HASH)


@pytest.fixture
def path(ram_folder):
    path = ram_folder / "guard"
    create_guard_file(path, FIRST_RECORD)
    return path


@contextmanager
def a_full_disk():
    """Every write to a file fails with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_admitted_vote_is_on_disk_and_survives_reopening(path):
    with SignGuard(path) as guard:
        assert guard.admit(notarize(1, A)) is None
        assert read_guard_file(path).record == SignRecord(0, 1, notarized=A)

    with SignGuard(path) as guard:
        assert guard.admit(notarize(1, B)) is GuardRefusal.OTHER_NOTARIZED
        assert guard.admit(notarize(1, A)) is None
        assert guard.admit(finalize(1, A)) is None
        assert guard.admit(nullify(1)) is GuardRefusal.FINALIZED


def test_a_repeated_vote_and_a_refused_one_write_nothing(path):
    with SignGuard(path) as guard:
        guard.admit(notarize(1, A))
        before = path.read_bytes()

        assert guard.admit(notarize(1, A)) is None
        assert guard.admit(notarize(1, B)) is GuardRefusal.OTHER_NOTARIZED

        assert path.read_bytes() == before


def test_writes_alternate_between_the_slots(path):
    with SignGuard(path) as guard:
        for slot in range(1, 5):
            before = path.read_bytes()
            guard.admit(notarize(slot, A))
            after = path.read_bytes()
            same = [
                before[at : at + SLOT_BYTES] == after[at : at + SLOT_BYTES]
                for at in (0, SLOT_BYTES)
            ]
            assert sorted(same) == [False, True]


HISTORY = [notarize(1, A), finalize(1, A), nullify(2), notarize(2, B), notarize(3, A)]
CONFLICTS = {
    notarize(1, A): [notarize(1, B)],
    finalize(1, A): [finalize(1, B), nullify(1)],
    nullify(2): [finalize(2, A), finalize(2, B)],
    notarize(2, B): [notarize(2, A)],
    notarize(3, A): [notarize(3, B)],
}


@pytest.mark.parametrize("last", range(1, len(HISTORY) + 1))
@pytest.mark.parametrize("torn_at_front", [True, False])
def test_a_write_torn_at_any_byte_leaves_the_old_or_the_new_record(path, last, torn_at_front):
    """The signature of the torn write never left, those before it did: none may be contradicted."""
    with SignGuard(path) as guard:
        for vote in HISTORY[: last - 1]:
            assert guard.admit(vote) is None
        old_record, old = guard.record, path.read_bytes()
        assert guard.admit(HISTORY[last - 1]) is None
        new_record, new = guard.record, path.read_bytes()
    at = 0 if old[:SLOT_BYTES] != new[:SLOT_BYTES] else SLOT_BYTES

    for count in range(SLOT_BYTES + 1):
        cut = at + count
        torn = new[:cut] + old[cut:] if torn_at_front else old[:cut] + new[cut : at + SLOT_BYTES]
        path.write_bytes((torn + old[at + SLOT_BYTES :])[: 2 * SLOT_BYTES])

        record = read_guard_file(path).record
        assert record in (old_record, new_record)
        conflicts = [conflict for vote in HISTORY[: last - 1] for conflict in CONFLICTS[vote]]
        assert all(isinstance(judge(record, vote), GuardRefusal) for vote in conflicts)
        if count % 64 in (0, 1, 63):  # opening the guard syncs the disk: not at every byte
            with SignGuard(path) as guard:
                assert all(guard.admit(vote) for vote in conflicts)


def test_opening_heals_a_damaged_slot(path, caplog):
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)

    with SignGuard(path):
        assert "one slot is damaged" in caplog.text

    raw = path.read_bytes()
    assert decode_slot(raw[:SLOT_BYTES])
    assert decode_slot(raw[SLOT_BYTES:])


def test_a_missing_guard_refuses_and_says_how_to_continue(tmp_path):
    with pytest.raises(
        AgentError, match=r"is missing; nothing is signed.*agent guard set"
    ) as caught:
        SignGuard(tmp_path / "guard")

    assert "\n" not in str(caught.value)
    assert not (tmp_path / "guard").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(1024),
        bytes(1023),
        b"\xff" * 4096,
        encode_slot(StoredRecord(0, FIRST_RECORD)),
        encode_slot(StoredRecord(1, FIRST_RECORD)) + encode_slot(StoredRecord(0, FIRST_RECORD)),
        encode_slot(StoredRecord(4, FIRST_RECORD)) + encode_slot(StoredRecord(9, FIRST_RECORD)),
    ],
    ids=["empty", "zeros", "short", "ones", "half", "swapped", "counters-apart"],
)
def test_a_file_that_our_writes_cannot_leave_refuses_everything(path, content):
    path.write_bytes(content)

    with pytest.raises(AgentError, match="is damaged; nothing is signed"):
        SignGuard(path)
    assert path.read_bytes() == content


def test_a_guard_open_to_others_is_refused(path):
    path.chmod(0o644)

    with pytest.raises(AgentError, match=f"chmod 600 {path}"):
        SignGuard(path)


def test_after_a_failed_write_nothing_is_admitted_until_reopened(path):
    with SignGuard(path) as guard:
        assert guard.admit(notarize(1, A)) is None
        with a_full_disk(), pytest.raises(AgentError, match="cannot write the sign guard"):
            guard.admit(notarize(2, A))

        with pytest.raises(AgentError, match="failed before: restart"):
            guard.admit(notarize(1, A))

    with SignGuard(path) as guard:
        assert guard.admit(notarize(1, B)) is GuardRefusal.OTHER_NOTARIZED
        assert guard.admit(notarize(2, B)) is None


def test_a_vote_whose_record_does_not_reach_the_disk_is_not_admitted(path, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.EIO, "Input/output error")

    with SignGuard(path) as guard:
        with monkeypatch.context() as disk:
            disk.setattr(os, "fdatasync", fail)
            with pytest.raises(AgentError, match="Input/output error"):
                guard.admit(notarize(1, A))

        with pytest.raises(AgentError, match="failed before: restart"):
            guard.admit(notarize(1, A))


def test_what_was_read_is_synced_before_the_first_vote(path, monkeypatch):
    """After a failed sync the page cache may hold a record that the disk does not."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)

    with SignGuard(path) as guard:
        assert len(synced) == 1
        guard.admit(notarize(1, A))
        assert len(synced) == 2
        guard.admit(notarize(1, A))
        assert len(synced) == 2, "a repeat is durable already"


def test_a_guard_that_cannot_be_written_does_not_open(path):
    with a_full_disk(), pytest.raises(AgentError, match="cannot write the sign guard"):
        SignGuard(path)


def test_every_flipped_bit_of_a_slot_is_noticed():
    data = encode_slot(StoredRecord(7, SignRecord(1, 2, A, True, B)))
    assert decode_slot(data) == StoredRecord(7, SignRecord(1, 2, A, True, B))

    for bit in range(8 * SLOT_BYTES):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert decode_slot(bytes(damaged)) is None


PLACES = [(0, 1), (0, 2), (1, 1)]
THREE = [A, B, b"c" * 32]


def test_every_pair_of_record_and_request_through_the_disk(path, monkeypatch):
    """What the pure rule says is what an opened file does, for every record it can hold."""
    monkeypatch.setattr(os, "fdatasync", lambda _descriptor: None)  # thousands of them
    records = [
        SignRecord(epoch, slot, notarized, nullified, finalized)
        for (epoch, slot), notarized, nullified, finalized in itertools.product(
            PLACES, [None, *THREE], [False, True], [None, *THREE]
        )
    ]
    requests = [
        VoteRequest(kind, *place, block_hash)
        for place, kind in itertools.product(PLACES, VoteKind)
        for block_hash in ([NO_HASH] if kind is VoteKind.NULLIFY else THREE)
    ]
    for record in records:
        data = encode_slot(StoredRecord(0, record)) + encode_slot(StoredRecord(1, record))
        for request in requests:
            path.write_bytes(data)
            verdict = judge(record, request)
            with SignGuard(path) as guard:
                refusal = guard.admit(request)
            is_refused = isinstance(verdict, GuardRefusal)
            assert refusal == (verdict if is_refused else None)
            assert read_guard_file(path).record == (record if is_refused else verdict)
    assert len(records) * len(requests) == 96 * 21
