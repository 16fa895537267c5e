"""The wallet with a real SmartAgent and a ledger that the test plays: nothing is lost, nothing paid twice."""

import asyncio
import threading
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway.app.ledger_link import LedgerLink
from gateway.app.operator import Operator
from gateway.app.transactions import decode_transaction
from gateway.app.wallet import SendOptions, WalletAccount
from gateway.app.wallet_courier import WalletCourier
from gateway.app.wallet_file import WalletFile
from gateway.app.wallet_queue import Standing
from gateway.clock import SystemClock
from gateway.errors import AgentError, MessagingError, SettingsError
from gateway.model.ledger_api import AccountReply, StatusReply, SubmitReply, TransactionReply
from gateway.settings import Home
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.provision import create_agent
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.service import serve
from gateway.smart_agent.spending_desk import set_owner
from gateway.smart_agent.unlock import find_unlock
from ledger.errors import Rejected
from ledger.params import SSP_BASE_UNITS
from ledger.state.admission import check_transaction
from ledger.types.transaction import Transfer

CHAIN = b"\x11" * 32
TO = b"t" * 32
OWNER = b"the owner's own words"


class PlayedLedger:
    """A mempool and a chain of one account, as the ledger's verbs show them."""

    def __init__(self) -> None:
        self.nonce = 0
        self.height = 100
        self.waiting: dict[str, Any] = {}
        self.final: dict[str, TransactionReply] = {}
        self.submitted: list[str] = []
        self.refusal = ""
        self.is_silent = False

    def ask(self, verb: str, body: dict[str, Any], _reply: Any) -> Any:
        return getattr(self, f"_{verb}")(body)

    async def call(self, verb: str, body: dict[str, Any], reply: Any) -> Any:
        return self.ask(verb, body, reply)

    def submit(self, raw: bytes) -> str:
        return str(self._submit({"raw": raw.hex()}).id)

    def _account(self, _body: dict[str, Any]) -> AccountReply:
        pending = self.nonce
        while any(one.nonce == pending for one in self.waiting.values()):
            pending += 1
        return AccountReply(10**15, self.nonce, pending)

    def _status(self, _body: dict[str, Any]) -> StatusReply:
        return StatusReply(CHAIN.hex(), self.height, "", 0, 3000, 0, 0, 1, 0, "", "", 0)

    def _transaction(self, body: dict[str, Any]) -> TransactionReply:
        name = body["id"]
        if name in self.final:
            return self.final[name]
        return TransactionReply("pending" if name in self.waiting else "unknown")

    def _submit(self, body: dict[str, Any]) -> SubmitReply:
        raw = bytes.fromhex(body["raw"])
        checked = check_transaction(raw, CHAIN)
        assert not isinstance(checked, Rejected), checked
        if self.refusal:
            raise MessagingError(self.refusal)
        name = checked.id.hex()
        self.submitted.append(name)
        self.waiting = {
            key: one for key, one in self.waiting.items() if one.nonce != checked.transaction.nonce
        }
        self.waiting[name] = checked.transaction
        if self.is_silent:
            lost = MessagingError("no answer")
            lost.__cause__ = TimeoutError()
            raise lost
        return SubmitReply(name)

    def make_block(self) -> None:
        self.height += 1
        for name, transaction in sorted(self.waiting.items(), key=lambda item: item[1].nonce):
            if transaction.nonce == self.nonce:
                self.nonce += 1
                self.final[name] = TransactionReply("final", height=self.height, applied=True)
        self.waiting = {key: one for key, one in self.waiting.items() if one.nonce >= self.nonce}


class RunningAgent:
    """A SmartAgent on its socket, in a thread of its own."""

    def __init__(self, home: Home) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._home = home
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(
            serve(self._home.agent, self._home.agent_socket, self._ready.set)
        )
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join()


@pytest.fixture
def home(tmp_path: Path):
    home = Home(tmp_path / "home")
    home.create()
    create_agent(home.agent, find_unlock(home.agent), KdfLimits(1, 8192))
    set_owner(home.agent, OWNER, KdfLimits(1, 8192))
    agent = RunningAgent(home)
    client = AgentClient(home.agent_socket)
    client.bind(CHAIN)
    client.close()
    yield home
    agent.stop()


@pytest.fixture
def ledger():
    return PlayedLedger()


def wallet(home: Home, ledger: PlayedLedger | None) -> WalletAccount:
    return WalletAccount(home, cast("Operator", ledger))


def courier(home: Home, ledger: PlayedLedger) -> WalletCourier:
    return WalletCourier(
        WalletFile(home), cast("LedgerLink", ledger), wallet(home, None).keys.wallet, SystemClock()
    )


def standings(home: Home) -> list[str]:
    return [entry.standing.value for entry in WalletFile(home).load().entries]


async def test_a_payment_is_kept_sent_and_decided(home, ledger):
    name, _, nonce = wallet(home, ledger).send(Transfer(TO, 5), "five")
    assert nonce == 0
    assert ledger.submitted == [name]
    assert standings(home) == ["sent"]
    assert WalletFile(home).path.stat().st_mode & 0o077 == 0
    ledger.make_block()
    await courier(home, ledger).round()
    (entry,) = WalletFile(home).load().entries
    assert (entry.standing, entry.height, entry.what) == (Standing.FINAL, 101, "five")


