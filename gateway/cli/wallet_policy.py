"""`wallet policy` and `wallet owner`: what the wallet may spend, and who decides that."""

import argparse

import msgspec

from gateway.app.amounts import format_ssp, parse_ssp
from gateway.cli.output import emit, home_of
from gateway.cli.passphrase import passphrase_of
from gateway.errors import SettingsError
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.provision import set_wallet_owner
from gateway.smart_agent.spending.rules import ALLOWED_MAX, COINS_MAX, CoinLimit, SpendingPolicy
from gateway.smart_agent.spending_messages import Spending
from ledger.codec.text import format_address, parse_address
from ledger.params import AMOUNT_MAX, HASH_BYTES


def owner(options: argparse.Namespace) -> int:
    """Set the passphrase that changes the policy and approves payments."""
    home = home_of(options)
    set_wallet_owner(home.agent, passphrase_of(options, "the wallet's owner", is_new=True))
    print("the passphrase is set: keep it away from this machine")
    return 0


def policy(options: argparse.Namespace) -> int:
    """Show the policy, or change what the options name."""
    agent = AgentClient(home_of(options).agent_socket)
    state = agent.spending()
    changed = _change(state.policy, options)
    if changed != state.policy:
        state = agent.change_spending(passphrase_of(options, "the wallet's owner"), changed)
    emit(options, _data(state), _text(state))
    return 0


def _change(policy: SpendingPolicy, options: argparse.Namespace) -> SpendingPolicy:
    changes: dict[str, object] = {}
    for name in ("payment_max", "day_max", "approval_above"):
        text = getattr(options, name)
        if text is not None:
            changes[name] = None if text == "none" else parse_ssp(text)
    if options.allow_anybody:
        changes["allowed"] = ()
    elif options.allow:
        changes["allowed"] = tuple(sorted({parse_address(text) for text in options.allow}))
    if options.coin:
        changes["coins"] = _merge_coins(policy.coins, options.coin)
    changed = msgspec.structs.replace(policy, **changes)
    if len(changed.allowed) > ALLOWED_MAX or len(changed.coins) > COINS_MAX:
        raise SettingsError(f"at most {ALLOWED_MAX} recipients and {COINS_MAX} coins")
    return changed


def _merge_coins(known: tuple[CoinLimit, ...], given: list[list[str]]) -> tuple[CoinLimit, ...]:
    limits = {one.coin: one for one in known}
    for name, payment_max, day_max in given:
        coin = parse_coin(name)
        limits[coin] = CoinLimit(coin, parse_units(payment_max), parse_units(day_max))
    return tuple(limits[coin] for coin in sorted(limits))


def parse_coin(text: str) -> bytes:
    """Return a coin's id from its hexadecimal text; raises `SettingsError`."""
    try:
        coin = bytes.fromhex(text)
    except ValueError:
        coin = b""
    if len(coin) != HASH_BYTES:
        raise SettingsError(f"{text[:80]!r} is not a coin's id of {2 * HASH_BYTES} hex digits")
    return coin


def parse_units(text: str) -> int:
    """Return units of a coin; raises `SettingsError`."""
    if not text.isascii() or not text.isdigit() or int(text[:20]) > AMOUNT_MAX:
        raise SettingsError(f"{text[:40]!r} is not a number of units, 0 to {AMOUNT_MAX}")
    return int(text)


def _data(state: Spending) -> dict[str, object]:
    policy, spent = state.policy, state.spent
    return {
        "payment_max": _ssp(policy.payment_max),
        "day_max": _ssp(policy.day_max),
        "approval_above": _ssp(policy.approval_above),
        "allowed": [format_address(one) for one in policy.allowed],
        "coins": [
            {"coin": one.coin.hex(), "payment_max": one.payment_max, "day_max": one.day_max}
            for one in policy.coins
        ],
        "spent": format_ssp(spent.ssp),
        "spent_coins": {coin.hex(): units for coin, units in spent.coins},
        "has_owner": state.has_owner,
    }


def _text(state: Spending) -> str:
    policy = state.policy
    approval = _ssp(policy.approval_above)
    recipients = ", ".join(format_address(one) for one in policy.allowed)
    lines = [
        f"one payment   {_ssp(policy.payment_max) or 'no limit'}",
        f"24 hours      {_ssp(policy.day_max) or 'no limit'}; {format_ssp(state.spent.ssp)} are spent",
        f"approval      {'never' if approval is None else f'above {approval}'}",
        f"recipients    {recipients or 'anybody'}",
    ]
    lines += [
        f"coin {one.coin.hex()}: one payment {one.payment_max}, 24 hours {one.day_max}"
        for one in policy.coins
    ]
    if not state.has_owner:
        lines.append("no owner is set: stop the node and run `smartshare wallet owner`")
    return "\n".join(lines)


def _ssp(amount: int | None) -> str | None:
    return None if amount is None else format_ssp(amount)
