"""What a running contract may see and do, over an overlay that the caller keeps or throws away.

Rule 1: a contract reads and writes only keys of its own storage, within the named limits.
Rule 2: it pays only from its own account.
Rule 3: it sees a reading only with a proof that leads to an anchor on this chain.
Rule 4: a query changes nothing.
"""

from ledger.codec import canonical
from ledger.codec.merkle import verify_inclusion
from ledger.errors import CodecError
from ledger.params import (
    AMOUNT_MAX,
    CONTRACT_EVENT_BYTES_MAX,
    CONTRACT_EVENTS_MAX,
    CONTRACT_KEY_BYTES_MAX,
    CONTRACT_OUTPUT_BYTES_MAX,
    CONTRACT_STATE_CHANGE_BYTES_MAX,
    CONTRACT_VALUE_BYTES_MAX,
    PUBLIC_KEY_BYTES,
    READING_BYTES_MAX,
)
from ledger.ports import HostRefusedError
from ledger.state.accounts import get_account, move_balance
from ledger.state.keys import anchor_key, contract_storage_key
from ledger.state.overlay import Overlay
from ledger.state.plain_text import is_plain_text
from ledger.types.outcome import Event
from ledger.types.reading import Reading, ReadingProof
from ledger.types.records import AnchorRecord

EVENT_NAME_LENGTH_MAX = 48
_PROOF_BYTES_MAX = READING_BYTES_MAX + 1024  # a path of 16 hashes and the numbers beside it

_proofs = canonical.Decoder(ReadingProof)
_readings = canonical.Decoder(Reading)
_anchors = canonical.OwnDecoder(AnchorRecord)


class OverlayHost:
    """`ledger.ports.ContractHost` for one call of one contract."""

    def __init__(self, state: Overlay, contract: bytes, *, is_query: bool = False) -> None:
        self._state = state
        self._contract = contract
        self._is_query = is_query
        self._changed_bytes: dict[bytes, int] = {}
        self._changed_total = 0
        self._events: list[Event] = []
        self._event_bytes = 0

    @property
    def events(self) -> tuple[Event, ...]:
        """What the contract announced, in order."""
        return tuple(self._events)

    @property
    def event_bytes(self) -> int:
        """The sum of the events' sizes: address, name and data."""
        return self._event_bytes

    def load(self, key: bytes) -> bytes | None:
        """Return the contract's stored value, or None."""
        return self._state.get(self._storage_key(key))

    def store(self, key: bytes, value: bytes | None) -> None:
        """Store a value, or remove it with None. A value written twice counts once."""
        self._refuse_in_query("stores")
        storage_key = self._storage_key(key)
        size = 0 if value is None else len(value)
        if size > CONTRACT_VALUE_BYTES_MAX:
            raise HostRefusedError(f"a value has at most {CONTRACT_VALUE_BYTES_MAX} bytes: {size}")
        change = len(key) + size
        total = self._changed_total - self._changed_bytes.get(key, 0) + change
        if total > CONTRACT_STATE_CHANGE_BYTES_MAX:
            raise HostRefusedError(
                f"a call changes at most {CONTRACT_STATE_CHANGE_BYTES_MAX} bytes of state"
            )
        self._changed_bytes[key] = change
        self._changed_total = total
        if value is None:
            self._state.delete(storage_key)
        else:
            self._state.put(storage_key, value)

    def balance(self) -> int:
        """Return the SSP base units that the contract holds now."""
        return get_account(self._state, self._contract).balance

    def pay(self, to: bytes, amount: int) -> None:
        """Move SSP base units from the contract to an address."""
        self._refuse_in_query("pays")
        if len(to) != PUBLIC_KEY_BYTES:
            raise HostRefusedError(f"an address has {PUBLIC_KEY_BYTES} bytes, not {len(to)}")
        if not 0 <= amount <= AMOUNT_MAX:
            raise HostRefusedError(f"amount {amount} is outside 0..{AMOUNT_MAX}")
        refusal = move_balance(self._state, self._contract, to, amount)
        if refusal is not None:
            raise HostRefusedError(f"payment of {amount}: {refusal.detail}")

    def emit(self, name: str, data: bytes) -> None:
        """Announce an event; `data` is canonical MessagePack."""
        self._refuse_in_query("announces")
        if len(self._events) >= CONTRACT_EVENTS_MAX:
            raise HostRefusedError(f"a call announces at most {CONTRACT_EVENTS_MAX} events")
        if not (0 < len(name) <= EVENT_NAME_LENGTH_MAX and is_plain_text(name)):
            raise HostRefusedError(f"an event's name is one line of 1..{EVENT_NAME_LENGTH_MAX}")
        if len(data) > CONTRACT_EVENT_BYTES_MAX:
            raise HostRefusedError(f"an event carries at most {CONTRACT_EVENT_BYTES_MAX} bytes")
        size = len(self._contract) + len(name.encode()) + len(data)
        if self._event_bytes + size > CONTRACT_OUTPUT_BYTES_MAX:
            raise HostRefusedError(
                f"the events of a call have at most {CONTRACT_OUTPUT_BYTES_MAX} bytes in all"
            )
        self._event_bytes += size
        self._events.append(Event(contract=self._contract, name=name, data=data))

    def anchored_reading(self, proof: bytes) -> Reading:
        """Return the reading of a canonical `ReadingProof` after checking it against the chain."""
        if len(proof) > _PROOF_BYTES_MAX:
            raise HostRefusedError(f"a reading proof has at most {_PROOF_BYTES_MAX} bytes")
        try:
            evidence = _proofs.decode(proof)
            reading = _readings.decode(evidence.reading)
        except CodecError:
            # A decoder's own words differ between versions, and this line enters the outcome.
            raise HostRefusedError("the reading proof is not canonical") from None
        self._check_evidence(evidence, reading)
        return reading

    def _check_evidence(self, evidence: ReadingProof, reading: Reading) -> None:
        anchor = self._state.get(anchor_key(reading.device_id, evidence.anchor_first))
        if anchor is None:
            raise HostRefusedError(
                f"device {reading.device_id.hex()[:16]} has no anchor from sequence "
                f"{evidence.anchor_first}"
            )
        record = _anchors.decode(anchor)
        if evidence.index >= record.count:
            raise HostRefusedError(
                f"the anchor holds {record.count} readings, index {evidence.index} is none of them"
            )
        if reading.sequence != evidence.anchor_first + evidence.index:
            raise HostRefusedError(f"sequence {reading.sequence} does not stand at that index")
        if reading.profile_hash != record.profile_hash:
            raise HostRefusedError("the reading was made with another profile than the anchor's")
        if not verify_inclusion(
            evidence.reading, evidence.index, record.count, evidence.path, record.root
        ):
            raise HostRefusedError("the reading is not in the anchored Merkle tree")

    def _storage_key(self, key: bytes) -> bytes:
        if not 0 < len(key) <= CONTRACT_KEY_BYTES_MAX:
            raise HostRefusedError(f"a storage key has 1..{CONTRACT_KEY_BYTES_MAX} bytes")
        return contract_storage_key(self._contract, key)

    def _refuse_in_query(self, verb: str) -> None:
        if self._is_query:
            raise HostRefusedError(f"a query {verb} nothing")
