"""Two real gateways: the second is given a checkpoint only, gets a snapshot from the first, and follows."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.app.founding import NetworkOptions, found_network, make_card
from gateway.app.provision import Membership, initialise
from gateway.clock import SystemClock
from gateway.ledger_host.peers.addresses import format_peer
from gateway.settings import Home
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import parse_address
from ledger.network.wire import PeerAddress

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

EPOCH_BLOCKS = 4
SLOT_MS = 200
PATIENCE_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def running(home: Home) -> Iterator[None]:
    log_path = home.path.with_suffix(".log")
    with log_path.open("ab") as log:
        command = (sys.executable, "-m", "gateway.cli.main", "run", "--home", str(home.path))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ask(home: Home, *arguments: str) -> str | None:
    """Return what a command prints, or None where it fails."""
    command = (sys.executable, "-m", "gateway.cli.main", *arguments, "--home", str(home.path))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip() if done.returncode == 0 else None


def until(find: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        time.sleep(0.2)
    raise AssertionError("it does not happen")


def height_of(home: Home) -> int:
    text = ask(home, "chain", "status", "--json")
    return -1 if text is None else int(json.loads(text)["height"])


def test_a_gateway_joins_near_the_tip(tmp_path: Path):
    first, second = Home(tmp_path / "first"), Home(tmp_path / "second")
    card = make_card(first, DEFAULT_URI)
    options = NetworkOptions(SLOT_MS, heartbeat_ms=2 * SLOT_MS)
    genesis = msgspec.structs.replace(
        found_network([card], "two", SystemClock(), options),
        epoch_blocks=EPOCH_BLOCKS,
    )
    peer = PeerAddress(parse_address(card.node), "127.0.0.1", free_port())
    initialise(
        first,
        "first",
        SystemClock(),
        listen=f"127.0.0.1:{free_port()}",
        membership=Membership(genesis=genesis, listen=f"127.0.0.1:{peer.port}"),
    )
    with running(first):
        until(lambda: next(iter(map(str, first.snapshots.glob("*.snapshot"))), None))
        checkpoint = until(lambda: ask(first, "chain", "checkpoint"))
        initialise(
            second,
            "second",
            SystemClock(),
            listen=f"127.0.0.1:{free_port()}",
            membership=Membership(
                genesis=genesis, peers=(format_peer(peer),), checkpoint=checkpoint
            ),
        )
        with running(second):
            until(lambda: "joined" if height_of(second) > 2 * EPOCH_BLOCKS else None)
            before = height_of(first)
            until(lambda: "follows" if height_of(second) > before else None)
            newest = str(height_of(second))
            assert ask(second, "chain", "block", newest) == ask(first, "chain", "block", newest)
            assert ask(second, "chain", "block", "1") is None
            assert ask(first, "chain", "block", "1") is not None
    log = second.path.with_suffix(".log").read_text()
    assert "is genuine" in log, log
