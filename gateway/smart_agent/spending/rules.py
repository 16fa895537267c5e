"""Whether the wallet may pay, and what its account says afterwards. Pure: time is an argument.

Rule 1: a payment (fee included) is at most `payment_max`; within 24 hours, all together at most `day_max`.
Rule 2: with an allow-list, nobody else is paid. Coins have limits of their own, or none.
Rule 3: above `approval_above` the owner approves this very payment, once.
Rule 4: the same bytes again are the same payment. What is refused changes nothing.
Rule 5: time never goes back: a window of 24 hours ends when that much of the account's own time has gone.
"""

import enum
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.smart_agent.spending.payment import Payment
from ledger.params import SSP_BASE_UNITS
from ledger.types.primitives import Address, Amount, Counter, Hash

DAY_MS = 24 * 3_600_000
ALLOWED_MAX = 256
COINS_MAX = 64
RECENT_MAX = 256  # payments whose repetition is known; more than a mempool takes of one sender
CHANNELS_MAX = 256
PAYMENT_DEFAULT = 10_000 * SSP_BASE_UNITS
DAY_DEFAULT = 50_000 * SSP_BASE_UNITS


class CoinLimit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Limits of one IOT_Coin, in its units."""

    coin: Hash
    payment_max: Amount
    day_max: Amount


class SpendingPolicy(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the owner allows; amounts in base units. None: no such limit. An empty list: anybody."""

    payment_max: Amount | None = PAYMENT_DEFAULT
    day_max: Amount | None = DAY_DEFAULT
    approval_above: Amount | None = None
    allowed: Annotated[tuple[Address, ...], Meta(max_length=ALLOWED_MAX)] = ()
    coins: Annotated[tuple[CoinLimit, ...], Meta(max_length=COINS_MAX)] = ()


class Promise(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The most that was promised in a channel."""

    channel: Hash
    amount: Amount


class Spent(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What left in the window that began at `since_ms`; `now_ms` is the newest time that was seen."""

    now_ms: Counter = 0
    since_ms: Counter = 0
    ssp: Amount = 0
    coins: tuple[tuple[Hash, Amount], ...] = ()
    recent: tuple[Hash, ...] = ()
    promises: tuple[Promise, ...] = ()


class Limit(enum.Enum):
    """Which rule refuses a payment."""

    PAYMENT = "the limit of one payment"
    DAY = "the limit of 24 hours"
    RECIPIENT = "the list of recipients"
    APPROVAL = "the approval of its owner"
    CHANNELS = "the number of channels"


@dataclass(frozen=True, slots=True)
class Over:
    """A refusal: the rule and the line."""

    limit: Limit
    detail: str


def judge(
    policy: SpendingPolicy, spent: Spent, payment: Payment, now_ms: int, *, is_approved: bool
) -> Spent | Over:
    """Return the account after the payment, or why it is refused."""
    if payment.id in spent.recent:
        return spent
    spent = roll(spent, now_ms)
    amount = payment.ssp - promised(spent, payment.channel)
    amount = max(amount, 0)
    total = amount + payment.fee
    over = (
        _check_recipient(policy, payment)
        or _check_amount(policy, spent, total)
        or _check_coin(policy, spent, payment)
        or _check_approval(policy, total, is_approved=is_approved)
    )
    if over is not None:
        return over
    return _count(spent, payment, total)


def roll(spent: Spent, now_ms: int) -> Spent:
    """Return the account at `now_ms`, or at its own newest time where that is later."""
    now_ms = max(now_ms, spent.now_ms)
    if now_ms - spent.since_ms >= DAY_MS:
        return msgspec.structs.replace(spent, now_ms=now_ms, since_ms=now_ms, ssp=0, coins=())
    return msgspec.structs.replace(spent, now_ms=now_ms)


def promised(spent: Spent, channel: bytes | None) -> int:
    """Return what was promised in a channel before."""
    found = (one.amount for one in spent.promises if one.channel == channel)
    return next(found, 0)


def _check_recipient(policy: SpendingPolicy, payment: Payment) -> Over | None:
    if policy.allowed and payment.recipient is not None and payment.recipient not in policy.allowed:
        return Over(Limit.RECIPIENT, "the recipient is not on the list of those who may be paid")
    return None


def _check_amount(policy: SpendingPolicy, spent: Spent, total: int) -> Over | None:
    if policy.payment_max is not None and total > policy.payment_max:
        detail = f"a payment of {total} base units is over the limit of {policy.payment_max}"
        return Over(Limit.PAYMENT, detail)
    if policy.day_max is not None and spent.ssp + total > policy.day_max:
        left = policy.day_max - spent.ssp
        hours = -(-(spent.since_ms + DAY_MS - spent.now_ms) // 3_600_000)
        detail = f"{total} base units are over the {left} that may leave in the next {hours} h"
        return Over(Limit.DAY, detail)
    return None


def _check_coin(policy: SpendingPolicy, spent: Spent, payment: Payment) -> Over | None:
    limit = next((one for one in policy.coins if one.coin == payment.coin), None)
    if limit is None:
        return None
    if payment.coin_units > limit.payment_max:
        detail = f"{payment.coin_units} units are over the coin's limit of {limit.payment_max}"
        return Over(Limit.PAYMENT, detail)
    if dict(spent.coins).get(limit.coin, 0) + payment.coin_units > limit.day_max:
        return Over(Limit.DAY, f"{payment.coin_units} units are over the coin's limit of 24 hours")
    return None


def _check_approval(policy: SpendingPolicy, total: int, *, is_approved: bool) -> Over | None:
    if policy.approval_above is None or total <= policy.approval_above or is_approved:
        return None
    return Over(Limit.APPROVAL, f"a payment of {total} base units needs its owner's approval")


def _count(spent: Spent, payment: Payment, total: int) -> Spent | Over:
    promises = spent.promises
    if payment.channel is not None:
        others = tuple(one for one in promises if one.channel != payment.channel)
        if len(others) >= CHANNELS_MAX:
            return Over(Limit.CHANNELS, f"vouchers are out in {CHANNELS_MAX} channels already")
        most = max(payment.ssp, promised(spent, payment.channel))
        promises = (*others, Promise(payment.channel, most))
    coins = dict(spent.coins)
    if payment.coin is not None and payment.coin_units:
        coins[payment.coin] = coins.get(payment.coin, 0) + payment.coin_units
    return Spent(
        now_ms=spent.now_ms,
        since_ms=spent.since_ms,
        ssp=spent.ssp + total,
        coins=tuple(sorted(coins.items())),
        recent=(*spent.recent, payment.id)[-RECENT_MAX:],
        promises=promises,
    )
