"""The ledger's side of a running contract: serves a worker's requests from a `ContractHost`.

What comes from a worker is hostile: everything is decoded, checked against the manifest and limited
again before it reaches the chain.
"""

from edge_contracts.errors import ValueFormatError
from edge_contracts.manifest import Manifest
from edge_contracts.messages import HostReply, HostRequest
from edge_contracts.value_types import conform
from edge_contracts.values import Value, decode_value, encode_value
from ledger.params import (
    CONTRACT_EVENT_BYTES_MAX,
    CONTRACT_OUTPUT_BYTES_MAX,
    CONTRACT_VALUE_BYTES_MAX,
    PUBLIC_KEY_BYTES,
)
from ledger.ports import ContractHost, HostRefusedError
from ledger.types.reading import Reading

_CHANGING = frozenset({"set", "pay", "emit"})


class HostDesk:
    """Serves the requests of one call."""

    def __init__(self, host: ContractHost, manifest: Manifest, *, is_query: bool) -> None:
        self._host = host
        self._manifest = manifest
        self._is_query = is_query
        self._event_bytes = 0

    @property
    def event_bytes(self) -> int:
        """The sum of the announced events' sizes, as every node stores them."""
        return self._event_bytes

    def serve(self, request: HostRequest) -> HostReply:
        """Return the chain's answer, or its refusal."""
        if self._is_query and request.operation in _CHANGING:
            return HostReply(refused="a query changes nothing")
        try:
            return self._perform(request)
        except (HostRefusedError, ValueFormatError) as error:
            return HostReply(refused=str(error))

    def _perform(self, request: HostRequest) -> HostReply:
        match request.operation:
            case "get":
                return HostReply(data=self._host.load(request.key))
            case "set":
                self._store(request.key, request.data)
                return HostReply()
            case "balance":
                return HostReply(amount=self._host.balance())
            case "pay":
                self._host.pay(request.key, request.amount)
                return HostReply()
            case "emit":
                self._emit(request.key, request.data or b"")
                return HostReply()
            case "reading":
                reading = self._host.anchored_reading(request.data or b"")
                return HostReply(data=encode_value(describe_reading(reading)))
            case _:
                raise HostRefusedError("no such function")

    def _store(self, key: bytes, data: bytes | None) -> None:
        if data is not None:
            decode_value(data, CONTRACT_VALUE_BYTES_MAX)
        self._host.store(key, data)

    def _emit(self, key: bytes, data: bytes) -> None:
        name = key.decode(errors="replace")
        fields = self._manifest.events.get(name)
        if fields is None:
            raise HostRefusedError(f"event {name[:48]!a} is not in the manifest")
        value = conform(decode_value(data, CONTRACT_EVENT_BYTES_MAX), fields, f"event {name}")
        encoded = encode_value(value, CONTRACT_EVENT_BYTES_MAX)
        size = PUBLIC_KEY_BYTES + len(key) + len(encoded)  # the contract's address, name, fields
        if self._event_bytes + size > CONTRACT_OUTPUT_BYTES_MAX:
            raise HostRefusedError(
                f"the events of a call have at most {CONTRACT_OUTPUT_BYTES_MAX} bytes in all"
            )
        self._host.emit(name, encoded)
        self._event_bytes += size


def describe_reading(reading: Reading) -> Value:
    """Return a reading as contracts see it; a value or time that is missing is absent."""
    quantities: dict[str, Value] = {}
    for quantity in reading.quantities:
        described: dict[str, Value] = {"scale": quantity.scale, "unit": quantity.unit}
        if quantity.value is not None:
            described["value"] = quantity.value
        quantities[quantity.name] = described
    described_reading: dict[str, Value] = {
        "device": reading.device_id,
        "profile": reading.profile_hash,
        "sequence": reading.sequence,
        "time_ms": reading.gateway_time_ms,
        "clock": reading.clock.name.lower(),
        "quantities": quantities,
    }
    if reading.source_time_ms is not None:
        described_reading["source_time_ms"] = reading.source_time_ms
    return described_reading
