"""Whoever changes the log is found: the first broken entry is named."""

from pathlib import Path

import msgspec
import pytest

from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import (
    EMPTY,
    Broken,
    Entry,
    EntryKind,
    Head,
    Result,
    append_entry,
    read_entry,
)
from gateway.smart_agent.audit.log import AuditLog
from gateway.smart_agent.audit.segment import HEADER_BYTES, Segment, list_segments
from gateway.smart_agent.audit.verify import verify_log
from tests.support.readings import ManualClock


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "audit"


@pytest.fixture
def heads(folder):
    """A log of 30 entries in several segments; the hash of each entry by its number."""
    known = {}
    with AuditLog(folder, ManualClock(), segment_bytes_max=1_000) as log:
        for number in range(30):
            log.append(EntryKind.TRANSACTION, "wallet", b"message %d" % number)
            known[log.head.sequence] = log.head.hash
    assert len(list_segments(folder)) > 3
    return known


def offsets(data):
    """Where each entry of a segment begins."""
    places, offset = [], HEADER_BYTES
    while offset < len(data):
        places.append(offset)
        offset += 2 + int.from_bytes(data[offset : offset + 2], "big") + 32
    return places


def test_a_whole_log_is_whole_and_every_head_is_seen(folder, heads):
    seen = {}
    report = verify_log(folder, lambda entry, head: seen.update({entry.sequence: head.hash}))

    assert report.problem == ""
    assert (report.first, report.head.sequence, report.head.hash) == (1, 30, heads[30])
    assert seen == heads


def test_every_changed_byte_of_an_entry_names_that_entry(folder, heads):
    first, second = list_segments(folder)[:2]
    data = second.read_bytes()
    start, end = offsets(data)[2:4]
    entries_before = len(offsets(first.read_bytes())) + 2

    for at in range(start, end):
        changed = bytearray(data)
        changed[at] ^= 0x40
        second.write_bytes(changed)
        report = verify_log(folder)
        assert report.problem.startswith(f"entry {entries_before + 1} "), at
        assert report.head.sequence == entries_before
    second.write_bytes(data)
    assert verify_log(folder).problem == ""


def rewritten(data, before, change):
    """The segment with its third entry changed and every later hash made to fit."""
    head, chunks = before, []
    for number, read in enumerate(Segment(Path(), before, data).entries()):
        assert not isinstance(read, Broken)
        entry, _, _ = read
        if number == 2:
            entry = change(entry)
        entry = msgspec.structs.replace(entry, previous=head.hash)
        head, chunk = append_entry(head, entry)
        chunks.append(chunk)
    return data[:HEADER_BYTES] + b"".join(chunks)


def test_a_history_written_anew_breaks_at_the_next_segment_or_at_an_anchored_head(folder, heads):
    first, second = list_segments(folder)[:2]
    forged = rewritten(
        first.read_bytes(),
        EMPTY,
        lambda entry: msgspec.structs.replace(entry, time_ms=entry.time_ms + 1),
    )
    count = len(offsets(forged))
    first.write_bytes(forged)

    assert f"entry {count + 1} is missing: segment {second.name}" in verify_log(folder).problem
    for later in list_segments(folder)[1:]:
        later.unlink()
    seen = []
    report = verify_log(folder, lambda _entry, head: seen.append(head.hash))
    assert report.problem == "", "nothing inside can tell"
    assert [number for number in range(1, count + 1) if heads[number] in seen] == [1, 2]


def test_an_entry_that_was_replaced_whole_breaks_the_one_after_it(folder, heads):
    """Its own hash fits again; what followed the true one does not follow it."""
    segment = list_segments(folder)[0]
    data = segment.read_bytes()
    second, third = offsets(data)[1:3]
    read = read_entry(data, second, Head(1, heads[1]))
    assert not isinstance(read, Broken)
    forged = msgspec.structs.replace(read[0], digest=bytes(32))
    _, chunk = append_entry(Head(1, heads[1]), forged)
    segment.write_bytes(data[:second] + chunk + data[third:])

    assert verify_log(folder).problem.startswith("entry 3 does not follow the one before it")


def test_a_missing_segment_is_named(folder, heads):
    segments = list_segments(folder)
    first = len(offsets(segments[0].read_bytes()))
    segments[1].unlink()

    problem = verify_log(folder).problem
    assert problem.startswith(f"entry {first + 1} is missing: segment {segments[2].name}")


def test_entries_swapped_or_repeated_do_not_follow(folder, heads):
    segment = list_segments(folder)[0]
    data = segment.read_bytes()
    one, two, three = offsets(data)[:3]

    segment.write_bytes(data[:one] + data[two:three] + data[one:two] + data[three:])
    assert verify_log(folder).problem.startswith("entry 1 does not follow")
    segment.write_bytes(data[:two] + data[one:])
    assert verify_log(folder).problem.startswith("entry 2 does not follow")


def test_no_bytes_make_reading_fail():
    head, chunk = append_entry(
        EMPTY, Entry(1, 0, EntryKind.VOTE, "", bytes(32), Result.DONE, bytes(32))
    )
    read = read_entry(chunk, 0, EMPTY)
    assert not isinstance(read, Broken)
    assert read[1] == head
    for end in range(len(chunk)):
        assert isinstance(read_entry(chunk[:end], 0, EMPTY), Broken)


def test_without_a_log_the_line_says_so(tmp_path):
    with pytest.raises(AgentError, match="there is no audit log"):
        verify_log(tmp_path / "audit")
