"""Real gateways as real processes, each on a host of its own in a network lab."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from gateway.app.founding import NetworkOptions, found_network, make_card, read_card
from gateway.app.provision import Membership, initialise
from gateway.clock import SystemClock
from gateway.ledger_host.peers.addresses import format_peer
from gateway.settings import Home, write_atomic
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import parse_address
from ledger.network.wire import PeerAddress
from tests.support.network_lab import NetworkLab

PEER_PORT, MQTT_PORT = 8884, 1883  # each host is a network namespace: nobody else is there
_STOP_S = 20.0


class FleetNode:
    """One gateway: its home, its processes, and the blocks it announced."""

    def __init__(self, lab: NetworkLab, host: str, home: Home) -> None:
        self._lab = lab
        self.host = host
        self.home = home
        self.blocks: dict[int, str] = {}
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._observer = self._observe()
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()

    @property
    def height(self) -> int:
        """The newest block that it announced."""
        return max(self.blocks, default=0)

    @property
    def log(self) -> str:
        """What its processes said."""
        return self._log_path.read_text(errors="replace")

    def start(self) -> None:
        """Start agent, gateway and ledger under their supervisor."""
        assert self._supervisor is None
        command = self._lab.command(
            self.host, sys.executable, "-m", "gateway.cli.main", "run", "--home", self.home.path
        )
        with self._log_path.open("ab") as log:
            self._supervisor = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self) -> None:
        """Let them stop in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill all of them at once."""
        for process in self._processes():
            _send(process, signal.SIGKILL)
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze all of them."""
        for process in self._processes():
            _send(process, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let them run again."""
        for process in self._processes():
            _send(process, signal.SIGCONT)

    def close(self) -> None:
        """End everything."""
        if self._supervisor is not None:
            self.go_on()
            self.kill()
        self._observer.kill()
        self._observer.wait()
        self._collector.join()

    @property
    def _log_path(self) -> Path:
        return self.home.path.with_suffix(".log")

    def _processes(self) -> list[psutil.Process]:
        assert self._supervisor is not None
        top = psutil.Process(self._supervisor.pid)
        return [top, *top.children(recursive=True)]

    def _end(self, number: signal.Signals) -> None:
        assert self._supervisor is not None
        self._supervisor.send_signal(number)
        self._supervisor.wait(_STOP_S)
        self._supervisor = None

    def _observe(self) -> subprocess.Popen[str]:
        command = self._lab.command(
            self.host, sys.executable, "-m", "tests.support.block_observer", self.home.path
        )
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def _collect(self) -> None:
        output = self._observer.stdout
        assert output is not None
        with output:
            for line in output:
                height, block_hash = line.split()
                self.blocks[int(height)] = block_hash


class Fleet:
    """All of them, as a context manager."""

    def __init__(self, lab: NetworkLab, folder: Path, hosts: Sequence[str], slot_ms: int) -> None:
        homes = {host: Home(folder / host) for host in hosts}
        addresses = {}
        for host, home in homes.items():
            node = parse_address(make_card(home, DEFAULT_URI).node)
            addresses[host] = PeerAddress(node, lab.addresses[host], PEER_PORT)
        cards = [read_card(home.card) for home in homes.values()]
        options = NetworkOptions(slot_ms, heartbeat_ms=2 * slot_ms)
        genesis = found_network(cards, "fleet", SystemClock(), options)
        for host, home in homes.items():
            peers = tuple(format_peer(addresses[other]) for other in hosts if other != host)
            listen = f"{lab.addresses[host]}:{PEER_PORT}"
            initialise(
                home,
                host,
                SystemClock(),
                listen=f"127.0.0.1:{MQTT_PORT}",
                membership=Membership(genesis=genesis, listen=listen, peers=peers),
            )
            settings = home.settings.read_text().replace("enabled = true ", "enabled = false")
            write_atomic(home.settings, settings.encode())
        self.nodes = {host: FleetNode(lab, host, home) for host, home in homes.items()}

    def __enter__(self) -> Self:
        for node in self.nodes.values():
            node.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for node in self.nodes.values():
            node.close()

    def assert_one_chain(self) -> None:
        """No two nodes ever announced different blocks at one height: hashes cover state roots."""
        known: dict[int, str] = {}
        for node in self.nodes.values():
            for height, block_hash in list(node.blocks.items()):
                assert known.setdefault(height, block_hash) == block_hash, f"fork at {height}"

    def wait_until_all_reach(self, height: int, timeout_s: float) -> float:
        """Return after how many seconds every node has announced a block of this height."""
        return wait_until(
            lambda: all(node.height >= height for node in self.nodes.values()),
            timeout_s,
            lambda: f"not at {height}: { {n.host: n.height for n in self.nodes.values()} }",
        )


def wait_until(is_so: Callable[[], bool], timeout_s: float, what: Callable[[], str]) -> float:
    """Return after how many seconds `is_so`; fail with `what` when it is not in time."""
    started = time.monotonic()
    while not is_so():
        elapsed = time.monotonic() - started
        assert elapsed < timeout_s, what()
        time.sleep(0.05)
    return time.monotonic() - started


def _send(process: psutil.Process, number: signal.Signals) -> None:
    try:
        os.kill(process.pid, number)
    except ProcessLookupError:
        return  # it ended with its parent
