"""A node whose network is one shared MQTT cluster gets its first snapshot there: a real mosquitto with access rules."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.ledger_host.peers.cluster import ClusterNetwork
from gateway.ledger_host.peers.seams import NodeSide, Submitted
from gateway.ledger_host.snapshot_desk import SnapshotDesk
from gateway.ledger_host.snapshot_start import SnapshotStart
from gateway.messaging.cluster_client import ClusterLogin
from gateway.sd_notify import Notifier
from gateway.settings import DiscoverySection, Home, LedgerSection, Settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from ledger.network.topics import ChainTopics
from ledger.network.wire import SNAPSHOT_PART_BYTES, GetSnapshot, SnapshotMessage, SnapshotPart
from ledger.storage.reader import ChainReader
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import Status
from tests.support.ledger_lab import address_of
from tests.support.mosquitto import IS_INSTALLED, Mosquitto
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not IS_INSTALLED, reason="needs mosquitto"),
]

PATIENCE_S = 60.0
HONEST, LIAR, NEWCOMER = (address_of(name) for name in ("honest", "liar", "newcomer"))
USERS = {"honest": HONEST, "liar": LIAR, "newcomer": NEWCOMER}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> SnapshotLab:
    lab = SnapshotLab(tmp_path_factory.mktemp("chain"))
    node = lab.open_keeping()
    try:
        asyncio.run(lab.grow(node, 0, 2 * EPOCH_BLOCKS))
    finally:
        node.close()
    return lab


def access_rules(lab: SnapshotLab) -> str:
    """Everybody hears the chain's topics, and publishes under its own id only (docs/NETWORK.md)."""
    topics = ChainTopics(genesis_chain_id(lab.genesis))
    prefix = topics.everything().removesuffix("/#")
    lines = []
    for user, node in USERS.items():
        lines += [
            f"user {user}",
            f"topic read {prefix}/#",
            f"topic write {prefix}/+/{node.hex()}",
            f"topic write {prefix}/+/{node.hex()}/+",
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def mosquitto(lab: SnapshotLab, tmp_path: Path):
    broker = Mosquitto(tmp_path / "mosquitto", *USERS, access_rules=access_rules(lab))
    broker.start()
    yield broker
    broker.stop()


class Member:
    """A node on the cluster that answers questions for snapshots, and counts them."""

    def __init__(self, lab: SnapshotLab, broker: Mosquitto, user: str, forged: bytes = b"") -> None:
        login = ClusterLogin(
            "127.0.0.1", broker.port, f"ssp-{user}", user, f"{user}-pw", broker.context()
        )
        chain_id = genesis_chain_id(lab.genesis)
        self.network = ClusterNetwork(USERS[user], chain_id, login, SystemClock())
        self.asked = 0
        self._desk = SnapshotDesk(lab.snapshots, self.network.send)
        self._forged = forged

    def _hear(self, peer: bytes, message: SnapshotMessage) -> None:
        assert isinstance(message, GetSnapshot)
        self.asked += 1
        if self._forged:
            data = self._forged[message.offset : message.offset + SNAPSHOT_PART_BYTES]
            self.network.send(peer, SnapshotPart(1, len(self._forged), message.offset, data))
        else:
            self._desk.ask(peer, message)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        side = NodeSide(
            receive=lambda _peer, _message: None,
            peer_connected=lambda _peer: None,
            submit=lambda _raw: Submitted.LEFT,
            pending=lambda _count: (),
            agents=lambda: (),
            snapshot=self._hear,
        )
        # A status is retained: who comes to the cluster hears it at once.
        self.network.broadcast(Status(1, 1, 2 * EPOCH_BLOCKS, bytes(32), 0, is_synchronised=True))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self.network.run(side))
            yield
            running.cancel()


def newcomer(lab: SnapshotLab, broker: Mosquitto, home: Home) -> SnapshotStart:
    home.create()
    login = home.path / "cluster.login"
    login.touch(mode=0o600)
    login.write_text("newcomer\nnewcomer-pw\n")
    ledger = LedgerSection(
        cluster_url=f"mqtts://127.0.0.1:{broker.port}",
        cluster_login_file=login.name,
        cluster_authority_file=str(broker.authority),
        checkpoint=str(lab.checkpoint()),
    )
    settings = Settings("new", ledger=ledger, discovery=DiscoverySection(enabled=False))
    keys = AgentKeys(NEWCOMER, bytes(32), bytes(32), bytes(32))
    return SnapshotStart(
        home, settings, lab.genesis, keys, AgentClient(home.agent_socket), SystemClock()
    )


async def test_a_newcomer_gets_the_genuine_one(
    lab: SnapshotLab,
    mosquitto: Mosquitto,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    home, data = Home(tmp_path / "new"), lab.newest_snapshot()
    forged = data + bytes(3 * SNAPSHOT_PART_BYTES)
    honest, liar = Member(lab, mosquitto, "honest"), Member(lab, mosquitto, "liar", forged)
    start = newcomer(lab, mosquitto, home)
    async with asyncio.timeout(PATIENCE_S), liar.running(), asyncio.TaskGroup() as group:
        coming = group.create_task(start.run(Notifier({}), asyncio.Event()))
        while "is not used" not in caplog.text:  # noqa: ASYNC110 - the log has no event
            await asyncio.sleep(0.02)
        assert not coming.done()
        assert liar.asked == 4
        async with honest.running():
            assert await coming
    assert f"snapshot of peer {LIAR.hex()[:16]} is not used" in caplog.text
    reader = ChainReader.open(home.chain)
    try:
        tip = reader.tip()
        assert tip is not None
        assert tip.header.height == 2 * EPOCH_BLOCKS
    finally:
        reader.close()
