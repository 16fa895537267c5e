"""The three other gateways of the demonstration: real processes with brokers and keys of their own."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping

from gateway.app.founding import NetworkOptions, found_network, make_card
from gateway.app.operator import Operator
from gateway.app.provision import Membership, initialise
from gateway.clock import Clock
from gateway.ledger_host.peers.addresses import format_peer
from gateway.model.ledger_api import BlockReply
from gateway.settings import Home, write_atomic
from gateway.smart_agent.providers.registry import DEFAULT_URI
from ledger.codec.text import parse_address
from ledger.network.wire import PeerAddress
from ledger.types.genesis import Genesis

NAMES = ("bakery", "garage", "school")
VICTIM = "garage"  # the one that is killed
FOLDER = "neighbours"

Ports = Callable[[], int]
Start = Callable[[Home], "subprocess.Popen[bytes]"]


def neighbour_homes(home: Home) -> dict[str, Home]:
    """Return the homes of the other gateways, which lie inside the demonstration's own."""
    return {name: Home(home.path / FOLDER / name) for name in NAMES}


def found_with_neighbours(
    home: Home, options: NetworkOptions, clock: Clock, find_free_port: Ports
) -> Membership:
    """Make four identities, a genesis of them, and the three other homes; return the own membership."""
    homes = {"": home, **neighbour_homes(home)}
    for one in homes.values():
        one.path.mkdir(parents=True, exist_ok=True)
    cards = [make_card(one, DEFAULT_URI) for one in homes.values()]
    genesis = found_network(cards, "demo", clock, options)
    addresses = {
        name: PeerAddress(parse_address(card.node), "127.0.0.1", find_free_port())
        for name, card in zip(homes, cards, strict=True)
    }
    memberships = {name: _membership(name, genesis, addresses) for name in homes}
    for name, one in homes.items():
        if name:
            listen = f"127.0.0.1:{find_free_port()}"
            initialise(one, name, clock, listen=listen, membership=memberships[name])
            settings = one.settings.read_text()
            settings = settings.replace("interfaces = []", 'interfaces = ["127.0.0.1"]')
            write_atomic(one.settings, settings.encode())
    return memberships[""]


def _membership(name: str, genesis: Genesis, addresses: Mapping[str, PeerAddress]) -> Membership:
    own = addresses[name]
    peers = tuple(format_peer(peer) for other, peer in addresses.items() if other != name)
    return Membership(genesis=genesis, listen=f"{own.host}:{own.port}", peers=peers)


class Neighbours:
    """Their processes; one is killed and comes back."""

    def __init__(self, homes: Mapping[str, Home], start: Start) -> None:
        self._homes = homes
        self._start = start
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def alive(self) -> int:
        """How many of them run."""
        return sum(process.poll() is None for process in self._processes.values())

    def start(self) -> None:
        """Start all of them."""
        for name, home in self._homes.items():
            self._processes[name] = self._start(home)

    def kill_one(self) -> None:
        """Kill one at once: its supervisor, with which its processes die."""
        process = self._processes[VICTIM]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def bring_back(self) -> None:
        """Start it again."""
        self._processes[VICTIM] = self._start(self._homes[VICTIM])

    def ask_for_block(self, name: str, height: int, timeout_s: float) -> BlockReply:
        """Return a final block as one of them has it; raises `MessagingError` while it has none."""
        with Operator(self._homes[name], "smartshare-demo", timeout_s) as operator:
            return operator.ask("block", {"height": height}, BlockReply)
