"""The readings store: takes observations, makes them readings, answers when they are on disk.

Rule 1: a device's sequences count from 1 without a gap, over every restart; only what is
committed uses one up.
Rule 2: what was signed is saved before it is sent, together with the batch that it anchors.
Rule 3: after the first failed write the store refuses everything; the process ends and starts anew.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, Self

from gateway.clock import Clock
from gateway.errors import Rejected, RejectReason, StoreError
from gateway.model.observation import Decoded, Measured, Observation
from gateway.pipeline.batch import Backlog, Batch
from gateway.ports import DeviceMessages, StoreDone, TelemetrySource
from gateway.readings import bookkeeping
from gateway.readings.commit_queue import CommitQueue
from gateway.readings.exchanges import ExchangeLog
from gateway.readings.faults import store_faults
from gateway.readings.owner_lock import OwnerLock
from gateway.readings.pages import read_log
from gateway.readings.progress import ProgressBook, find_positions
from gateway.readings.queries import ReadingsQueries
from gateway.readings.recent import RecentReadings
from gateway.readings.records import DeviceRecord, OutboxEntry, Pruned, SettlementStatus
from gateway.readings.retention import Limits, prune_chunk
from gateway.readings.runs import Run, decode_reading
from gateway.readings.schema import close_clean, closed_on_error, open_reader, open_writer
from gateway.readings.sealing import SECRET_BYTES, DeviceSealer, compute_device_id
from gateway.readings.single_reading import SingleReading
from gateway.readings.unconfirmed import UnconfirmedLog
from ledger.types.reading import Reading

__all__ = ["OutboxEntry", "ReadingsStore"]

CLOCK_STATUS_MS = 1_000  # the kernel is asked this often whether its clock is synchronised
RETENTION_MS = 7 * 24 * 3_600_000  # a week of readings to look back on
RETENTION_BYTES_MAX = 2 * 1024**3  # leaves most of the smallest usual card, 16 GB


class ReadingsStore(ReadingsQueries):
    """The database of this gateway. `submit` and all that writes is for the event loop's thread.

    Reads may come from any thread. It is an `ObservationSink`.
    """

    def __init__(self, path: Path, clock: Clock, node_id: bytes, lock: OwnerLock) -> None:
        """Use `open`."""
        writer = open_writer(path)
        with closed_on_error(writer):
            super().__init__(path, open_reader(path))
        with closed_on_error(writer), closed_on_error(self._reader), store_faults(path):
            logged = read_log(writer)
            positions = find_positions(writer, logged)
            self._sealers = bookkeeping.load_sealers(writer, positions)
        self.stored = 0  # readings since the start
        self._names = {one.key: name for name, one in self._sealers.items()}
        self._news: dict[int, Run] = {}
        self._recent = RecentReadings(logged)
        self._progress = ProgressBook(positions)
        self._lock = lock
        self._clock = clock
        self._node_id = node_id
        self._writer = writer
        self._queue = CommitQueue(writer, path, clock, self._recent, self._note_stored)
        self.unconfirmed = UnconfirmedLog(self._queue)  # what an external broker may send again
        self.exchanges = ExchangeLog(self._queue)  # what our own broker's clients may
        self._is_closed = False
        self._turn_ms = 0  # the wall clock in this turn of the event loop; 0: not read yet
        self._clock_status = clock.status()
        self._clock_status_ms = clock.now_ms()

    @classmethod
    def open(cls, path: Path, clock: Clock, node_id: bytes) -> Self:
        """Open or create the database and own it; raises `StoreError`.

        `node_id` is this gateway's 32-byte identity, which its devices' ids are made from.
        """
        lock = OwnerLock(path)
        with closed_on_error(lock):
            return cls(path, clock, node_id, lock)

    def close(self) -> None:
        """Write and answer what waits, then give the file back; raises `StoreError`."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            self._queue.close()
            if not self._queue.failed.is_set():
                close_clean(self._writer, self.path, self._clock.now_ms())
        finally:
            self._reader.close()
            self._writer.close()  # the last connection: it folds the log into the file
            self._lock.close()

    @property
    def failure(self) -> StoreError | None:
        """Why the store takes nothing any more, or None."""
        return self._queue.failure

    @property
    def problem(self) -> str:
        """One line for people while nothing can be stored and that may pass, else empty."""
        return self._queue.problem

    async def watch(self) -> NoReturn:
        """Wait until a write fails and raise its `StoreError`: the process must end then."""
        await self._queue.failed.wait()
        assert self._queue.failure is not None
        raise self._queue.failure

    def register_device(self, name: str, profile_hash: bytes) -> DeviceRecord:
        """Make a device known, or change its profile from its next reading on. Idempotent."""
        sealer = self._sealers.get(name)
        if sealer is None:
            sealer = self._sealers[name] = self._add_device(name, profile_hash)
        elif sealer.profile_hash != profile_hash:
            self._queue.run_now(
                partial(bookkeeping.save_profile, device=sealer.key, profile_hash=profile_hash)
            )
            sealer.profile_hash = profile_hash
        return DeviceRecord(name, sealer.device_id, profile_hash, sealer.next_sequence)

    def submit(self, observation: Observation, done: StoreDone) -> None:
        """Store an observation; `done` is called on the event loop after its commit, or refused.

        Never calls `done` before it returns. Readings of one device are stored and answered in the
        order of their submission.
        """
        sealer = self._sealers.get(observation.device)
        if sealer is None or self._queue.failure is not None or self._queue.is_full:
            refusal = self._explain_refusal(observation.device)
            asyncio.get_running_loop().call_soon(done, refusal)
            return
        now_ms = self._turn_ms or self._read_clock()
        stored = sealer.seal(observation, now_ms, self._clock_status)
        if isinstance(stored, Rejected):
            asyncio.get_running_loop().call_soon(done, stored)
            return
        sequence = stored.reading.sequence
        self._queue.put(sealer.key, sequence, [stored.encoded], SingleReading(stored, done))

    def take(
        self, messages: Sequence[DeviceMessages], decoded: Sequence[Sequence[Decoded]]
    ) -> None:
        """Store what messages measured; sources are told of each after the commit, in their order."""
        queue, sealers = self._queue, self._sealers
        now_ms = self._turn_ms or self._read_clock()
        for message, outcomes in zip(messages, decoded, strict=True):
            source, note, sealer = message.source, message.note, sealers.get(message.device)
            if sealer is None or queue.is_full or queue.failure is not None:
                self._refuse(source, message.device, outcomes)
                continue
            sequence = sealer.next_sequence
            sealed = sealer.seal_all(outcomes, now_ms, self._clock_status)
            if note is None and sealer.next_sequence - sequence == len(sealed):
                queue.put(sealer.key, sequence, sealed, source)  # type: ignore[arg-type]  # all are bytes
                continue
            for one in sealed:
                if isinstance(one, bytes):
                    if note is not None:
                        note()
                    queue.put(sealer.key, sequence, [one], source)
                    sequence += 1
                else:
                    queue.pass_over(source, one)

    def take_news(self) -> dict[str, Reading]:
        """Return the newest reading of each device that stored one since this was last asked."""
        news, self._news = self._news, {}
        return {self._names[key]: decode_reading(run.readings[-1]) for key, run in news.items()}

    async def save_batch(
        self, device: str, batch: Batch, anchor: OutboxEntry, *, patience_s: float = 0
    ) -> None:
        """Keep a batch and its signed anchor in one commit, before the anchor is sent.

        `patience_s` is how long it may wait for readings to be committed with.
        Raises `StoreError` if the batch does not start right after the device's newest one.
        """
        key = self._sealers[device].key
        save = partial(
            bookkeeping.save_batch,
            device=key,
            batch=batch,
            entry=anchor,
            created_ms=self._clock.now_ms(),
        )
        if await self._queue.run(save, self._note_unanchored, patience_s=patience_s) is None:
            raise StoreError(
                f"readings store {self.path}: the batch of {device} from {batch.first} does not "
                "follow the batch before it"
            )

    async def mark_batch_final(
        self, transaction_id: bytes, height: int, evidence: bytes, *, patience_s: float = 0
    ) -> None:
        """Note that a batch's anchor is final; raises `StoreError` if no such batch is pending."""
        job = partial(
            bookkeeping.mark_batch_final,
            transaction_id=transaction_id,
            height=height,
            evidence=evidence,
        )
        if not await self._queue.run(job, patience_s=patience_s):
            raise self._not_pending(transaction_id)

    async def mark_batch_failed(self, transaction_id: bytes, height: int) -> None:
        """Give up a batch whose anchor failed, and the device's later batches that build on it.

        Their readings are unanchored again. Raises `StoreError` if no such batch is pending.
        """
        job = partial(bookkeeping.mark_batch_failed, transaction_id=transaction_id, height=height)
        if await self._queue.run(job, self._note_unanchored) is None:
            raise self._not_pending(transaction_id)

    async def save_transaction(self, entry: OutboxEntry) -> None:
        """Keep a signed transaction before it is sent."""
        job = partial(bookkeeping.save_transaction, entry=entry, created_ms=self._clock.now_ms())
        await self._queue.run(job)

    async def mark_transaction(
        self, transaction_id: bytes, status: SettlementStatus, height: int
    ) -> None:
        """Note what became of a kept transaction that anchors no batch.

        Raises `StoreError` if it is not pending.
        """
        job = partial(
            bookkeeping.mark_transaction,
            transaction_id=transaction_id,
            status=status,
            height=height,
        )
        if not await self._queue.run(job):
            raise self._not_pending(transaction_id)

    def backlogs(self) -> dict[str, Backlog]:
        """Return what waits for a batch, by name, of the devices where something does.

        From memory: cheap enough to ask in every round. For the event loop's thread.
        """
        found = ((name, self._progress.backlog(one.key)) for name, one in self._sealers.items())
        return {name: backlog for name, backlog in found if backlog is not None}

    async def prune(
        self,
        now_ms: int | None,
        age_max_ms: int = RETENTION_MS,
        bytes_max: int = RETENTION_BYTES_MAX,
    ) -> Pruned:
        """Drop the oldest batches with their readings until nothing more is over the limits.

        Only what is final or failed for good goes, in chunks between which new readings are stored.
        `now_ms` is a time that can be trusted; without one (None) nothing goes for its age.
        """
        limits = Limits(None if now_ms is None else now_ms - age_max_ms, bytes_max)
        batches = readings = transactions = 0
        while True:
            prune = partial(prune_chunk, limits=limits)
            chunk = await self._queue.run(prune, with_empty_log=True)
            batches += chunk.batches
            readings += chunk.readings
            transactions += chunk.transactions
            if not chunk.batches and not chunk.transactions:
                return Pruned(batches, readings, transactions, chunk.bytes_used)

    def _recent_run(self, device: int) -> Run | None:
        return self._recent.of(device)

    def _recent_runs(self) -> Mapping[int, Run]:
        return self._recent.all()

    def _read_clock(self) -> int:
        """Return the wall clock in ms for this turn of the event loop.

        The kernel is asked now and then how far it can be trusted.
        """
        now_ms = self._turn_ms = max(0, self._clock.now_ms())  # a reading has no time before 1970
        asyncio.get_running_loop().call_soon(self._end_turn)
        if not 0 <= now_ms - self._clock_status_ms < CLOCK_STATUS_MS:
            self._clock_status = self._clock.status()
            self._clock_status_ms = now_ms
        return now_ms

    def _end_turn(self) -> None:
        self._turn_ms = 0

    def _note_stored(self, runs: Mapping[int, Run], count: int) -> None:
        self._progress.add(runs.values())
        self._news.update(runs)
        self.stored += count

    def _note_unanchored(self, found: tuple[int, int] | None) -> None:
        """Note a device's first sequence without a standing batch, as a commit left it."""
        if found is None:
            return
        device, unanchored = found
        oldest_ms = None
        if self._progress.is_behind(device, unanchored):
            oldest_ms = self._find_time_ms(device, unanchored)
        self._progress.put(device, unanchored, oldest_ms)

    def _add_device(self, name: str, profile_hash: bytes) -> DeviceSealer:
        secret = secrets.token_bytes(SECRET_BYTES)
        device_id = compute_device_id(self._node_id, secret)
        key = self._queue.run_now(
            partial(
                bookkeeping.save_device,
                name=name,
                device_id=device_id,
                secret=secret,
                profile_hash=profile_hash,
            )
        )
        self._names[key] = name
        return DeviceSealer(key, name, secret, device_id, profile_hash)

    def _refuse(self, source: TelemetrySource, device: str, decoded: Sequence[Decoded]) -> None:
        refusal = self._explain_refusal(device)
        if self._queue.failure is not None:  # nothing waits any more
            loop = asyncio.get_running_loop()
            for _ in decoded:
                loop.call_soon(source.refused, refusal)
            return
        for one in decoded:
            self._queue.pass_over(source, refusal if isinstance(one, Measured) else one)

    def _explain_refusal(self, device: str) -> Rejected:
        if self._queue.failure is not None:
            return Rejected(RejectReason.STORE_FAILED, str(self._queue.failure))
        if device not in self._sealers:
            return Rejected(RejectReason.UNKNOWN_DEVICE, f"no device is named {device!r}")
        return Rejected(
            RejectReason.OVERLOADED, f"{device}: readings come faster than the disk takes them"
        )

    def _not_pending(self, transaction_id: bytes) -> StoreError:
        return StoreError(
            f"readings store {self.path}: transaction {transaction_id.hex()[:16]} is not pending"
        )
