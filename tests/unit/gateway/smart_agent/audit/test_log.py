"""The audit log: chained, rotated, synced as promised, and honest after a power cut."""

import os
import resource
import stat

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.audit import log as log_module
from gateway.smart_agent.audit.entry import EMPTY, EntryKind, Result, VotePlace
from gateway.smart_agent.audit.log import SYNC_INTERVAL_NS, AuditLog, Event
from gateway.smart_agent.audit.segment import HEADER_BYTES, list_segments
from gateway.smart_agent.audit.verify import verify_log
from ledger.crypto.domains import VoteKind
from ledger.crypto.hashing import sha256
from tests.support.readings import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "audit"


def entries_of(folder):
    found = []
    report = verify_log(folder, visit=lambda entry, _head: found.append(entry))
    assert report.problem == ""
    return found


def fill(folder, clock, count, **options):
    with AuditLog(folder, clock, **options) as log:
        for number in range(count):
            log.append(EntryKind.TRANSACTION, "wallet", b"message %d" % number)
        return log.head


def test_an_entry_says_what_was_signed_by_which_key_when_and_how_it_ended(folder, clock):
    with AuditLog(folder, clock) as log:
        assert log.head == EMPTY
        log.append_vote(VotePlace(VoteKind.NULLIFY, 0, 7), "consensus", b"vote", Result.REFUSED)
        clock.time_ms += 5
        log.append_many(
            [
                Event(EntryKind.TRANSACTION, "wallet", b"a", Result.DONE),
                Event(EntryKind.READING_BATCH, "metering", b"b", Result.DONE),
            ]
        )
        head = log.head

    one, two, three = entries_of(folder)
    assert (one.kind, one.purpose, one.result) == (EntryKind.VOTE, "consensus", Result.REFUSED)
    assert one.digest == sha256(b"vote")
    assert [entry.sequence for entry in (one, two, three)] == [1, 2, 3]
    assert two.time_ms == three.time_ms == one.time_ms + 5
    assert verify_log(folder).head == head


def test_the_newest_slots_votes_are_known_when_it_is_opened_again(folder, clock):
    given = [(VoteKind.NOTARIZE, 1, 5), (VoteKind.NOTARIZE, 1, 6), (VoteKind.FINALIZE, 1, 6)]
    with AuditLog(folder, clock) as log:
        for place in given:
            log.append_vote(VotePlace(*place), "consensus", b"vote", Result.DONE)
        log.append_vote(VotePlace(VoteKind.NULLIFY, 1, 7), "consensus", b"x", Result.REFUSED)
        assert log.newest_votes == []

    with AuditLog(folder, clock) as log:
        assert [entry.vote for entry in log.newest_votes] == [VotePlace(*one) for one in given[1:]]


def test_it_goes_on_where_it_stopped_and_is_private(folder, clock):
    first = fill(folder, clock, 3)

    with AuditLog(folder, clock) as log:
        assert log.head == first
        log.append(EntryKind.QUOTE, "wallet", b"quote")

    assert [entry.sequence for entry in entries_of(folder)] == [1, 2, 3, 4]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_segments_follow_each_other_and_the_oldest_make_room(folder, clock, monkeypatch):
    monkeypatch.setattr(log_module, "SEGMENTS_MAX", 3)

    head = fill(folder, clock, 40, segment_bytes_max=1_000)

    assert len(list_segments(folder)) == 3
    report = verify_log(folder)
    assert (report.problem, report.head) == ("", head)
    assert report.first > 1, (
        "what was rotated away is missing, and the report says from where it goes"
    )
    assert head.sequence == 40


def test_a_batch_larger_than_a_segment_is_one_segment(folder, clock):
    events = [Event(EntryKind.TRANSACTION, "wallet", b"%d" % n, Result.DONE) for n in range(20)]
    with AuditLog(folder, clock, segment_bytes_max=500) as log:
        log.append_many(events)
        log.append_many(events)

    assert len(entries_of(folder)) == 40


