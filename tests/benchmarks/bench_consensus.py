"""What consensus costs: certificates, the core's message rate, catching up, and four idle nodes.

    .venv/bin/python -m tests.benchmarks.bench_consensus [--blocks N] [--transfers N] [--idle SECONDS]

Rates stand beside libsodium's in the same run.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from random import Random

from nacl.bindings import crypto_sign_open

from gateway.clock import SystemClock
from gateway.lab.cluster import Cluster, make_seed
from gateway.lab.signatures import KeyedHashScheme
from ledger.consensus.certificate import build_certificate, verify_certificate
from ledger.crypto.domains import VoteKind, vote_message
from ledger.crypto.ed25519 import derive_public_key, sign
from ledger.crypto.hashing import sha256
from ledger.node.node import LedgerNode, Surroundings
from ledger.types.block import Vote
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import Message
from tests.integration.consensus.test_four_nodes import Network, Place, make_four
from tests.support.ledger_lab import EchoExecutor, FastClock, Lab, address_of, run_until, seed_of
from tests.support.signer import GuardedSigner, GuardRecord

CHAIN = sha256(b"bench")
QUORUM, AGENTS = 67, 99
SENDERS = ("alice", "bob", "metering", "node")  # who holds SSP; each may have 64 waiting


def measure_certificate(rounds: int = 20) -> float:
    """Print what a certificate costs; return libsodium's verifications a second."""
    seeds = [make_seed(index) for index in range(AGENTS)]
    keys = [derive_public_key(seed) for seed in seeds]
    place = (VoteKind.FINALIZE, 0, 7, sha256(b"block"))
    message = vote_message(CHAIN, *place)
    votes = [Vote(*place, voter, sign(seeds[voter], message)) for voter in range(QUORUM)]
    certificate = build_certificate(votes)
    bare = whole = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        for vote in votes:
            crypto_sign_open(vote.signature + message, keys[vote.voter])
        bare += time.perf_counter() - start
        start = time.perf_counter()
        assert verify_certificate(certificate, CHAIN, keys) is None
        whole += time.perf_counter() - start
    print(f"certificate of {QUORUM} of {AGENTS}: {1000 * whole / rounds:.2f} ms,", end=" ")
    print(f"bare libsodium {1000 * bare / rounds:.2f} ms, ratio {bare / whole:.2f}")
    return rounds * QUORUM / bare


def measure_core(seconds: int = 20) -> None:
    """Run 99 cores with signatures that cost nothing: what is left is the core and its shell."""
    cluster = Cluster(Random(1), KeyedHashScheme(), agents=AGENTS, set_of=lambda _: range(AGENTS))
    for index in range(AGENTS):
        cluster.add_node(index)
    cluster.network.start_counting()
    cluster.start()
    start = time.process_time()
    cluster.clockwork.run_until(seconds * 1_000)
    taken = time.process_time() - start
    messages = cluster.network.counted_messages
    print(f"{AGENTS} cores: {messages / taken:,.0f} messages/s of one core, network included")


class Pair:
    """The ways between two nodes in one loop."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, LedgerNode] = {}

    def link(self, name: bytes) -> "Way":
        return Way(self, name)


class Way:
    def __init__(self, pair: Pair, name: bytes) -> None:
        self._pair = pair
        self._name = name

    def send(self, peer: bytes, message: Message) -> None:
        node = self._pair.nodes.get(peer)
        if node is not None:
            asyncio.get_running_loop().call_soon(node.receive, self._name, message)

    def broadcast(self, message: Message) -> None:
        for peer in self._pair.nodes:
            if peer != self._name:
                self.send(peer, message)

    def gossip(self, message: Message, peers: int) -> None:
        self.broadcast(message)

    def blame(self, peer: bytes) -> None:
        raise AssertionError("nobody lies here")

    def relay(self, raw: bytes) -> None:
        pass


async def measure_sync(folder: Path, blocks: int, transfers: int, bare_rate: float) -> None:
    lab = Lab(folder)
    source_name, name = lab.genesis.agents[0].node, address_of("follower")
    pair = Pair()
    await _fill(lab, blocks, transfers)
    source = _open(lab, folder / "chain.db", source_name, pair, lab.signer)
    chain_id = genesis_chain_id(lab.genesis)
    other = GuardedSigner(seed_of("follower-consensus"), chain_id, GuardRecord())
    follower = _open(lab, folder / "follower.db", name, pair, other)
    pair.nodes = {source_name: source, name: follower}
    serving = asyncio.create_task(source.run(lambda _: None))
    await asyncio.sleep(0.1)
    start = time.perf_counter()
    await run_until(follower, lambda final: len(final) >= blocks)
    taken = time.perf_counter() - start
    serving.cancel()
    await asyncio.wait({serving})
    source.close()
    follower.close()
    print(
        f"catching up, executed and stored FULL: {blocks / taken:,.0f} blocks/s,"
        f" {blocks * transfers / taken:,.0f} transfers/s ({transfers} in a block),"
        f" ratio to bare libsodium {blocks * transfers / taken / bare_rate:.2f}"
    )


async def _fill(lab: Lab, blocks: int, transfers: int) -> None:
    node = lab.open()
    nonces = dict.fromkeys(SENDERS, 0)
    for _ in range(blocks):
        for number in range(transfers):
            sender = SENDERS[number % len(SENDERS)]
            accepted = node.submit(lab.transfer(sender, nonces[sender]))
            assert isinstance(accepted, bytes), accepted
            nonces[sender] += 1
        await run_until(node, bool)
    node.close()


def _open(lab: Lab, path: Path, name: bytes, pair: Pair, signer: GuardedSigner) -> LedgerNode:
    around = Surroundings(name, peers=pair.link(name))
    clock = SystemClock() if path.name != "chain.db" else FastClock(step_ms=0)
    return LedgerNode.open(path, lab.genesis, EchoExecutor(), clock, signer, around=around)


async def measure_idle(folder: Path, seconds: int, heartbeat_ms: int) -> None:
    network, genesis = Network(), make_four(slot_ms=3_000, heartbeat_ms=heartbeat_ms)
    places = [Place(index, folder, genesis, network) for index in range(4)]
    network.places = {place.name: place for place in places}
    for place in places:
        place.start()
    await asyncio.sleep(3)
    start = time.process_time()
    await asyncio.sleep(seconds)
    taken = time.process_time() - start
    blocks = max(place.height for place in places)
    for place in places:
        await place.stop()
    share = 100 * taken / seconds / len(places)
    print(
        f"four nodes, a block each {heartbeat_ms / 1000:g} s: {share:.2f} % of a core each", end=""
    )
    print(f" ({blocks} blocks)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--transfers", type=int, default=200, help="in a block, at most 250")
    parser.add_argument("--idle", type=int, default=30, help="seconds; 0: leave it out")
    options = parser.parse_args()
    bare_rate = measure_certificate()
    measure_core()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure_sync(Path(folder), options.blocks, options.transfers, bare_rate))
    for heartbeat_ms in (3_000, 30_000) if options.idle else ():
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(measure_idle(Path(folder), options.idle, heartbeat_ms))


if __name__ == "__main__":
    main()
