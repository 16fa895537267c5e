"""From stored readings to final anchors: batches close, are signed, submitted and seen into a block.

Rule 1: a batch and its signed transaction are kept in one commit before the transaction is sent.
Rule 2: the books of a round's anchors are kept in one commit, with readings if some come soon: an anchor waits
for its age anyway, and what is final stands in the chain, which is asked again after a crash.
Work goes in rounds on one task, so nothing here races with itself; when the ledger or the agent is
away, the round ends with one log line and the next one goes on from what is on disk.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.app.ledger_link import LedgerLink
from gateway.app.sessions import SessionRecorder
from gateway.app.transactions import UNSEEN, TransactionAuthor, decode_transaction
from gateway.clock import Clock
from gateway.errors import AgentError, MessagingError, UnfundedError
from gateway.model.ledger_api import DeviceReply, EvidenceReply, TransactionReply
from gateway.pipeline.batch import (
    Batch,
    BatchPolicy,
    anchor_body,
    build_batch,
    is_batch_due,
    take_batchable,
)
from gateway.readings.records import DeviceRecord, OutboxEntry, SettlementStatus
from gateway.readings.store import ReadingsStore
from ledger.params import HASH_BYTES
from ledger.types.transaction import Anchor, RegisterDevice

logger = logging.getLogger(__name__)

ROUND_INTERVAL_S = 0.2  # short against the batch age; a final block starts a round at once
RETRY_INTERVAL_S = 1.0  # after the ledger or the agent was away
# Signed transactions that may wait: the mempool takes no nonce that runs further ahead.
PENDING_MAX = 64
BOOKS_PATIENCE_S = 1.0  # a device that is read each second spares them a commit of their own
FAILED_AGAIN_NS = 60_000_000_000  # each try costs a fee; a second failure in a row is no accident

PURPOSE_ANCHOR = "anchor"
PURPOSE_DEVICE = "register-device"
NO_ANCHOR = bytes(HASH_BYTES)


_Settled = tuple[OutboxEntry, TransactionReply]
_Signed = tuple[str, Batch, OutboxEntry]  # of the device with that name


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why a device's newest anchor failed, and when another may be tried (monotonic)."""

    reason: str
    retry_ns: int


class RoundGate(Protocol):
    """Decides whether this gateway may anchor now; `problem` is why not, or empty."""

    @property
    def problem(self) -> str:
        """One line for people."""
        ...

    async def is_open(self) -> bool:
        """Tell whether to go on; raises `MessagingError` or `AgentError` when that is unknown."""
        ...

    def failed(self, purpose: str, reason: str) -> None:
        """Hear that a transaction of the gateway's failed."""
        ...


class Errand(Protocol):
    """Something else that the metering account does now and then."""

    async def round(self) -> None:
        """Do what is due; raises `MessagingError` or `AgentError` when somebody is away."""
        ...


