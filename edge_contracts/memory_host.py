"""A chain in memory for trying contracts: storage, payments, and readings that need no anchor.

A proof is the canonical contract value of the reading itself (see `parse_reading`).
"""

from dataclasses import dataclass, field

import msgspec

from edge_contracts.errors import ValueFormatError
from edge_contracts.value_types import conform, parse_record
from edge_contracts.values import decode_value
from ledger.ports import HostRefusedError
from ledger.types.reading import ClockStatus, Reading

_READING = parse_record(
    {
        "device": "address",
        "sequence": "int",
        "time_ms": "int",
        "source_time_ms": "int?",
        "clock": "text?",
        "quantities": "any",
    },
    "reading",
)
_QUANTITY = parse_record({"value": "int?", "scale": "int", "unit": "text"}, "quantity")


@dataclass(slots=True)
class MemoryHost:
    """`ledger.ports.ContractHost` in memory; payments may not exceed what the contract holds."""

    storage: dict[bytes, bytes] = field(default_factory=dict)
    held: int = 0
    paid: dict[bytes, int] = field(default_factory=dict)
    events: list[tuple[str, bytes]] = field(default_factory=list)

    def copy(self) -> "MemoryHost":
        """Return a copy without events, for the next call."""
        return MemoryHost(dict(self.storage), self.held, dict(self.paid))

    def load(self, key: bytes) -> bytes | None:
        """Return the stored value."""
        return self.storage.get(key)

    def store(self, key: bytes, value: bytes | None) -> None:
        """Store or remove a value."""
        if value is None:
            self.storage.pop(key, None)
        else:
            self.storage[key] = value

    def balance(self) -> int:
        """Return what the contract holds."""
        return self.held

    def pay(self, to: bytes, amount: int) -> None:
        """Pay from what the contract holds."""
        if not 0 <= amount <= self.held:
            raise HostRefusedError(f"payment of {amount}: the contract holds {self.held}")
        self.held -= amount
        self.paid[to] = self.paid.get(to, 0) + amount

    def emit(self, name: str, data: bytes) -> None:
        """Collect an event."""
        self.events.append((name, data))

    def anchored_reading(self, proof: bytes) -> Reading:
        """Return the reading that `test.proof` wrote into the proof."""
        try:
            return parse_reading(proof)
        except ValueFormatError as error:
            raise HostRefusedError(f"reading proof: {error}") from None


def parse_reading(proof: bytes) -> Reading:
    """Return the reading that a trial proof describes; raise `ValueFormatError`."""
    fields = conform(decode_value(proof), _READING, "reading")
    assert isinstance(fields, dict)
    described = fields["quantities"] or {}  # an empty Lua table arrives as an array
    if not isinstance(described, dict):
        raise ValueFormatError("reading.quantities is not a record")
    quantities = []
    for name, entry in described.items():
        quantity = conform(entry, _QUANTITY, f"quantity {name}")
        assert isinstance(quantity, dict)
        quantities.append([name, quantity.get("value"), quantity["scale"], quantity["unit"]])
    clock = str(fields.get("clock", "synchronised")).upper()
    if clock not in ClockStatus.__members__:
        raise ValueFormatError(f"reading.clock: {clock.lower()!a} is no clock status")
    times = [fields.get("source_time_ms"), fields["time_ms"]]
    raw = [fields["device"], fields["sequence"], bytes(32), *times, ClockStatus[clock].value]
    try:
        return msgspec.convert([*raw, quantities, bytes(16)], Reading)
    except msgspec.ValidationError as error:
        raise ValueFormatError(f"reading: {error}") from None
