"""The ledger process's watchdog: silent once nobody can reach the node any more."""

import asyncio
import socket
import threading
from typing import Any, cast

from paho.mqtt.client import Client

from gateway.clock import SystemClock
from gateway.ledger_host.catching_up import CatchingUp
from gateway.ledger_host.peers.desk import PeerDesk
from gateway.ledger_host.service import _go_on_from, _Parts, _Service
from gateway.ledger_host.wallet_history import WalletHistory
from gateway.messaging.service_login import LEDGER, service_password_file
from gateway.sd_notify import Notifier
from gateway.settings import Home, Settings
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys
from ledger.light import Snapshot, verify_snapshot
from ledger.storage.reader import ChainReader
from ledger.storage.schema import FOLDING_PRAGMAS
from tests.support.ledger_lab import Lab
from tests.support.snapshot_lab import EPOCH_BLOCKS, SnapshotLab


async def test_no_pings_after_the_thread_of_mqtt_died(tmp_path, monkeypatch):
    dies = threading.Event()

    def reconnect(_client):
        assert dies.wait(30)
        raise ZeroDivisionError

    monkeypatch.setattr(Client, "reconnect", reconnect)
    home = Home(tmp_path)
    home.secrets.mkdir()
    service_password_file(home, LEDGER).write_text("secret")
    lab = Lab(tmp_path)
    node = lab.open()
    agent = AgentClient(home.agent_socket)
    (first,) = lab.genesis.agents
    keys = AgentKeys(first.node, first.consensus, first.metering, bytes(32))
    settings, clock = Settings("gw1"), SystemClock()
    desk = PeerDesk(home, settings, lab.genesis, keys, agent, clock)
    catching_up = CatchingUp(home, settings, lab.genesis, clock, desk.network, node)
    history = WalletHistory(home, bytes(32))
    unused: Any = None  # nothing is executed
    parts = _Parts(home, settings, lab.genesis, keys, agent, clock, unused, unused)
    service = _Service(parts, node, desk, history, catching_up)
    stop = asyncio.Event()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind("")
        address = "@" + manager.getsockname()[1:].decode()
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"})
        running = asyncio.create_task(service.run(notifier, stop))
        try:
            await next_ping(manager)
            await next_ping(manager)
            dies.set()
            async with asyncio.timeout(10):
                while await pings_within(manager, 0.2):
                    pass
        finally:
            dies.set()
            stop.set()
            await running
            node.close()


async def next_ping(manager: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while await loop.sock_recv(manager, 1000) != b"WATCHDOG=1":
            pass


async def pings_within(manager: socket.socket, wait_s: float) -> bool:
    try:
        async with asyncio.timeout(wait_s):
            await next_ping(manager)
    except TimeoutError:
        return False
    return True


async def test_a_chain_that_cannot_be_replaced_stays_and_that_is_told(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setitem(FOLDING_PRAGMAS, "busy_timeout", 1)
    home = Home(tmp_path)
    home.create()
    lab = SnapshotLab(home.chain.parent)
    node = lab.open_keeping()
    await lab.grow(node, 0, EPOCH_BLOCKS)
    node.close()
    snapshot = verify_snapshot(lab.newest_snapshot(), lab.genesis, lab.checkpoint())
    assert isinstance(snapshot, Snapshot)
    nothing = cast("Any", None)
    parts = _Parts(home, Settings("gw1"), lab.genesis, *([nothing] * 5))
    reader = ChainReader.open(home.chain)
    try:
        await _go_on_from(snapshot, parts, Notifier({}))
        assert "the snapshot is not used" in caplog.text
        assert reader.pruned_height() == 0
    finally:
        reader.close()
    await _go_on_from(snapshot, parts, Notifier({}))
    reader = ChainReader.open(home.chain)
    try:
        assert reader.pruned_height() == EPOCH_BLOCKS
    finally:
        reader.close()
