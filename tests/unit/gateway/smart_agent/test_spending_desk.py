"""Payments through the agent: limits, the owner's passphrase, approvals, and what survives a restart."""

from typing import Any

import msgspec
import pytest

from gateway.errors import AgentError
from gateway.smart_agent.keys import Purpose
from gateway.smart_agent.messages import Bind, Refused, RefusedReason, Signed, SignTransaction
from gateway.smart_agent.provision import open_agent, set_wallet_owner
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.spending.book import ACCOUNT_FILE, POLICY_FILE
from gateway.smart_agent.spending.rules import DAY_MS, SpendingPolicy
from gateway.smart_agent.spending_desk import APPROVAL_NS, set_owner
from gateway.smart_agent.spending_messages import (
    ApprovePayment,
    AskSpending,
    ChangeSpending,
    Spending,
)
from gateway.smart_agent.unlock import find_unlock
from ledger.codec import canonical
from ledger.crypto.hashing import sha256
from ledger.types.reading import ClockStatus
from ledger.types.transaction import RegisterDevice, Transaction, Transfer

CHAIN, TO = b"i" * 32, b"t" * 32
OWNER, STRANGER = b"the owner's own words", b"somebody's guess"
CHEAP = KdfLimits(1, 8192)
POLICY = SpendingPolicy(payment_max=5_000, day_max=12_000, approval_above=3_000)


class HandClock:
    """Wall and monotonic time that the test sets apart."""

    def __init__(self) -> None:
        self.time_ms = 1_000 * DAY_MS
        self.mono_ns = 0

    def now_ms(self) -> int:
        return self.time_ms

    def monotonic_ns(self) -> int:
        return self.mono_ns

    def status(self) -> ClockStatus:
        return ClockStatus.SYNCHRONISED

    def is_synchronised(self) -> bool:
        return True

    def wait_ms(self, ms: int) -> None:
        self.time_ms += ms
        self.mono_ns += ms * 1_000_000


class Wallet:
    """An agent on a folder, reopened at will."""

    def __init__(self, folder, clock) -> None:
        self._folder = folder
        self._clock = clock
        self._nonce = 0
        self._open()

    def _open(self) -> None:
        self._context = open_agent(self._folder, find_unlock(self._folder), self._clock)
        self.agent: Any = self._context.__enter__()
        self.agent.handle(Bind(CHAIN))

    def close(self) -> None:
        self._context.__exit__(None, None, None)

    def restart(self) -> None:
        self.close()
        self._open()

    def payload(self, amount: int) -> bytes:
        self._nonce += 1
        wallet = self.agent.description.wallet
        transaction = Transaction(CHAIN, wallet, self._nonce, wallet, 0, 100, Transfer(TO, amount))
        return canonical.encode(transaction)

    def pay(self, amount: int) -> str:
        return self.sign(self.payload(amount))

    def sign(self, payload: bytes) -> str:
        answer = self.agent.handle(SignTransaction(Purpose.WALLET, payload))
        return "signed" if isinstance(answer, Signed) else reason(answer)


def reason(answer: object) -> str:
    assert isinstance(answer, Refused), answer
    return answer.reason.value


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def wallet(agent_folder, clock):
    set_owner(agent_folder, OWNER, CHEAP)
    wallet = Wallet(agent_folder, clock)
    answer = wallet.agent.handle(ChangeSpending(OWNER, POLICY))
    assert isinstance(answer, Spending)
    assert answer.policy == POLICY
    yield wallet
    wallet.close()


def test_limits_hold_and_survive_a_restart(wallet, clock):
    assert wallet.pay(3_000) == "signed"
    assert wallet.pay(5_001) == "spending-policy"
    assert wallet.pay(3_001) == "spending-policy", "it needs approval"
    for _ in range(3):
        wallet.restart()
        assert wallet.pay(3_000) == "signed"
    assert wallet.pay(1) == "spending-policy", "the day is full"
    wallet.restart()
    assert wallet.pay(1) == "spending-policy"
    clock.wait_ms(DAY_MS)
    assert wallet.pay(3_000) == "signed"


def test_a_clock_set_back_or_forward_while_it_runs_opens_nothing(wallet, clock):
    for _ in range(4):
        assert wallet.pay(3_000) == "signed"
    for jump_ms in (-100 * DAY_MS, 300 * DAY_MS):
        clock.time_ms += jump_ms
        assert wallet.pay(1) == "spending-policy"
    clock.time_ms -= 400 * DAY_MS
    wallet.restart()
    assert wallet.pay(1) == "spending-policy", "set back over a restart"


