"""Carries the wallet's queue to the ledger until each transaction is decided: a task of the gateway process."""

import asyncio
import logging

import msgspec

from gateway.app.ledger_link import LedgerLink
from gateway.app.wallet_file import WalletFile
from gateway.app.wallet_queue import LIVE, Entry, Queue, Standing, see, settle, to_send, update
from gateway.clock import Clock
from gateway.errors import GatewayError, MessagingError
from gateway.model.ledger_api import AccountReply, StatusReply, SubmitReply, TransactionReply

logger = logging.getLogger(__name__)

ROUND_INTERVAL_S = 3.0  # a person who waits asks for himself; this is for what was left behind


class WalletCourier:
    """Sends what waits and writes down what became of it. Signs nothing."""

    def __init__(self, file: WalletFile, ledger: LedgerLink, wallet: bytes, clock: Clock) -> None:
        self._file = file
        self._ledger = ledger
        self._wallet = wallet
        self._clock = clock
        self.problem = ""

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.round()
                self.problem = ""
            except MessagingError:
                pass  # the ledger is away: the anchoring service says so already
            except GatewayError as error:
                self._report(str(error))
            await asyncio.sleep(ROUND_INTERVAL_S)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem

    async def round(self) -> None:
        """See every live transaction one step further; raises `GatewayError`."""
        queue = await asyncio.to_thread(self._file.load)
        if not queue.live:
            return
        account = await self._ledger.call("account", {"address": self._wallet.hex()}, AccountReply)
        status = await self._ledger.call("status", {}, StatusReply)
        queue = see(queue, account, status, self._clock.now_ms())
        queue, unknown = await self._settle(queue)
        for entry in to_send(queue):
            if entry.id in unknown:
                queue = update(queue, await self._send(entry))
        await self._keep(queue)

    async def _keep(self, after: Queue) -> None:
        """Write down what was learnt, beside what commands may have added meanwhile."""

        def change(current: Queue) -> Queue:
            return update(msgspec.structs.replace(current, seen=after.seen), *after.entries)

        await asyncio.to_thread(self._file.edit, change)

    async def _settle(self, queue: Queue) -> tuple[Queue, frozenset[str]]:
        """Return the queue with what is decided, and the ids that the ledger does not know."""
        seen = queue.seen
        assert seen is not None
        unknown = set()
        for entry in queue.live:
            reply = await self._ledger.call("transaction", {"id": entry.id}, TransactionReply)
            settled = settle(entry, reply, seen)
            if settled.standing not in LIVE:
                logger.info("wallet: %s is %s", entry.id[:16], settled.standing.value)
            elif reply.status == "unknown":
                unknown.add(entry.id)
            queue = update(queue, settled)
        return queue, frozenset(unknown)

    async def _send(self, entry: Entry) -> Entry:
        """Hand a transaction in; one that is refused is tried again until it is void."""
        left = msgspec.structs.replace(entry, has_left=True)
        await asyncio.to_thread(self._file.edit, lambda current: update(current, left))
        try:
            await self._ledger.call("submit", {"raw": entry.raw}, SubmitReply)
        except MessagingError as error:
            return msgspec.structs.replace(left, standing=Standing.WAITING, reason=str(error))
        return msgspec.structs.replace(left, standing=Standing.SENT, reason="")
