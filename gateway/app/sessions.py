"""Feeds contract sessions: readings that are final on the chain are recorded with their proofs.

Where a session stands is asked from the contract itself after each start, and the contract ignores
readings that it has seen, so a crash at any point neither skips nor doubles a reading.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_contracts.values import decode_value, encode_value
from gateway.app.ledger_link import LedgerLink
from gateway.app.registry import SessionBinding
from gateway.app.transactions import TransactionAuthor
from gateway.clock import Clock
from gateway.model.ledger_api import QueryReply
from gateway.pipeline.batch import build_batch, proofs_for
from gateway.pipeline.selection import select_for_session
from gateway.readings.store import ReadingsStore
from ledger.codec import canonical
from ledger.params import CONTRACT_ARGS_BYTES_MAX, CONTRACT_CALL_GAS_MAX
from ledger.types.reading import Reading
from ledger.types.transaction import CallContract

logger = logging.getLogger(__name__)

PURPOSE_RECORD = "record"
PROOFS_BYTES_MAX = CONTRACT_ARGS_BYTES_MAX * 3 // 4  # room for the session's name and framing
PROOFS_MAX = 48  # bounds the gas of one call
SEQUENCE_MAX = 2**63 - 1  # what a database and a contract can count to
SETTLED = "settled"
LOOK_AGAIN_NS = 60_000_000_000  # at an open session, beyond that
ASK_AGAIN_NS = 5_000_000_000  # a session that is paused may be resumed by its parties

_Record = tuple[Reading, bytes]  # and its canonical `ReadingProof`


@dataclass
class _Feed:
    """A bound session: the newest reading that is recorded or on its way."""

    device: str
    binding: SessionBinding
    sequence: int
    time_ms: int


class PageWitness(Protocol):
    """Hears what becomes of sessions, to make signed measurement records of it."""

    async def recorded(
        self, device: str, binding: SessionBinding, readings: Sequence[Reading]
    ) -> None:
        """Hear which readings were recorded, in order."""
        ...

    async def ended(self, device: str, binding: SessionBinding, last: Reading | None) -> None:
        """Hear that a session is settled; `last` is the newest reading that was recorded in it."""
        ...


class SessionRecorder:
    """Keeps each bound session up to date with its device's final readings."""

    def __init__(
        self,
        store: ReadingsStore,
        author: TransactionAuthor,
        ledger: LedgerLink,
        clock: Clock,
        witness: PageWitness | None = None,
    ) -> None:
        self._witness = witness
        self._clock = clock
        self._ask_again_ns: dict[tuple[str, SessionBinding], int] = {}
        self._store = store
        self._author = author
        self._ledger = ledger
        self._bindings: tuple[tuple[str, SessionBinding], ...] = ()
        self._feeds: dict[tuple[str, SessionBinding], _Feed | None] = {}
        self._calls: dict[bytes, tuple[str, SessionBinding]] = {}

    def bind(self, bindings: Sequence[tuple[str, SessionBinding]]) -> None:
        """Feed exactly these (device, session) pairs from now on."""
        self._bindings = tuple(bindings)
        self._ask_again_ns.clear()
        self.forget()

    def forget(self) -> None:
        """Ask the contracts again where their sessions stand.

        One that was asked a moment ago waits its turn, so that a contract which cannot answer does
        not hold up the other sessions.
        """
        self._feeds.clear()

    def transaction_settled(self, transaction_id: bytes, failure: str) -> None:
        """Ask again where a session stands when a call for it failed: it may be paused or over."""
        key = self._calls.pop(transaction_id, None)
        if key is not None and failure:
            logger.warning("session %s of %s: %s", key[1].session, key[0], failure)
            self._feeds[key] = None
            self._ask_again_ns[key] = self._clock.monotonic_ns() + ASK_AGAIN_NS

    async def round(self, pending_max: int) -> None:
        """Record what has become final since the last round; raises `MessagingError`."""
        for key in self._bindings:
            feed = await self._find_feed(key)
            if feed is None:
                continue
            while await self._advance(feed, pending_max):
                pass

    async def _find_feed(self, key: tuple[str, SessionBinding]) -> _Feed | None:
        """Return where a session stands, asking its contract when nothing is known, or not lately.

        An open session is asked now and then too: it may have been settled while its device was silent.
        """
        now_ns = self._clock.monotonic_ns()
        feed = self._feeds.get(key)
        due_ns = self._ask_again_ns.get(key, 0)
        if now_ns >= due_ns + (0 if feed is None else LOOK_AGAIN_NS):
            self._ask_again_ns[key] = now_ns + ASK_AGAIN_NS
            if feed is None or not self._author.is_recording(key[1].contract):
                self._feeds[key] = await self._ask_feed(*key)
        return self._feeds.get(key)

    async def _ask_feed(self, device: str, binding: SessionBinding) -> _Feed | None:
        """Return where the session stands on the chain; None when it takes no readings now.

        While calls for it are on their way, the chain's answer would be out of date.
        """
        if self._author.is_recording(binding.contract):
            return None
        reply = await self._ledger.call(
            "query",
            {
                "contract": binding.contract.hex(),
                "method": "session",
                "args": encode_value({"session": binding.session}).hex(),
            },
            QueryReply,
        )
        if not reply.ok:
            logger.warning("session %s of %s: %s", binding.session, device, reply.refusal)
            return None
        session = decode_value(bytes.fromhex(reply.result))
        if not isinstance(session, dict):
            return None
        if session.get("state") != "open":
            await self._tell_end(device, binding, session)
            return None
        sequence, time_ms = _number(session, "sequence"), _number(session, "time_ms")
        if not 0 <= sequence < SEQUENCE_MAX:
            logger.warning(
                "session %s of %s: sequence %d is none", binding.session, device, sequence
            )
            return None
        newest = self._store.newest_batch(device)
        if sequence == 0 and newest is not None:
            sequence = newest.last - 1  # a new session starts from the newest anchored reading
        return _Feed(device, binding, sequence, time_ms)

    async def _tell_end(
        self, device: str, binding: SessionBinding, session: Mapping[str, object]
    ) -> None:
        """Let the witness mark the end of a settled session."""
        sequence = _number(session, "sequence")
        if self._witness is None or session.get("state") != SETTLED:
            return
        last = self._store.get(device, sequence) if 0 < sequence < SEQUENCE_MAX else None
        await self._witness.ended(device, binding, None if last is None else last.reading)

    async def _advance(self, feed: _Feed, pending_max: int) -> bool:
        """Record the next batch, if it is final and as far as there is room; tell whether to go on."""
        if self._store.pending_count() >= pending_max:
            return False
        record = self._store.next_final_batch(feed.device, feed.sequence)
        if record is None:
            return False
        if record.first > feed.sequence + 1:
            logger.warning("%s: readings before %d are pruned", feed.device, record.first)
        stored = self._store.range(record.device, record.first, record.count)
        batch = build_batch(record.device_id, record.profile_hash, stored)
        chosen = select_for_session(
            [one.reading for one in stored],
            feed.sequence,
            feed.time_ms,
            feed.binding.record_every_ms,
        )
        proofs = proofs_for(batch)
        records = [(one, canonical.encode(proofs[one.sequence - batch.first])) for one in chosen]
        for group in _split(records):
            if self._store.pending_count() >= pending_max:
                return False
            await self._call(feed, [proof for _, proof in group])
            newest = group[-1][0]
            feed.sequence, feed.time_ms = newest.sequence, newest.gateway_time_ms
            if self._witness is not None:
                await self._witness.recorded(
                    feed.device, feed.binding, [reading for reading, _ in group]
                )
        return True

    async def _call(self, feed: _Feed, proofs: list[bytes]) -> None:
        body = CallContract(
            contract=feed.binding.contract,
            method="record",
            args=encode_value({"session": feed.binding.session, "proofs": list(proofs)}),
            deposit=0,
            gas_limit=CONTRACT_CALL_GAS_MAX,
        )
        entry = await self._author.issue(body, PURPOSE_RECORD)
        self._calls[entry.transaction_id] = (feed.device, feed.binding)


def _split(records: list[_Record]) -> Iterator[list[_Record]]:
    """Yield the readings and their proofs in groups that fit one call each."""
    group: list[_Record] = []
    size = 0
    for reading, proof in records:
        if group and (len(group) == PROOFS_MAX or size + len(proof) > PROOFS_BYTES_MAX):
            yield group
            group, size = [], 0
        group.append((reading, proof))
        size += len(proof)
    yield group


def _number(session: Mapping[str, object], name: str) -> int:
    value = session.get(name)
    return value if isinstance(value, int) else 0