async def test_payments_signed_while_the_ledger_is_away_are_sent_in_order_later(home, ledger):
    wallet(home, ledger).send(Transfer(TO, 1))
    offline = wallet(home, None)
    nonces = [offline.send(Transfer(TO, amount))[2] for amount in (2, 3, 4)]
    assert nonces == [1, 2, 3]
    assert standings(home) == ["sent", "waiting", "waiting", "waiting"]
    await courier(home, ledger).round()
    sent = [decode_transaction(bytes.fromhex(e.raw)).nonce for e in WalletFile(home).load().live]
    assert sent == [0, 1, 2, 3]
    assert standings(home) == ["sent"] * 4
    ledger.make_block()
    await courier(home, ledger).round()
    assert standings(home) == ["final"] * 4
    assert wallet(home, ledger).send(Transfer(TO, 5))[2] == 4


def test_offline_before_the_chain_was_ever_seen_is_refused(home):
    with pytest.raises(SettingsError, match="never seen"):
        wallet(home, None).send(Transfer(TO, 1))


async def test_what_a_ledger_forgot_is_sent_again_verbatim(home, ledger):
    name, _, _ = wallet(home, ledger).send(Transfer(TO, 5))
    ledger.waiting.clear()
    await courier(home, ledger).round()
    assert ledger.submitted == [name, name]


def test_a_refused_payment_is_told_and_its_nonce_free_again(home, ledger):
    ledger.refusal = "insufficient-funds: nothing there"
    with pytest.raises(MessagingError, match=r"^insufficient-funds: nothing there$"):
        wallet(home, ledger).send(Transfer(TO, 5))
    assert standings(home) == ["dropped"]
    ledger.refusal = ""
    assert wallet(home, ledger).send(Transfer(TO, 5))[2] == 0


def test_a_payment_without_an_answer_stays_and_warns_before_it_is_made_twice(home, ledger):
    ledger.is_silent = True
    with pytest.raises(MessagingError, match="look with `smartshare chain tx ") as raised:
        wallet(home, ledger).send(Transfer(TO, 5))
    assert "\n" not in str(raised.value)
    assert standings(home) == ["waiting"]
    ledger.is_silent = False
    assert wallet(home, ledger).send(Transfer(TO, 6))[2] == 1, "the nonce is not used twice"


def test_what_never_left_is_dropped_and_its_nonce_free(home, ledger):
    account = wallet(home, ledger)
    account.send(Transfer(TO, 1))
    offline = wallet(home, None)
    name, _, nonce = offline.send(Transfer(TO, 2))
    assert offline.cancel(WalletFile(home).load().find(name), SendOptions()) is None
    assert standings(home) == ["sent", "dropped"]
    assert offline.send(Transfer(TO, 3))[2] == nonce


async def test_what_has_left_is_cancelled_by_a_payment_of_nothing(home, ledger):
    account = wallet(home, ledger)
    name, _, nonce = account.send(Transfer(TO, 5))
    newer = account.cancel(WalletFile(home).load().find(name), SendOptions())
    assert newer is not None
    assert newer.nonce == nonce
    assert newer.fee >= WalletFile(home).load().find(name).fee * 11 // 10
    body = decode_transaction(bytes.fromhex(newer.raw)).body
    assert body == Transfer(account.keys.wallet, 0)
    ledger.make_block()
    await courier(home, ledger).round()
    queue = WalletFile(home).load()
    assert queue.find(newer.id).standing is Standing.FINAL
    assert queue.find(name).standing is Standing.VOID
    with pytest.raises(SettingsError, match="void already"):
        account.cancel(queue.find(name), SendOptions())


async def test_of_two_with_one_nonce_the_final_one_decides(home, ledger):
    account = wallet(home, ledger)
    name, _, _ = account.send(Transfer(TO, 5))
    account.replace(WalletFile(home).load().find(name), Transfer(TO, 4), "four", SendOptions())
    old = decode_transaction(bytes.fromhex(WalletFile(home).load().find(name).raw))
    ledger.waiting = {name: old}  # the network saw the first one only
    ledger.make_block()
    await courier(home, ledger).round()
    assert standings(home) == ["final", "void"]


async def test_a_payment_that_expired_is_void_and_never_sent_again(home, ledger):
    wallet(home, ledger).send(Transfer(TO, 1))
    wallet(home, None).send(Transfer(TO, 2), options=SendOptions(valid_ms=3000))
    ledger.height += 10_000
    await courier(home, ledger).round()
    assert standings(home) == ["sent", "void"]
    assert len(ledger.submitted) == 1


def test_above_the_limit_the_owner_approves_this_payment(home, ledger):
    account = wallet(home, ledger)
    agent = AgentClient(home.agent_socket)
    policy = msgspec.structs.replace(agent.spending().policy, approval_above=SSP_BASE_UNITS)
    agent.change_spending(OWNER, policy)
    agent.close()
    with pytest.raises(AgentError, match="needs its owner's approval"):
        account.send(Transfer(TO, 2 * SSP_BASE_UNITS))
    assert standings(home) == []
    options = SendOptions(passphrase=OWNER)
    name, _, _ = account.send(Transfer(TO, 2 * SSP_BASE_UNITS), options=options)
    assert ledger.submitted == [name]
    assert agent.spending().spent.ssp > 2 * SSP_BASE_UNITS
    agent.close()


def test_the_id_is_the_transactions_own(home, ledger):
    name, _, _ = wallet(home, ledger).send(Transfer(TO, 5))
    entry = WalletFile(home).load().find(name)
    checked = check_transaction(bytes.fromhex(entry.raw), CHAIN)
    assert not isinstance(checked, Rejected)
    assert checked.id.hex() == name == entry.id


@pytest.mark.parametrize("content", [b"{", b'{"version": 2}', b"\xff"])
def test_a_damaged_queue_is_one_line(home, ledger, content):
    file = WalletFile(home)
    file.edit(lambda queue: queue)
    file.path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"queue\.json: damaged"):
        wallet(home, ledger).send(Transfer(TO, 5))
