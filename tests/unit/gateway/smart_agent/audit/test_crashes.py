"""Power cuts of the audit log by seed: what was synced is there, in order, and the log is whole again."""

import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import EntryKind
from gateway.smart_agent.audit.log import AuditLog
from gateway.smart_agent.audit.segment import HEADER_BYTES, list_segments
from gateway.smart_agent.audit.verify import verify_log
from tests.support.readings import ManualClock

SEEDS = 300


class Disk:
    """Knows how much of each segment is durable, and loses some of the rest."""

    def __init__(self, folder, chance):
        self._folder, self._chance = folder, chance
        self._durable = {}

    def fdatasync(self, descriptor):
        name = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        self._durable[name] = os.fstat(descriptor).st_size

    def lose_power(self):
        """Of each segment's unsynced end some is kept; of the newest it may come back as zeros."""
        segments = list_segments(self._folder)
        for segment in segments:
            data = segment.read_bytes()
            durable = self._durable.get(str(segment), HEADER_BYTES)
            kept = self._chance.randint(durable, len(data))
            is_padded = segment == segments[-1] and self._chance.random() < 0.3
            tail = bytes(self._chance.randrange(300)) if is_padded else b""
            segment.write_bytes(data[:kept] + tail)


def live(folder, clock, chance, disk):
    """Append for a while; return the heads that were told to somebody, each synced first."""
    told = {}
    log = AuditLog(folder, clock, segment_bytes_max=2_000)
    for number in range(chance.randrange(40)):
        is_vote = chance.random() < 0.3
        kind = EntryKind.VOTE if is_vote else EntryKind.TRANSACTION
        log.append(kind, "key", b"%d" % number, is_durable=is_vote)
        if is_vote or chance.random() < 0.1:
            log.sync()
            told[log.head.sequence] = log.head.hash
        clock._monotonic_ns += chance.randrange(400_000_000)
    os.close(log._descriptor)  # no clean end
    disk.lose_power()
    return told


def heads_of(folder):
    heads = {}
    report = verify_log(folder, lambda entry, head: heads.update({entry.sequence: head.hash}))
    assert report.problem == ""
    return heads


def test_what_was_told_survives_every_power_cut(ram_folder, monkeypatch):
    for seed in range(SEEDS):
        chance, clock = random.Random(seed), ManualClock()
        folder = ram_folder / str(seed)
        disk = Disk(folder, chance)
        told: dict[int, bytes] = {}
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", disk.fdatasync)
            for _ in range(4):
                told |= live(folder, clock, chance, disk)
            AuditLog(folder, clock).close()

        assert heads_of(folder).items() >= told.items(), f"seed {seed}"


@pytest.mark.parametrize("seed", range(20))
def test_no_damage_makes_it_fail_otherwise_than_with_one_line(ram_folder, seed):
    chance, folder = random.Random(seed), ram_folder / "audit"
    with AuditLog(folder, ManualClock(), segment_bytes_max=2_000) as log:
        for number in range(60):
            log.append(EntryKind.TRANSACTION, "key", b"%d" % number)
    for _ in range(chance.randrange(1, 6)):
        victim = chance.choice(list_segments(folder))
        data = bytearray(victim.read_bytes())
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
        victim.write_bytes(data)

    assert verify_log(folder).problem
    with suppress(AgentError):
        AuditLog(folder, ManualClock()).close()
