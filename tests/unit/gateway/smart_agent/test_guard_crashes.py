"""Power cuts at every system call of the guard, by the thousand: no two released votes ever conflict.

`SMARTSHARE_GUARD_SCHEDULES` sets how many random schedules run (default 10,000: some ten seconds).
"""

import os
import random
from contextlib import suppress

import pytest

from gateway.errors import AgentError
from gateway.smart_agent.guard import SignGuard, create_guard_file
from gateway.smart_agent.judge import FIRST_RECORD, SignRecord, VoteRequest
from ledger.crypto.domains import NO_HASH, VoteKind
from tests.support.crashing_disk import CrashingDisk, PowerCut

SCHEDULES = int(os.environ.get("SMARTSHARE_GUARD_SCHEDULES", "10000"))
HASHES = [bytes([number]) * 32 for number in (1, 2, 3)]


@pytest.fixture
def folder(ram_folder):
    """The crashing disk decides what is durable, not this machine."""
    return ram_folder


def are_conflicting(one, other):
    """The slashing rule, stated anew: two N, two F, or X beside F, in one slot of one epoch."""
    if (one.epoch, one.slot) != (other.epoch, other.slot):
        return False
    if one.kind is other.kind:
        return one.block_hash != other.block_hash
    return {one.kind, other.kind} == {VoteKind.NULLIFY, VoteKind.FINALIZE}


class Schedule:
    """One node's life: it votes, loses power anywhere, starts again; its guard file may be set anew."""

    def __init__(self, folder, seed, monkeypatch):
        self.chance = random.Random(seed)
        self.path = folder / "guard"
        create_guard_file(self.path, FIRST_RECORD)
        self.disk = CrashingDisk(self.path, self.chance)
        self.disk.install(monkeypatch)
        self.released = []
        self.epoch, self.slot = 0, 1
        self.cuts = 0

    def run(self, lives=6):
        for _ in range(lives):
            self.disk.steps_left = self.chance.randrange(24)
            try:
                self.live()
            except PowerCut:
                self.cuts += 1
            self.disk.restart()

    def live(self):
        if self.chance.random() < 0.1:
            self.epoch, self.slot = self.epoch + 2, 0
            create_guard_file(self.path, SignRecord(self.epoch, self.slot))
        with suppress(AgentError):
            guard = SignGuard(self.path)
            try:
                for _ in range(self.chance.randrange(1, 12)):
                    vote = self.any_vote()
                    if guard.admit(vote) is None:
                        self.released.append(vote)  # only now would the signature leave
            finally:
                os.close(guard._descriptor)

    def any_vote(self):
        if self.chance.random() < 0.2:
            self.slot += 1
        kind = self.chance.choice(list(VoteKind))
        block_hash = NO_HASH if kind is VoteKind.NULLIFY else self.chance.choice(HASHES)
        slot = max(0, self.slot - (self.chance.random() < 0.2))
        return VoteRequest(kind, self.epoch, slot, block_hash)


def check(schedule, seed):
    by_place: dict[tuple[int, int], set[VoteRequest]] = {}
    for vote in schedule.released:
        for earlier in by_place.setdefault((vote.epoch, vote.slot), set()):
            assert not are_conflicting(vote, earlier), f"seed {seed}: {earlier} and {vote}"
        by_place[vote.epoch, vote.slot].add(vote)


@pytest.mark.parametrize("first", [0, 200])
def test_random_power_cuts(folder, monkeypatch, first):
    run_schedules(folder, monkeypatch, range(first, first + 200))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_random_power_cuts(folder, monkeypatch):
    run_schedules(folder, monkeypatch, range(1_000, 1_000 + SCHEDULES))


def run_schedules(folder, monkeypatch, seeds, fdatasync=None):
    released = cuts = 0
    for seed in seeds:
        with monkeypatch.context() as patch:
            schedule = Schedule(folder, seed, patch)
            if fdatasync:
                patch.setattr(os, "fdatasync", fdatasync)
            schedule.run()
        check(schedule, seed)
        released += len(schedule.released)
        cuts += schedule.cuts
    assert cuts > 2 * len(seeds), "the power was cut, often"
    assert released > 4 * len(seeds), "and votes were given"


HISTORY = [
    VoteRequest(VoteKind.NOTARIZE, 0, 1, HASHES[0]),
    VoteRequest(VoteKind.FINALIZE, 0, 1, HASHES[0]),
    VoteRequest(VoteKind.NULLIFY, 0, 2, NO_HASH),
    VoteRequest(VoteKind.NOTARIZE, 0, 2, HASHES[1]),
]
AFTER = [
    VoteRequest(kind, 0, slot, NO_HASH if kind is VoteKind.NULLIFY else block_hash)
    for slot in (1, 2)
    for kind in VoteKind
    for block_hash in HASHES
]


@pytest.mark.parametrize("step", range(4 * (len(HISTORY) + 1)))
def test_a_power_cut_at_each_step_of_one_history(folder, monkeypatch, step):
    """Each step, with every fate of the pending write that forty seeds give, then every other vote."""
    for seed in range(40):
        with monkeypatch.context() as patch:
            schedule = Schedule(folder, seed, patch)
            schedule.disk.steps_left = step
            with suppress(PowerCut), SignGuard(schedule.path) as guard:
                for vote in HISTORY:
                    if guard.admit(vote) is None:
                        schedule.released.append(vote)
            schedule.disk.restart()
            with SignGuard(schedule.path) as guard:
                for vote in AFTER:
                    if guard.admit(vote) is None:
                        schedule.released.append(vote)
        check(schedule, seed)


def test_a_guard_that_forgot_its_sync_is_caught(folder, monkeypatch):
    """The disk does what it says: without the sync, released votes are contradicted."""

    def forget(_descriptor):
        return None

    with pytest.raises(AssertionError, match="seed"):
        run_schedules(folder, monkeypatch, range(200), fdatasync=forget)
