"""Peers over real MQTT that answer questions for snapshots: honest, poor, mean and false ones."""

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

from gateway.clock import SystemClock
from gateway.ledger_host.genesis import GenesisFacts
from gateway.ledger_host.peers.identity import NodeIdentity
from gateway.ledger_host.peers.network import MqttPeerNetwork
from gateway.ledger_host.peers.seams import NodeSide, PeerSettings, Submitted
from gateway.ledger_host.snapshot_desk import SnapshotDesk
from ledger.crypto.domains import session_token_message
from ledger.crypto.ed25519 import SigningKey
from ledger.identity.facts import Moment
from ledger.identity.grant import Role
from ledger.network.wire import (
    SNAPSHOT_PART_BYTES,
    GetSnapshot,
    PeerAddress,
    SnapshotMessage,
    SnapshotPart,
)
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id

Answer = Callable[[MqttPeerNetwork, bytes, GetSnapshot], None]


def _key_of(number: int) -> SigningKey:
    return SigningKey(hashlib.sha256(b"fetch%d" % number).digest())


def number_below(nodes: Collection[bytes]) -> int:
    """Return the number of a peer that is asked before all of these: peers are in the order of their ids."""
    lowest = min(nodes)
    return next(number for number in itertools.count() if _key_of(number).public_key < lowest)


def make_network(
    genesis: Genesis, number: int, peers: tuple[PeerAddress, ...] = ()
) -> tuple[bytes, MqttPeerNetwork]:
    """Return a node's id and network; without peers it listens."""
    key = _key_of(number)
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

    listening = asyncio.Event()
    side = NodeSide(
        receive=lambda _peer, _message: None,
        peer_connected=lambda _peer: None,
        submit=lambda _raw: Submitted.LEFT,
        pending=lambda _count: (),
        agents=lambda: (),
        snapshot=hear,
        listening=listening.set,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(network.run(side))
        await listening.wait()
        assert network.port is not None
        yield PeerAddress(node, "127.0.0.1", network.port)
        running.cancel()


def serve_folder(folder: Path) -> Answer:
    def answer(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
        SnapshotDesk(folder, network.send).ask(peer, wanted)

    return answer


def serve_bytes(data: bytes, epoch: int = 1) -> Answer:
    def answer(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
        part = data[wanted.offset : wanted.offset + SNAPSHOT_PART_BYTES]
        network.send(peer, SnapshotPart(epoch, len(data), wanted.offset, part))

    return answer


def serve_crumbs(network: MqttPeerNetwork, peer: bytes, wanted: GetSnapshot) -> None:
    network.send(peer, SnapshotPart(1, 10**6, wanted.offset, b"x"))
