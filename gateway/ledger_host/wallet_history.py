"""Follows the chain for the wallet: a task of the ledger process, with a reader of its own.

Rule: tip, balance and blocks are read in one snapshot, so the balance of a line is the chain's after that block.
Blocks that are no longer kept, after a snapshot or pruning, appear as one difference.
"""

import asyncio
import logging
from collections.abc import Iterator

from gateway.errors import GatewayError
from gateway.ledger_host.history_file import HistoryFile, HistoryLine
from gateway.ledger_host.wallet_effects import (
    Done,
    HistoryEntry,
    compute_change,
    entries_of,
    remainder,
)
from gateway.settings import Home
from ledger.codec.canonical import Decoder
from ledger.errors import LedgerError
from ledger.state.accounts import get_account
from ledger.storage.reader import ChainReader, StoredBlock
from ledger.types.genesis import Genesis
from ledger.types.outcome import Outcome
from ledger.types.transaction import SignedTransaction, Transaction

logger = logging.getLogger(__name__)

BLOCKS_AT_ONCE = 2_000  # of one snapshot: an old one keeps the database's log from being reused
CHECKPOINT_BLOCKS = 1_000  # without a change; bounds what a restart reads again
RETRY_S = 5.0

_envelopes = Decoder(SignedTransaction)
_transactions = Decoder(Transaction)
_outcomes = Decoder(Outcome)


def _first_line(genesis: Genesis, wallet: bytes) -> HistoryLine:
    amount = sum(one.amount for one in genesis.allocations if one.address == wallet)
    entries = (HistoryEntry("", "genesis", amount),) if amount else ()
    return HistoryLine(0, genesis.time_ms, amount, entries)


class WalletHistory:
    """Writes a line for every block that touches the wallet."""

    def __init__(self, home: Home, wallet: bytes) -> None:
        self._chain = home.chain
        self._file = HistoryFile(home)
        self._wallet = wallet
        self._wake = asyncio.Event()
        self._newest: HistoryLine | None = None

    def block_final(self) -> None:
        """Hear that there is another block. On the event loop's thread."""
        self._wake.set()

    async def run(self) -> None:
        """Follow until cancelled; a fault is told and tried again, for nothing else depends on it."""
        is_told = False
        while True:
            try:
                while await asyncio.to_thread(self.catch_up):
                    pass
                is_told = False
                await self._wake.wait()
                self._wake.clear()
            except (GatewayError, LedgerError) as error:
                if not is_told:
                    logger.warning("wallet history: %s", error)
                    is_told = True
                await asyncio.sleep(RETRY_S)

    def catch_up(self) -> bool:
        """Write what is new; tell whether there is more. Blocking; raises as `run` says."""
        if self._newest is None:
            self._newest = self._file.recover()
        if not self._chain.exists():
            return False
        reader = ChainReader.open(self._chain)
        try:
            with reader.snapshot():
                lines, has_more = self._read(reader)
        finally:
            reader.close()
        for line in lines:
            self._file.append(line)
            self._newest = line
        return has_more

    def _read(self, reader: ChainReader) -> tuple[list[HistoryLine], bool]:
        tip = reader.tip()
        if tip is None:
            return [], False
        lines: list[HistoryLine] = []
        newest_line = self._newest
        if newest_line is None:
            newest_line = _first_line(reader.genesis(), self._wallet)
            lines.append(newest_line)
        from_height, balance = newest_line.height, newest_line.balance
        until = min(tip.header.height, from_height + BLOCKS_AT_ONCE)
        block: StoredBlock | None = None
        for block, entries in self._blocks(reader, from_height + 1, until):
            if entries:
                balance += compute_change(entries)
                header = block.header
                lines.append(HistoryLine(header.height, header.time_ms, balance, entries))
        if until == tip.header.height:
            self._settle(lines, tip, balance, get_account(reader, self._wallet).balance)
        newest = lines[-1].height if lines else from_height
        if until - newest >= CHECKPOINT_BLOCKS or until < tip.header.height:
            lines.append(HistoryLine(until, 0 if block is None else block.header.time_ms, balance))
        return lines, until < tip.header.height

    def _settle(
        self, lines: list[HistoryLine], tip: StoredBlock, balance: int, on_chain: int
    ) -> None:
        """Let the newest line end with the balance that the chain has, whatever made it so."""
        if on_chain == balance:
            return
        height, time_ms = tip.header.height, tip.header.time_ms
        entries: tuple[HistoryEntry, ...] = (remainder(on_chain - balance),)
        if lines and lines[-1].height == height:
            entries = (*lines.pop().entries, *entries)
        lines.append(HistoryLine(height, time_ms, on_chain, entries))

    def _blocks(
        self, reader: ChainReader, first: int, last: int
    ) -> Iterator[tuple[StoredBlock, tuple[HistoryEntry, ...]]]:
        for height in range(max(first, reader.pruned_height() + 1), last + 1):
            block = reader.block(height)
            if block is not None:
                done = (
                    Done(
                        one.id,
                        _transactions.decode(_envelopes.decode(one.raw).payload),
                        _outcomes.decode(one.outcome),
                    )
                    for one in reader.transactions(block)
                    if self._wallet in one.raw  # whoever it touches is named in its bytes
                )
                yield block, entries_of(done, self._wallet)
