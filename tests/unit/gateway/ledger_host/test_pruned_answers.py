"""What a node that dropped its old blocks tells: its peers, its operator, its wallet's history."""

import asyncio
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.errors import MessagingError
from gateway.ledger_host.handlers import LedgerHandlers
from gateway.ledger_host.history_file import HistoryFile
from gateway.ledger_host.peers.desk import PeerDesk
from gateway.ledger_host.wallet_history import WalletHistory
from gateway.settings import Home, Settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from ledger.codec.canonical import Decoder
from ledger.crypto.domains import transaction_id
from ledger.network.wire import NetworkMessage, Pruned
from ledger.node.node import LedgerNode
from ledger.types.messages import GetChain
from ledger.types.transaction import SignedTransaction
from tests.support.ledger_lab import address_of
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab

PEER = bytes(range(32))
BLOCKS, KEEP = 3 * EPOCH_BLOCKS, 2
PRUNED = BLOCKS - KEEP


class Said:
    """What went to peers."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, NetworkMessage]] = []

    def send(self, peer: bytes, message: NetworkMessage) -> None:
        self.messages.append((peer, message))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.create()
    return home


@pytest.fixture
def lab(home: Home) -> SnapshotLab:
    return SnapshotLab(home.chain.parent)


def make_desk(home: Home, lab: SnapshotLab, node: LedgerNode) -> tuple[PeerDesk, Said]:
    (first,) = lab.genesis.agents
    keys = AgentKeys(first.node, first.consensus, first.metering, bytes(32))
    agent = AgentClient(home.agent_socket)
    desk = PeerDesk(home, Settings("gw1"), lab.genesis, keys, agent, SystemClock())
    said = Said()
    desk.network = said  # type: ignore[assignment]  # of its way out only `send` is used here
    desk._node = node
    return desk, said


async def test_a_peer_that_asks_for_old_blocks_hears_from_where_they_are_kept(
    home: Home, lab: SnapshotLab
):
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        await lab.grow(node, 0, BLOCKS)
        desk, said = make_desk(home, lab, node)
        for height in (0, PRUNED - 1, PRUNED):
            desk._receive(PEER, GetChain(height))
        assert said.messages == [(PEER, Pruned(PRUNED))] * 2
    finally:
        node.close()


async def test_a_receipt_that_needs_an_old_block_is_refused_in_one_line(lab: SnapshotLab):
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        await lab.grow(node, 0, BLOCKS)
        table = LedgerHandlers(node, asyncio.get_running_loop()).table()
        raw = lab.transfer("alice", 0)
        name = transaction_id(Decoder(SignedTransaction).decode(raw).payload).hex()
        with pytest.raises(MessagingError, match=f"older than block {PRUNED + 1}, the first"):
            await asyncio.to_thread(table["evidence"], {"id": name})
    finally:
        node.close()


async def test_the_wallets_history_shows_what_it_did_not_see_as_one_difference(
    home: Home, lab: SnapshotLab
):
    node = lab.open_keeping(keep_blocks=KEEP)
    try:
        await lab.grow(node, 0, BLOCKS)
        history = WalletHistory(home, address_of("alice"))
        while history.catch_up():
            pass
        lines = list(HistoryFile(home).lines())
        assert lines[-1].balance == node.account(address_of("alice")).balance
        assert [line.height for line in lines] == [0, PRUNED + 1, BLOCKS]
    finally:
        node.close()
