"""A node's own chain as a snapshot's starting point: only what goes on from it is accepted."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ledger.consensus.blocks import NO_SIGNERS
from ledger.crypto.domains import NO_HASH
from ledger.errors import Reason, Rejected
from ledger.light import Snapshot, verify_snapshot
from ledger.light.known_chain import KnownChain, members_of
from ledger.light.snapshot import StartingPoint, TrailEnd
from ledger.node.snapshots import load_known_chain
from ledger.storage.reader import ChainReader
from ledger.types.agent_set import AgentSet, Seat
from ledger.types.block import Header
from tests.support.ledger_lab import finalise
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

ALICE, BOB, CAROL = (bytes([number]) * 32 for number in range(1, 4))


def agents(epoch: int, *names: bytes) -> AgentSet:
    return AgentSet(epoch, NO_HASH, tuple(Seat(name, name, NO_HASH) for name in names))


def end(height: int, *next_names: bytes, name: int = 0) -> TrailEnd:
    """The end block of an epoch of ten blocks, which hands over to others."""
    epoch = height // 10 - 1
    fields: dict[str, Any] = dict.fromkeys(Header.__struct_fields__, 0)
    header = Header(
        **fields | {"epoch": epoch, "height": height, "parent_signers": NO_SIGNERS, "seal": False}
    )
    return TrailEnd(header, bytes([name or height]) * 32, agents(epoch + 1, *next_names))


FIRST = end(10, ALICE, BOB)
SECOND = end(20, ALICE, BOB, CAROL)
NEXT = end(30, CAROL)


def known(height: int = 25) -> KnownChain:
    """A chain whose genesis names ALICE, and whose third epoch runs."""
    return KnownChain(
        height=height,
        epoch=2,
        time_ms=0,
        ends={10: FIRST.hash, 20: SECOND.hash},
        first_members=members_of(agents(0, ALICE)),
        members=members_of(agents(2, ALICE, BOB, CAROL)),
    )


def test_a_trail_that_goes_on_from_here_is_accepted():
    assert known().check((FIRST, SECOND, NEXT)) is None
    assert known().check((FIRST, SECOND, NEXT, end(40, ALICE))) is None
    # Whoever is at the end block itself has the agents that it names.
    assert known(height=20).check((FIRST, SECOND, NEXT)) is None


def test_ends_without_a_change_may_be_left_out():
    same = end(20, ALICE, BOB)
    chain = replace(
        known(), ends={10: FIRST.hash, 20: same.hash}, members=members_of(FIRST.next_set)
    )
    assert chain.check((FIRST, NEXT)) is None
    assert chain.check((FIRST, same, NEXT)) is None


@pytest.mark.parametrize("newest", [(FIRST,), (FIRST, SECOND)])
def test_what_is_no_newer_is_refused(newest: tuple[TrailEnd, ...]):
    refused = known().check(newest)
    assert isinstance(refused, Rejected)
    assert refused.reason is Reason.TOO_LATE
    assert known(height=30).check((FIRST, SECOND, NEXT)) is not None


@pytest.mark.parametrize(
    "trail",
    [
        (FIRST, end(20, ALICE, BOB, CAROL, name=99), NEXT),
        (FIRST, end(21, ALICE, BOB, CAROL), NEXT),  # an end block that there is not here
        (end(10, ALICE, BOB, name=99), SECOND, NEXT),
    ],
)
def test_another_end_block_than_the_one_that_is_final_here_is_refused(
    trail: tuple[TrailEnd, ...],
):
    refused = known().check(trail)
    assert isinstance(refused, Rejected)
    assert "not the one that is final here" in refused.detail


@pytest.mark.parametrize("trail", [(NEXT,), (FIRST, NEXT)])
def test_agents_of_before_must_not_certify_what_comes_next(trail: tuple[TrailEnd, ...]):
    refused = known().check(trail)
    assert isinstance(refused, Rejected)
    assert "leaves out a change of agents" in refused.detail


async def grow(lab: SnapshotLab, sender: str, nonces: range) -> None:
    node = lab.open_keeping()
    try:
        for nonce in nonces:
            await finalise(node, lab.transfer(sender, nonce))
    finally:
        node.close()


def know(lab: SnapshotLab) -> KnownChain:
    reader = ChainReader.open(lab.path)
    try:
        return load_known_chain(reader, lab.genesis)
    finally:
        reader.close()


def fork(lab: SnapshotLab, folder: Path) -> SnapshotLab:
    """The same chain a second time; its agent is a liar who has forgotten what it signed."""
    folder.mkdir()
    shutil.copy(lab.path, folder)
    return SnapshotLab(folder)


def verify(lab: SnapshotLab, start: StartingPoint, *more: StartingPoint) -> Snapshot | Rejected:
    return verify_snapshot(lab.newest_snapshot(), lab.genesis, start, *more)


def test_a_real_chain_judges_what_others_made_of_it(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    asyncio.run(grow(lab, "alice", range(EPOCH_BLOCKS - 1)))
    before = know(lab)
    assert (before.height, before.epoch, before.ends) == (EPOCH_BLOCKS - 1, 0, {})
    other = fork(lab, tmp_path / "fork")
    asyncio.run(grow(lab, "alice", range(EPOCH_BLOCKS - 1, EPOCH_BLOCKS + 1)))
    after = know(lab)
    assert (after.height, after.epoch) == (EPOCH_BLOCKS + 1, 1)
    assert after.ends == {EPOCH_BLOCKS: lab.checkpoint().hash}
    asyncio.run(grow(lab, "alice", range(EPOCH_BLOCKS + 1, 2 * EPOCH_BLOCKS)))
    asyncio.run(grow(other, "bob", range(EPOCH_BLOCKS + 1)))

    assert isinstance(verify(lab, before), Snapshot)
    assert isinstance(verify(lab, after, lab.checkpoint()), Snapshot)
    assert isinstance(verify(other, before), Snapshot)  # its agent, whom we trust, signed both
    for refused in (verify(other, after), verify(lab, after, other.checkpoint())):
        assert isinstance(refused, Rejected)
        assert refused.reason is Reason.BAD_BLOCK
    no_newer = verify(lab, know(lab))
    assert isinstance(no_newer, Rejected)
    assert no_newer.reason is Reason.TOO_LATE
