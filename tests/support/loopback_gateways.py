"""Real gateways on loopback: each with a home, three processes, and commands as its operator types them."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from gateway.app.founding import NetworkOptions, found_network, make_card, read_card
from gateway.app.operator import Operator
from gateway.app.provision import Membership, initialise
from gateway.clock import SystemClock
from gateway.ledger_host.peers.addresses import format_peer
from gateway.settings import Home, write_atomic
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import parse_address
from ledger.network.wire import PeerAddress
from ledger.types.genesis import Genesis
from tests.support.node import SERVICES, Process, find_free_port
from tests.support.own_clock import OwnClock

WAIT_S = 240.0  # a machine that does other things as well; nothing here is a promise about time
COMMAND_S = 120.0
T = TypeVar("T")


class LoopbackGateway:
    """One gateway. Its processes run on a clock that the test may set ahead."""

    def __init__(self, home: Home, clock: OwnClock, peer_port: int) -> None:
        self.home = home
        self.log = home.path.with_suffix(".log")
        self.peer_port = peer_port
        self._clock = clock
        self._processes: dict[str, Process] = {}

    @property
    def node(self) -> str:
        """Its node id as people write it."""
        return read_card(self.home.card).node

    @property
    def address(self) -> PeerAddress:
        """Where its peers reach it."""
        return PeerAddress(parse_address(self.node), "127.0.0.1", self.peer_port)

    def start(self, *services: str) -> None:
        """Start its processes and wait until each says that it is ready."""
        for name in services or SERVICES:
            own = ("-m", "tests.support.own_clock", str(self._clock.path))
            command = (*own, name, "--home", str(self.home.path))
            self._processes[name] = Process(command, self.log)
        for name in services or SERVICES:
            self._processes[name].wait_ready()

    def stop(self) -> None:
        """Let them stop in order, those that need others first."""
        for name in reversed(SERVICES):
            if name in self._processes:
                self._processes.pop(name).stop()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command on its home, on the same clock."""
        command = (sys.executable, "-m", "tests.support.own_clock", str(self._clock.path))
        ended = subprocess.run(
            (*command, *arguments, "--home", str(self.home.path)),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def say(self, *arguments: str) -> str:
        """Run a command that must succeed; return what it says."""
        ended = self.run(*arguments)
        assert ended.returncode == 0, f"{arguments}: {ended.stderr}{ended.stdout}"
        return ended.stdout

    def ask(self, *arguments: str) -> Any:
        """Run a command that must succeed; return its document."""
        return msgspec.json.decode(self.say(*arguments, "--json"))

    def query(self, verb: str, reply: type[T]) -> T:
        """Ask its ledger without a process for it: for what is asked again and again."""
        with Operator(self.home) as operator:
            return operator.ask(verb, {}, reply)

    def refuse(self, *arguments: str) -> str:
        """Run a command that must fail with one line; return the line."""
        ended = self.run(*arguments)
        assert ended.returncode == 1, f"{arguments}: {ended.stderr}{ended.stdout}"
        (line,) = ended.stderr.splitlines()
        return line


class LoopbackGateways:
    """Founders of one network and who joins it, as a context manager."""

    def __init__(
        self,
        folder: Path,
        founders: Sequence[str],
        change_genesis: Callable[[Genesis], Genesis] = lambda genesis: genesis,
        *,
        slot_ms: int = 500,
        foundation: str | None = None,
    ) -> None:
        self._folder = folder
        self.clock = OwnClock(folder / "clock")
        self.gateways = {name: self._make(name) for name in founders}
        cards = [read_card(one.home.card) for one in self.gateways.values()]
        options = NetworkOptions(
            slot_ms,
            heartbeat_ms=slot_ms,
            foundation=None if foundation is None else parse_address(foundation),
        )
        self.genesis = change_genesis(found_network(cards, "loopback", SystemClock(), options))
        for name, one in self.gateways.items():
            others = [other for other in self.gateways.values() if other is not one]
            self._initialise(name, one, others)

    def _make(self, name: str) -> LoopbackGateway:
        home = Home(self._folder / name)
        make_card(home, DEFAULT_URI)
        return LoopbackGateway(home, self.clock, find_free_port())

    def _initialise(
        self, name: str, one: LoopbackGateway, others: Sequence[LoopbackGateway]
    ) -> None:
        membership = Membership(
            genesis=self.genesis,
            listen=f"127.0.0.1:{one.peer_port}",
            peers=tuple(format_peer(other.address) for other in others),
        )
        listen = f"127.0.0.1:{find_free_port()}"
        initialise(one.home, name, SystemClock(), listen=listen, membership=membership)
        settings = one.home.settings.read_text().replace("enabled = true ", "enabled = false")
        write_atomic(one.home.settings, settings.encode())

    def join(self, name: str) -> LoopbackGateway:
        """Make one more gateway that knows everybody who is there; it is not started."""
        others = list(self.gateways.values())
        self.gateways[name] = self._make(name)
        self._initialise(name, self.gateways[name], others)
        return self.gateways[name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, one in self.gateways.items():
            one.stop()
            if kind is not None and one.log.exists():
                print(f"--- {name}\n{one.log.read_text()[-4000:]}")


def until(ask: Callable[[], T | None], timeout_s: float = WAIT_S) -> T:
    """Return the first answer that is true: other processes need their time."""
    deadline = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.3)
    return answer
