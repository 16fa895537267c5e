"""A node without a chain gets a snapshot from peers over real MQTT: in parts, from whoever gives a genuine one."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.ledger_host import snapshot_fetch
from gateway.ledger_host.genesis import GenesisFacts
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.network import MqttPeerNetwork
from gateway.ledger_host.peers.seams import NodeSide, PeerSettings, Submitted
from gateway.ledger_host.snapshot_desk import SnapshotDesk, read_part
from gateway.ledger_host.snapshot_fetch import SnapshotFetch
from ledger.crypto.domains import session_token_message
from ledger.crypto.ed25519 import SigningKey
from ledger.identity.facts import Moment
from ledger.identity.grant import Role
from ledger.light import Snapshot, encode_snapshot
from ledger.network.wire import (
    SNAPSHOT_PART_BYTES,
    GetSnapshot,
    PeerAddress,
    SnapshotMessage,
    SnapshotPart,
    decode_message,
    encode_message,
)
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PATIENCE_S = 60.0
Answer = Callable[[MqttPeerNetwork, bytes, GetSnapshot], None]


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


def make_network(
    genesis: Genesis, number: int, peers: tuple[PeerAddress, ...] = ()
) -> tuple[bytes, MqttPeerNetwork]:
    """Return a node's id and network; without peers it listens."""
    key = SigningKey(hashlib.sha256(b"fetch%d" % number).digest())
    facts = GenesisFacts(genesis)
    identity = NodeIdentity(
        node_id=key.public_key,
        chain_id=genesis_chain_id(genesis),
        role=Role.FULL,
        sign=lambda token: key.sign(session_token_message(token)),
        facts=lambda: facts,
        now=lambda: Moment(genesis.time_ms, is_trusted=True),
    )
    listen = None if peers else ("127.0.0.1", 0)
    return key.public_key, MqttPeerNetwork(identity, PeerSettings(listen, peers), SystemClock())


@contextlib.asynccontextmanager
async def serving(genesis: Genesis, number: int, answer: Answer) -> AsyncIterator[PeerAddress]:
    """Run a peer that answers questions for snapshots."""
    node, network = make_network(genesis, number)

    def hear(peer: bytes, message: SnapshotMessage) -> None:
        assert isinstance(message, GetSnapshot)
        answer(network, peer, message)

    side = NodeSide(
        receive=lambda _peer, _message: None,
        peer_connected=lambda _peer: None,
        submit=lambda _raw: Submitted.LEFT,
        pending=lambda _count: (),
        agents=lambda: (),
        snapshot=hear,
    )
    listening = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(network.run(side, listening.set))
        await listening.wait()
        assert network.port is not None
        yield PeerAddress(node, "127.0.0.1", network.port)
        running.cancel()


def serve_folder(folder: Path) -> Answer:
    def answer(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
        SnapshotDesk(folder, network.send).ask(peer, wanted)

    return answer


def serve_bytes(data: bytes) -> Answer:
    def answer(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
        part = data[wanted.offset : wanted.offset + SNAPSHOT_PART_BYTES]
        network.send(peer, SnapshotPart(1, len(data), wanted.offset, part))

    return answer


def serve_crumbs(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
    network.send(peer, SnapshotPart(1, 10**6, wanted.offset, b"x"))


def noting(answer: Answer, asked: asyncio.Event) -> Answer:
    def note(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
        asked.set()
        answer(network, peer, wanted)

    return note


async def fetch(lab: SnapshotLab, *addresses: PeerAddress) -> Snapshot:
    _, network = make_network(lab.genesis, 99, addresses)
    async with asyncio.timeout(PATIENCE_S):
        return await SnapshotFetch(network, lab.genesis, lab.checkpoint()).run()


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
        fetching = SnapshotFetch(network, lab.genesis, lab.checkpoint())
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            task = group.create_task(fetching.run())
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
async def test_a_large_one_comes_in_parts_within_what_a_peer_may_send(
    lab: SnapshotLab, monkeypatch: pytest.MonkeyPatch
):
    data = lab.newest_snapshot()
    padded = data + bytes(11 * SNAPSHOT_PART_BYTES)  # more than the budget's burst at once
    taken: list[int] = []

    def take(whole: bytes, _genesis: Genesis, _checkpoint: object) -> Snapshot:
        taken.append(len(whole))
        assert whole == padded
        return snapshot

    async with serving(lab.genesis, 1, serve_bytes(data)) as peer:
        snapshot = await fetch(lab, peer)
    monkeypatch.setattr(snapshot_fetch, "verify_snapshot", take)
    async with serving(lab.genesis, 1, serve_bytes(padded)) as peer:
        await fetch(lab, peer)
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
