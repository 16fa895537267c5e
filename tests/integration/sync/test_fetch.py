"""A node without a chain gets a snapshot from peers over real MQTT: in parts, from whoever gives a genuine one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.ledger_host.peers.network import MqttPeerNetwork
from gateway.ledger_host.snapshot_desk import read_part
from gateway.ledger_host.snapshot_fetch import SnapshotFetch
from ledger.errors import Rejected
from ledger.light import Snapshot, encode_snapshot, verify_snapshot
from ledger.network.wire import (
    SNAPSHOT_PART_BYTES,
    GetSnapshot,
    PeerAddress,
    SnapshotPart,
    decode_message,
    encode_message,
)
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab
from tests.support.snapshot_peers import (
    Answer,
    make_network,
    serve_bytes,
    serve_crumbs,
    serve_folder,
    serving,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PATIENCE_S = 60.0


async def run_two_epochs(lab: SnapshotLab) -> None:
    node = lab.open_keeping()
    try:
        await lab.grow(node, 0, 2 * EPOCH_BLOCKS)
    finally:
        node.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> SnapshotLab:
    lab = SnapshotLab(tmp_path_factory.mktemp("chain"))
    asyncio.run(run_two_epochs(lab))
    return lab


def noting(answer: Answer, asked: asyncio.Event) -> Answer:
    def note(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
        asked.set()
        answer(network, peer, wanted)

    return note


Judge = Callable[[bytes], Snapshot | Rejected]


def judge_of(lab: SnapshotLab) -> Judge:
    return lambda data: verify_snapshot(data, lab.genesis, lab.checkpoint())


async def fetch(lab: SnapshotLab, judge: Judge, *addresses: PeerAddress) -> Snapshot:
    _, network = make_network(lab.genesis, 99, addresses)
    async with asyncio.timeout(PATIENCE_S):
        return await SnapshotFetch(network, judge).run(())


async def test_a_snapshot_comes_from_the_one_peer_that_has_a_genuine_one(
    lab: SnapshotLab, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    data = lab.newest_snapshot()
    forged = data[:-1] + bytes([data[-1] ^ 1])
    asked = [asyncio.Event() for _ in range(3)]
    async with (
        serving(lab.genesis, 1, noting(serve_bytes(forged), asked[0])) as liar,
        serving(lab.genesis, 2, noting(serve_crumbs, asked[1])) as miser,
        serving(lab.genesis, 3, noting(serve_folder(tmp_path), asked[2])) as poor,
    ):
        _, network = make_network(lab.genesis, 99, (liar, miser, poor))
        fetching = SnapshotFetch(network, judge_of(lab))
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            task = group.create_task(fetching.run(()))
            for event in asked:
                await event.wait()
            assert not task.done()
            async with serving(lab.genesis, 4, serve_folder(lab.snapshots)) as honest:
                network.learn(honest)
                snapshot = await task
    assert encode_snapshot(snapshot) == data
    unused = [record for record in caplog.records if "is not used" in record.getMessage()]
    assert len(unused) == 1
    assert liar.node.hex()[:16] in unused[0].getMessage()


@pytest.mark.slow
async def test_a_large_one_comes_in_parts_within_what_a_peer_may_send(lab: SnapshotLab):
    data = lab.newest_snapshot()
    padded = data + bytes(11 * SNAPSHOT_PART_BYTES)  # more than the budget's burst at once
    taken: list[int] = []

    def take(whole: bytes) -> Snapshot | Rejected:
        taken.append(len(whole))
        assert whole == padded
        return judge_of(lab)(data)

    async with serving(lab.genesis, 1, serve_bytes(padded)) as peer:
        assert encode_snapshot(await fetch(lab, take, peer)) == data
    assert taken == [len(padded)]


def test_parts_of_the_files_make_the_whole(tmp_path: Path):
    for epoch, size in ((9, 10), (10, SNAPSHOT_PART_BYTES + 5)):
        (tmp_path / f"{epoch}.snapshot").write_bytes(bytes([epoch]) * size)
    (tmp_path / "writing").write_bytes(b"half")
    newest = read_part(tmp_path, GetSnapshot(None, 0))
    assert (newest.epoch, newest.size) == (10, SNAPSHOT_PART_BYTES + 5)
    assert len(newest.data) == SNAPSHOT_PART_BYTES
    assert decode_message(encode_message(newest)) == newest
    assert read_part(tmp_path, GetSnapshot(10, SNAPSHOT_PART_BYTES)).data == b"\n" * 5
    assert read_part(tmp_path, GetSnapshot(9, 0)).data == b"\t" * 10
    assert read_part(tmp_path, GetSnapshot(9, 2**63 - 1)).data == b""
    assert read_part(tmp_path, GetSnapshot(8, 0)) == SnapshotPart(8, 0, 0, b"")
    assert read_part(tmp_path / "none", GetSnapshot(None, 0)) == SnapshotPart(0, 0, 0, b"")
