"""How many connections there are, in all and per address. A surplus one is closed at once."""

from collections import Counter

from gateway.broker.settings import BrokerSettings


class ConnectionGate:
    """Counts; nothing ever waits here, so silent connections cannot lock others out."""

    def __init__(self, limits: BrokerSettings) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()
        self.connections = 0
        self.refused = 0

    def enter(self, address: str) -> bool:
        """Count a new connection, or refuse it; each that entered must leave."""
        is_full = self.connections >= self._limits.connections_max
        if is_full or self._by_address[address] >= self._limits.connections_per_address_max:
            self.refused += 1
            return False
        self.connections += 1
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        """Give the place back."""
        self.connections -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