def test_the_same_transaction_again_is_signed_again_and_counts_once(wallet):
    payload = wallet.payload(3_000)
    assert [wallet.sign(payload) for _ in range(6)] == ["signed"] * 6
    assert wallet.agent.handle(AskSpending()).spent.ssp == 3_000


def test_the_owner_approves_one_payment_once(wallet, clock):
    payload = wallet.payload(4_000)
    assert wallet.sign(payload) == "spending-policy"
    assert isinstance(wallet.agent.handle(ApprovePayment(OWNER, sha256(payload))), Spending)
    assert wallet.pay(4_000) == "spending-policy", "another payment of the same amount"
    assert wallet.sign(payload) == "signed"

    payload = wallet.payload(4_000)
    wallet.agent.handle(ApprovePayment(OWNER, sha256(payload)))
    clock.wait_ms(APPROVAL_NS // 1_000_000)
    assert wallet.sign(payload) == "spending-policy", "the approval has ended"


def test_an_approval_does_not_lift_the_limits(wallet):
    payload = wallet.payload(5_001)
    wallet.agent.handle(ApprovePayment(OWNER, sha256(payload)))
    assert wallet.sign(payload) == "spending-policy"


def test_a_stranger_changes_nothing_and_is_slowed_down(wallet, clock):
    payload = wallet.payload(4_000)
    requests = (
        ChangeSpending(STRANGER, SpendingPolicy(None, None)),
        ApprovePayment(STRANGER, sha256(payload)),
    )
    for request in requests:
        assert reason(wallet.agent.handle(request)) == "not-owner"
        assert reason(wallet.agent.handle(request)) == "rate-limit"
        clock.wait_ms(5_000)
    clock.wait_ms(300_000)
    assert wallet.sign(payload) == "spending-policy"
    assert wallet.agent.handle(AskSpending()).policy == POLICY


def test_waits_grow_and_the_owner_ends_them(wallet, clock):
    wrong = ApprovePayment(STRANGER, bytes(32))
    for wait_s in (2, 4, 8, 16):
        assert reason(wallet.agent.handle(wrong)) == "not-owner"
        clock.wait_ms(wait_s * 1_000 - 1)
        assert reason(wallet.agent.handle(wrong)) == "rate-limit"
        clock.wait_ms(1)
    assert isinstance(wallet.agent.handle(ApprovePayment(OWNER, bytes(32))), Spending)
    assert reason(wallet.agent.handle(wrong)) == "not-owner"
    clock.wait_ms(2_000)
    assert reason(wallet.agent.handle(wrong)) == "not-owner"


def test_without_an_owner_the_limits_of_the_start_stand(agent_folder, clock):
    wallet = Wallet(agent_folder, clock)
    state = wallet.agent.handle(AskSpending())
    assert (state.policy, state.has_owner) == (SpendingPolicy(), False)
    assert reason(wallet.agent.handle(ChangeSpending(OWNER, POLICY))) == "not-owner"
    assert reason(wallet.agent.handle(ApprovePayment(OWNER, bytes(32)))) == "not-owner"
    assert wallet.pay(SpendingPolicy().payment_max or 0) == "signed"
    assert wallet.pay((SpendingPolicy().payment_max or 0) + 1) == "spending-policy"
    with pytest.raises(AgentError, match="another SmartAgent runs"):
        set_wallet_owner(agent_folder, OWNER)
    wallet.close()


def test_an_owner_is_set_once(agent_folder):
    set_owner(agent_folder, OWNER, CHEAP)
    with pytest.raises(AgentError, match="already"):
        set_owner(agent_folder, STRANGER, CHEAP)


@pytest.mark.parametrize("name", [POLICY_FILE, ACCOUNT_FILE])
def test_a_damaged_file_lets_nothing_leave(agent_folder, clock, name):
    (agent_folder / name).write_bytes(msgspec.msgpack.encode({"nonsense": 1}))
    (agent_folder / name).chmod(0o600)
    with pytest.raises(AgentError, match=f"{name} is damaged"):
        Wallet(agent_folder, clock)


def test_a_full_disk_lets_nothing_leave(wallet, agent_folder):
    (agent_folder / f"{ACCOUNT_FILE}.new").mkdir()
    assert wallet.pay(1) == "failed"
    (agent_folder / f"{ACCOUNT_FILE}.new").rmdir()
    assert wallet.pay(1) == "signed"


def test_the_gateways_own_keys_cannot_be_emptied_by_fees(wallet):
    metering = wallet.agent.description.metering

    body = RegisterDevice(TO, TO)
    costly = canonical.encode(Transaction(CHAIN, metering, 0, metering, 10**8 + 1, 100, body))
    answer = wallet.agent.handle(SignTransaction(Purpose.METERING, costly))
    assert answer.reason is RefusedReason.NOT_ALLOWED
