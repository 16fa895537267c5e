"""The wallet's history against a real chain: every line ends with the chain's own balance."""

import asyncio
from pathlib import Path

import pytest

from gateway.ledger_host import history_file, wallet_history
from gateway.ledger_host.history_file import HistoryFile, HistoryLine
from gateway.ledger_host.wallet_effects import HistoryEntry, compute_change
from gateway.ledger_host.wallet_history import WalletHistory
from gateway.settings import Home
from ledger.codec.text import format_address
from ledger.crypto.domains import coin_id
from ledger.types.transaction import CreateCoin, TransferCoin
from tests.support.ledger_lab import Lab, address_of, finalise

START = 10**12
ALICE = address_of("alice")


class Followed:
    """A chain in a home folder, and alice's history of it."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder)
        self.home.chain.parent.mkdir(parents=True)
        self.lab = Lab(self.home.chain.parent)
        self.lab.path = self.home.chain
        self.node = self.lab.open()
        self.history = WalletHistory(self.home, ALICE)

    def restart(self) -> None:
        self.history = WalletHistory(self.home, ALICE)

    def follow(self) -> None:
        while self.history.catch_up():
            pass

    def lines(self) -> list[HistoryLine]:
        return list(HistoryFile(self.home).lines())

    def check(self) -> None:
        """Balances run on without a gap and end where the chain is."""
        balance = 0
        for line in self.lines():
            balance += compute_change(line.entries)
            assert balance == line.balance
        assert balance == self.node.account(ALICE).balance


@pytest.fixture
def chain(tmp_path):
    chain = Followed(tmp_path / "home")
    yield chain
    chain.node.close()


async def test_what_comes_and_goes_is_listed_with_the_running_balance(chain):
    lab = chain.lab
    await finalise(chain.node, lab.transfer("alice", 0, "bob", 5))
    chain.follow()
    await finalise(chain.node, lab.transfer("bob", 0, "alice", 9))
    await finalise(chain.node, lab.transfer("bob", 1, "carol", 1))
    chain.follow()
    chain.check()
    entries = [entry for line in chain.lines() for entry in line.entries]
    first, sent, received = entries
    assert (sent.what, sent.amount, sent.other) == (
        "Transfer",
        -5,
        format_address(address_of("bob")),
    )
    assert sent.fee > 0
    assert (first.amount, first.what) == (START, "genesis")
    assert (received.amount, received.fee) == (9, 0)


async def test_a_failed_payment_costs_its_fee(chain):
    poor = chain.lab.sign("alice", 0, TransferCoin(bytes(32), ALICE, 1))
    await finalise(chain.node, poor)
    chain.follow()
    chain.check()
    entry = chain.lines()[1].entries[0]
    assert (entry.amount, entry.coin_units) == (0, 0)
    assert entry.fee > 0
    assert "unknown-coin" in entry.note


async def test_coins_are_counted_beside_the_balance(chain):
    coin = coin_id(ALICE, 0)
    await finalise(
        chain.node,
        chain.lab.sign("alice", 0, CreateCoin("KWH", "Energy", 3, 100, 100)),
        chain.lab.sign("alice", 1, TransferCoin(coin, address_of("bob"), 30)),
    )
    await finalise(chain.node, chain.lab.sign("bob", 0, TransferCoin(coin, ALICE, 10)))
    chain.follow()
    chain.check()
    moves = [e.coin_units for line in chain.lines() for e in line.entries if e.coin == coin.hex()]
    assert moves == [100, -30, 10]


async def test_a_restart_goes_on_where_it_was(chain):
    for nonce in range(3):
        await finalise(chain.node, chain.lab.transfer("alice", nonce, "bob", 1))
        chain.restart()
        chain.follow()
    chain.check()
    assert len([e for line in chain.lines() for e in line.entries if e.id]) == 3
    before = chain.lines()
    chain.restart()
    chain.follow()
    assert chain.lines() == before


@pytest.mark.parametrize("cut", [1, 20, 100])
async def test_a_torn_end_is_written_anew(chain, cut):
    for nonce in range(2):
        await finalise(chain.node, chain.lab.transfer("alice", nonce, "bob", 1))
        chain.follow()
    whole = chain.lines()
    path = HistoryFile(chain.home).path
    path.write_bytes(path.read_bytes()[:-cut])
    chain.restart()
    chain.follow()
    chain.check()
    assert [line.balance for line in chain.lines()] == [line.balance for line in whole]


async def test_long_gaps_are_read_in_pieces_with_checkpoints(chain, monkeypatch):
    monkeypatch.setattr(wallet_history, "BLOCKS_AT_ONCE", 3)
    monkeypatch.setattr(wallet_history, "CHECKPOINT_BLOCKS", 2)
    for nonce in range(8):
        await finalise(chain.node, chain.lab.transfer("bob", nonce, "carol", 1))
    await finalise(chain.node, chain.lab.transfer("alice", 0, "bob", 1))
    steps = 1
    while chain.history.catch_up():
        steps += 1
    assert steps > 2
    assert chain.lines()[-1].height == chain.node.status().height
    assert chain.lines()[-1].balance == chain.node.account(ALICE).balance


async def test_it_follows_while_blocks_are_made(chain):
    following = asyncio.create_task(chain.history.run())
    try:
        await finalise(chain.node, chain.lab.transfer("alice", 0, "bob", 1))
        chain.history.block_final()
        for _ in range(2_000):
            if any(entry.id for line in chain.lines() for entry in line.entries):
                break
            await asyncio.sleep(0.01)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    chain.check()


def test_files_are_bounded_and_private(tmp_path, monkeypatch):

    monkeypatch.setattr(history_file, "FILE_BYTES_MAX", 2_000)
    file = HistoryFile(Home(tmp_path))
    for height in range(1, 100):
        file.append(HistoryLine(height, 0, height, (HistoryEntry("ab", "Transfer", 1),)))
    kept = [line.height for line in file.lines()]
    assert kept == list(range(kept[0], 100))
    assert file.path.stat().st_size <= 2_000
    assert file.older.stat().st_size <= 2_000
    assert file.path.stat().st_mode & 0o077 == 0
    newest = file.recover()
    assert newest is not None
    assert newest.height == 99
