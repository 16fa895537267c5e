"""The simulated disk: power cuts leave what a real one would leave."""

import pytest

from gateway.lab.disk import Disk, PowerCut
from gateway.smart_agent.judge import FIRST_RECORD, SignRecord
from ledger.consensus.certificate import build_certificate
from ledger.consensus.epoch import Tip
from ledger.crypto.domains import NO_HASH, VoteKind
from ledger.types.block import Certificate, Vote

SKIP = Vote(VoteKind.NULLIFY, 0, 1, NO_HASH, 0, bytes(64))


@pytest.fixture
def disk() -> Disk:
    return Disk(Tip(0, 0, NO_HASH, 0))


def certificate() -> Certificate:
    return build_certificate([SKIP])


def test_a_cut_before_a_write_leaves_nothing_of_it(disk: Disk):
    disk.cut_at, disk.cut_before = 1, True
    with pytest.raises(PowerCut):
        disk.write_certificate(certificate())
    assert disk.certificates == []


def test_a_cut_after_a_write_leaves_all_of_it(disk: Disk):
    disk.cut_at = 1
    with pytest.raises(PowerCut):
        disk.write_certificate(certificate())
    assert disk.certificates == [certificate()]
    disk.write_certificate(certificate())


def test_a_torn_guard_slot_leaves_the_record_before(disk: Disk):
    first, second = SignRecord(0, 1, nullified=True), SignRecord(0, 2, nullified=True)
    assert disk.guard_record == FIRST_RECORD
    disk.write_guard(first)
    disk.cut_at, disk.cut_before = 2, True
    with pytest.raises(PowerCut):
        disk.write_guard(second)
    assert disk.guard_record == first
    disk.write_guard(second)
    assert disk.guard_record == second