class AnchoringService:
    """Anchors every device's readings and feeds the sessions that they are bound to."""

    def __init__(  # noqa: PLR0913 - the parts that it works with
        self,
        store: ReadingsStore,
        author: TransactionAuthor,
        ledger: LedgerLink,
        recorder: SessionRecorder,
        *,
        policy: BatchPolicy,
        clock: Clock,
        gate: RoundGate | None = None,
        errands: Sequence[Errand] = (),
        patience_s: float = BOOKS_PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._gate = gate
        self._errands = errands
        self._store = store
        self._author = author
        self._ledger = ledger
        self._recorder = recorder
        self._policy = policy
        self._clock = clock
        self._registered: dict[bytes, bytes] = {}  # device id -> profile hash on its way or there
        self._failures: dict[bytes, _Failure] = {}  # by device id, until an anchor is applied
        self._is_synchronised = False
        self.anchored = 0  # readings, since the start
        self.problem = "waiting for the ledger"

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self._round()
                self._report(self._find_problem())
                await self._wait_for_work()
            except (MessagingError, AgentError, UnfundedError) as error:
                self._report(str(error))
                self._is_synchronised = False
                await asyncio.sleep(RETRY_INTERVAL_S)

    def _find_problem(self) -> str:
        failed = next(iter(self._failures.values()), None)
        if self._gate is not None and self._gate.problem:
            return self._gate.problem
        return self._author.refusal or (failed.reason if failed is not None else "")

    def _report(self, problem: str) -> None:
        if problem and problem != self.problem:
            logger.info("anchoring waits: %s", problem)
        elif self.problem and not problem:
            logger.info("anchoring goes on")
        self.problem = problem

    async def _wait_for_work(self) -> None:
        self._ledger.block_final.clear()
        try:
            async with asyncio.timeout(RETRY_INTERVAL_S if self.problem else ROUND_INTERVAL_S):
                await self._ledger.block_final.wait()
        except TimeoutError:
            pass

    async def _round(self) -> None:
        if not self._is_synchronised:
            await self._author.synchronise()
            self._registered.clear()
            self._recorder.forget()
            self._is_synchronised = True
        elif self._author.refusal or self._author.has_resubmitted:
            await self._author.synchronise()
        await self._settle(await self._author.settle_outbox())
        if self._gate is not None and not await self._gate.is_open():
            return
        await self._anchor_what_is_due()
        await self._recorder.round(PENDING_MAX)
        for errand in self._errands:
            await errand.round()

    async def _anchor_what_is_due(self) -> None:
        now_ms = self._clock.now_ms()
        backlogs = self._store.backlogs()
        due = {name for name, one in backlogs.items() if is_batch_due(one, self._policy, now_ms)}
        signed: list[_Signed] = []
        try:
            for device in self._store.devices() if due else ():
                # Room for two: a device's first anchor under a profile follows its registration.
                has_room = self._store.pending_count() + len(signed) <= PENDING_MAX - 2
                if device.name in due and has_room and not self._is_put_off(device):
                    signed.append(await self._sign_anchor(device))
        except (MessagingError, AgentError, UnfundedError):
            await self._keep_and_submit(signed)
            raise
        await self._keep_and_submit(signed)

    async def _keep_and_submit(self, signed: Sequence[_Signed]) -> None:
        await asyncio.gather(
            *(self._store.save_batch(*one, patience_s=self._patience_s) for one in signed)
        )
        for _, _, entry in signed:
            await self._author.submit(entry)

    async def _settle(self, settled: Sequence[_Settled]) -> None:
        """Note what is final, then the first that failed."""
        await self._settle_applied([one for one in settled if one[1].applied])
        failed = next((one for one in settled if not one[1].applied), None)
        if failed is not None:
            await self._settle_failed(*failed)
            # Its nonce may be free again, and other batches may have failed with it: what is
            # left is asked for again in the next round.
            await self._author.synchronise()

    async def _settle_applied(self, applied: Sequence[_Settled]) -> None:
        anchors = [
            (entry, *await self._find_evidence(entry, reply))
            for entry, reply in applied
            if entry.purpose == PURPOSE_ANCHOR
        ]
        await asyncio.gather(*(self._settle_anchor(*one) for one in anchors))
        for entry, reply in applied:
            if entry.purpose != PURPOSE_ANCHOR:
                await self._store.mark_transaction(
                    entry.transaction_id, SettlementStatus.FINAL, reply.height
                )
                self._recorder.transaction_settled(entry.transaction_id, "")

    async def _settle_anchor(self, entry: OutboxEntry, height: int, evidence: bytes) -> None:
        await self._store.mark_batch_final(
            entry.transaction_id, height, evidence, patience_s=self._patience_s
        )
        body = decode_transaction(entry.raw).body
        assert isinstance(body, Anchor)
        self.anchored += body.count
        self._failures.pop(body.device_id, None)

    async def _find_evidence(
        self, entry: OutboxEntry, reply: TransactionReply
    ) -> tuple[int, bytes]:
        """Return an anchor's height and evidence: none where the ledger does not keep its block."""
        name = entry.transaction_id.hex()
        if reply.reason == UNSEEN:
            logger.warning("anchor %s is final, without receipts: %s", name[:16], UNSEEN)
            return reply.height, b""
        found = await self._ledger.call("evidence", {"id": name}, EvidenceReply)
        return found.height, bytes.fromhex(found.evidence)

    async def _settle_failed(self, entry: OutboxEntry, reply: TransactionReply) -> None:
        name = entry.transaction_id.hex()[:16]
        logger.error("%s %s failed: %s", entry.purpose, name, reply.reason)
        self._registered.clear()
        self._note_failure(entry, reply.reason)
        if self._gate is not None:
            self._gate.failed(entry.purpose, reply.reason)
        if entry.purpose == PURPOSE_ANCHOR:
            await self._store.mark_batch_failed(entry.transaction_id, reply.height)
        else:
            await self._store.mark_transaction(
                entry.transaction_id, SettlementStatus.FAILED, reply.height
            )
            self._recorder.transaction_settled(entry.transaction_id, reply.reason)

    def _note_failure(self, entry: OutboxEntry, reason: str) -> None:
        body = decode_transaction(entry.raw).body
        if isinstance(body, Anchor) and entry.purpose == PURPOSE_ANCHOR:
            device = body.device_id
            wait_ns = FAILED_AGAIN_NS if device in self._failures else 0
            self._failures[device] = _Failure(
                f"an anchor of device {device.hex()} failed: {reason}",
                self._clock.monotonic_ns() + wait_ns,
            )

    def _is_put_off(self, device: DeviceRecord) -> bool:
        failed = self._failures.get(device.device_id)
        return failed is not None and self._clock.monotonic_ns() < failed.retry_ns

    async def _sign_anchor(self, device: DeviceRecord) -> _Signed:
        waiting = take_batchable(
            self._store.unanchored(device.name, self._policy.count_max), self._policy
        )
        profile_hash = waiting[0].reading.profile_hash
        await self._register(device, profile_hash)
        batch = build_batch(device.device_id, profile_hash, waiting)
        newest = self._store.newest_batch(device.name)
        previous = newest.transaction_id if newest is not None else NO_ANCHOR
        entry = await self._author.sign(anchor_body(batch, previous), PURPOSE_ANCHOR)
        return device.name, batch, entry

    async def _register(self, device: DeviceRecord, profile_hash: bytes) -> None:
        """Make the chain know the device under this profile; nonces keep the order."""
        if device.device_id not in self._registered:
            known = await self._ledger.call(
                "device", {"device_id": device.device_id.hex()}, DeviceReply
            )
            self._registered[device.device_id] = bytes.fromhex(known.profile_hash)
        if self._registered[device.device_id] != profile_hash:
            await self._author.issue(RegisterDevice(device.device_id, profile_hash), PURPOSE_DEVICE)
            self._registered[device.device_id] = profile_hash