@pytest.mark.parametrize("cut", range(1, 140, 7))
def test_a_write_that_a_power_cut_tore_is_cut_off_kept_and_told(folder, clock, cut):
    fill(folder, clock, 3)
    [segment] = list_segments(folder)
    whole = segment.read_bytes()
    fill(folder, clock, 1)
    torn = segment.read_bytes()[: len(whole) + cut]
    segment.write_bytes(torn)
    if len(segment.read_bytes()) == len(whole):
        pytest.skip("the entry is shorter")

    with AuditLog(folder, clock) as log:
        assert log.head.sequence in (4, 5)

    entries = entries_of(folder)
    if entries[-1].kind is EntryKind.TORN:
        assert entries[-1].digest == sha256(torn[len(whole) :])
        assert verify_log(folder).torn == 1
        [kept] = folder.glob("torn-*")
        assert kept.read_bytes() == torn[len(whole) :]


def test_zeros_at_the_end_are_a_torn_write_too(folder, clock):
    fill(folder, clock, 2)
    [segment] = list_segments(folder)
    with segment.open("ab") as file:
        file.write(bytes(300))

    with AuditLog(folder, clock) as log:
        log.append(EntryKind.VOTE, "consensus", b"vote")

    kinds = [entry.kind for entry in entries_of(folder)]
    assert kinds[2:] == [EntryKind.TORN, EntryKind.VOTE]


def test_a_vote_is_on_disk_at_once_and_the_rest_within_a_second(folder, clock, monkeypatch):
    synced: list[int] = []
    with AuditLog(folder, clock) as log:
        monkeypatch.setattr(os, "fdatasync", synced.append)
        log.append(EntryKind.VOTE, "consensus", b"vote", is_durable=True)
        assert len(synced) == 1
        log.append(EntryKind.TRANSACTION, "wallet", b"a")
        log.sync_if_due()
        assert len(synced) == 1
        clock._monotonic_ns += SYNC_INTERVAL_NS
        log.sync_if_due()
        log.sync_if_due()
        assert len(synced) == 2
        log.append(EntryKind.TRANSACTION, "wallet", b"b")
        log.sync()
        assert len(synced) == 3


def test_after_a_failed_write_nothing_is_appended_until_reopened(folder, clock):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with AuditLog(folder, clock) as log:
        log.append(EntryKind.TRANSACTION, "wallet", b"a")
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            with pytest.raises(AgentError, match="cannot write the audit log"):
                log.append(EntryKind.TRANSACTION, "wallet", b"b")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        clock._monotonic_ns += SYNC_INTERVAL_NS
        log.sync_if_due()
        with pytest.raises(AgentError, match="failed before: restart"):
            log.append(EntryKind.TRANSACTION, "wallet", b"b")

    assert fill(folder, clock, 1).sequence == 2


def test_a_failed_sync_shuts_the_log(folder, clock, monkeypatch):
    def fail(_descriptor):
        raise OSError(5, "Input/output error")

    with AuditLog(folder, clock) as log:
        with monkeypatch.context() as disk:
            disk.setattr(os, "fdatasync", fail)
            with pytest.raises(AgentError, match="cannot sync the audit log"):
                log.append(EntryKind.VOTE, "consensus", b"vote", is_durable=True)
        clock._monotonic_ns += SYNC_INTERVAL_NS
        log.sync_if_due()  # the disk works again, and would say so of what it lost
        for action in (log.sync, lambda: log.append(EntryKind.TRANSACTION, "wallet", b"a")):
            with pytest.raises(AgentError, match="failed before"):
                action()


def test_a_segment_with_a_damaged_header_is_not_written_to(folder, clock):
    fill(folder, clock, 2)
    [segment] = list_segments(folder)
    data = bytearray(segment.read_bytes())
    data[HEADER_BYTES - 1] ^= 1
    segment.write_bytes(data)

    with pytest.raises(AgentError, match=r"is damaged: move it away"):
        AuditLog(folder, clock)
    assert segment.read_bytes() == bytes(data)
