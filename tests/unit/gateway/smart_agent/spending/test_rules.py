"""The spending rules: one payment that passes, then one limit at a time."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from gateway.smart_agent.spending.payment import Payment
from gateway.smart_agent.spending.rules import (
    CHANNELS_MAX,
    DAY_MS,
    RECENT_MAX,
    CoinLimit,
    Limit,
    Over,
    SpendingPolicy,
    Spent,
    judge,
)

ANNA, BEN, COIN, CHANNEL = b"a" * 32, b"b" * 32, b"c" * 32, b"v" * 32
POLICY = SpendingPolicy(
    payment_max=100,
    day_max=250,
    approval_above=80,
    allowed=(ANNA,),
    coins=(CoinLimit(COIN, 10, 25),),
)
NOW = 1_000 * DAY_MS


def pay(number: int = 1, ssp: int = 50, **changes: object) -> Payment:
    fields: dict[str, object] = {
        "id": bytes([number]) * 32,
        "ssp": ssp,
        "fee": 1,
        "recipient": ANNA,
    }
    return Payment(**(fields | changes))  # type: ignore[arg-type]  # a table of fields


def judged(payment: Payment, spent: Spent = Spent(), **changes: object) -> Spent | Over:  # noqa: B008 - frozen
    now_ms = changes.pop("now_ms", NOW)
    is_approved = bool(changes.pop("is_approved", False))
    policy = msgspec.structs.replace(POLICY, **changes)
    assert isinstance(now_ms, int)
    return judge(policy, spent, payment, now_ms, is_approved=is_approved)


def passed(*arguments: object, **changes: object) -> Spent:
    verdict = judged(*arguments, **changes)  # type: ignore[arg-type]  # handed on
    assert isinstance(verdict, Spent), verdict
    return verdict


def test_a_payment_is_counted_with_its_fee():
    assert passed(pay()).ssp == 51
    assert passed(pay(2), passed(pay())).ssp == 102


@pytest.mark.parametrize(
    ("limit", "payment", "changes"),
    [
        (Limit.PAYMENT, pay(ssp=100), {"approval_above": None}),
        (Limit.PAYMENT, pay(ssp=0, fee=101), {"approval_above": None}),
        (Limit.RECIPIENT, pay(recipient=BEN), {}),
        (Limit.APPROVAL, pay(ssp=80), {}),
        (Limit.DAY, pay(), {"day_max": 50}),
        (Limit.PAYMENT, pay(ssp=0, coin=COIN, coin_units=11), {}),
        (Limit.PAYMENT, pay(ssp=81), {"payment_max": 81, "is_approved": True}),
    ],
)
def test_one_limit_at_a_time(limit, payment, changes):
    verdict = judged(payment, **changes)
    assert isinstance(verdict, Over)
    assert verdict.limit is limit
    assert "\n" not in verdict.detail


def test_the_edges_of_each_limit_pass():
    assert passed(pay(ssp=99), approval_above=None).ssp == 100
    assert passed(pay(ssp=79)).ssp == 80
    assert passed(pay(ssp=80), is_approved=True).ssp == 81
    assert passed(pay(), day_max=51).ssp == 51
    assert passed(pay(ssp=0, coin=COIN, coin_units=10)).coins == ((COIN, 10),)


def test_without_limits_anything_passes():
    policy = SpendingPolicy(payment_max=None, day_max=None)
    verdict = judge(policy, Spent(), pay(ssp=2**62, recipient=BEN), NOW, is_approved=False)
    assert isinstance(verdict, Spent)


def test_the_day_ends_after_24_hours_and_not_before():
    spent = Spent()
    for number in range(4):
        spent = passed(pay(number, ssp=60), spent)
    assert isinstance(judged(pay(9), spent), Over)
    assert isinstance(judged(pay(9), spent, now_ms=NOW + DAY_MS - 1), Over)
    assert passed(pay(9), spent, now_ms=NOW + DAY_MS).ssp == 51


def test_a_clock_that_is_set_back_opens_nothing():
    spent = Spent()
    for number in range(4):
        spent = passed(pay(number, ssp=60), spent)
    for back in (1, DAY_MS, 900 * DAY_MS):
        assert isinstance(judged(pay(9), spent, now_ms=NOW - back), Over)


def test_the_same_bytes_again_count_once_even_above_every_limit():
    spent = passed(pay(ssp=80), is_approved=True)
    again = judged(pay(ssp=80), spent, payment_max=0, day_max=0, allowed=(BEN,))
    assert again == spent


def test_coins_have_a_day_of_their_own():
    spent = Spent()
    for number in (1, 2):
        spent = passed(pay(number, ssp=0, coin=COIN, coin_units=10), spent)
    verdict = judged(pay(3, ssp=0, coin=COIN, coin_units=6), spent)
    assert isinstance(verdict, Over)
    assert verdict.limit is Limit.DAY
    assert passed(pay(3, ssp=0, coin=COIN, coin_units=5), spent).coins == ((COIN, 25),)
    passed(pay(3, ssp=0, coin=BEN, coin_units=10**9), spent)  # other coins have no limit


def test_a_voucher_counts_what_it_promises_beyond_the_one_before():
    spent = passed(pay(1, ssp=40, fee=0, channel=CHANNEL))
    spent = passed(pay(2, ssp=70, fee=0, channel=CHANNEL), spent)
    assert spent.ssp == 70
    assert passed(pay(3, ssp=10, fee=0, channel=CHANNEL), spent).ssp == 70
    # A lower voucher does not lower what was promised.
    lowered = passed(pay(3, ssp=10, fee=0, channel=CHANNEL), spent)
    assert passed(pay(4, ssp=75, fee=0, channel=CHANNEL), lowered).ssp == 75


def test_channels_and_remembered_payments_are_bounded():
    spent = Spent()
    policy = SpendingPolicy(payment_max=None, day_max=None)
    for number in range(max(CHANNELS_MAX, RECENT_MAX) + 1):
        name = number.to_bytes(32, "big")
        payment = Payment(name, 1, 0, ANNA, channel=name)
        verdict = judge(policy, spent, payment, NOW, is_approved=False)
        if number < CHANNELS_MAX:
            assert isinstance(verdict, Spent)
            spent = verdict
        else:
            assert isinstance(verdict, Over)
            assert verdict.limit is Limit.CHANNELS
    assert len(spent.recent) <= RECENT_MAX


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 120), st.integers(-(2 * DAY_MS), 2 * DAY_MS)), max_size=40
    )
)
@settings(max_examples=100)
def test_in_any_24_hours_of_the_accounts_own_time_no_more_than_twice_the_day_leaves(steps):
    """A window is fixed once it begins, so two of them may touch; within one, the limit is exact."""
    policy = SpendingPolicy(payment_max=100, day_max=250)
    spent, now_ms, windows = Spent(), NOW, dict[int, int]()
    for number, (ssp, step_ms) in enumerate(steps):
        now_ms = max(0, now_ms + step_ms)
        payment = Payment(number.to_bytes(32, "big"), ssp, 0)
        verdict = judge(policy, spent, payment, now_ms, is_approved=False)
        if isinstance(verdict, Spent):
            assert verdict.now_ms >= spent.now_ms
            spent = verdict
            windows[spent.since_ms] = windows.get(spent.since_ms, 0) + ssp
    starts = sorted(windows)
    assert all(total <= 250 for total in windows.values())
    assert all(b - a >= DAY_MS for a, b in itertools.pairwise(starts))
