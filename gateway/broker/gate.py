"""How many connections there are, in all and per network. A surplus one is closed at once.

One network may connect only so often. Peers that have not proved who they are have fewer places, so silent or guessing strangers leave
room for devices; some places are for this machine only, so nobody locks the gateway's services out.
"""

from collections import Counter

from gateway.broker.addresses import LOOPBACK, network_of
from gateway.broker.rates import RateLimits
from gateway.broker.settings import BrokerSettings


class Place:
    """What one connection takes up; given back by `leave`, once."""

    __slots__ = ("_gate", "is_authenticated", "network")

    def __init__(self, gate: "ConnectionGate", network: str) -> None:
        self._gate = gate
        self.network = network
        self.is_authenticated = False

    def authenticated(self) -> None:
        """Note that the peer has proved who it is."""
        if not self.is_authenticated:
            self.is_authenticated = True
            self._gate.unauthenticated.subtract((self.network,))

    def leave(self) -> None:
        """Give the place back."""
        self.authenticated()
        self._gate.by_network.subtract((self.network,))
        self._gate.forget(self.network)


class ConnectionGate:
    """Counts; nothing ever waits here, so silent connections cannot lock others out."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._limits = limits
        self.connections_max = limits.connections_max
        self.by_network: Counter[str] = Counter()
        self.unauthenticated: Counter[str] = Counter()
        self.refused = 0
        self._rates = RateLimits(
            limits.connects_per_s_per_address, limits.connects_burst_per_address
        )

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return self.by_network.total()

    def enter(self, address: str, now_ns: int) -> Place | None:
        """Return a place for a new connection, or None to refuse it."""
        network = network_of(address)
        is_too_fast = network != LOOPBACK and not self._rates.take(network, 1, now_ns)
        if is_too_fast or not self._has_room(network):
            self.refused += 1
            return None
        self.by_network[network] += 1
        self.unauthenticated[network] += 1
        return Place(self, network)

    def forget(self, network: str) -> None:
        """Keep no count of a network without connections."""
        if not self.by_network[network]:
            del self.by_network[network]
            del self.unauthenticated[network]

    def _has_room(self, network: str) -> bool:
        limits = self._limits
        reserved = limits.connections_loopback_reserved
        connections_max, unauthenticated_max = self.connections_max, limits.unauthenticated_max
        if network == LOOPBACK:
            unauthenticated_max += reserved
        else:
            connections_max -= reserved
            if self.unauthenticated[network] >= limits.unauthenticated_per_address_max:
                return False
        return (
            self.connections < connections_max
            and self.by_network[network] < limits.connections_per_address_max
            and self.unauthenticated.total() < unauthenticated_max
        )
