"""`wallet`: the node's money, from a signature in the queue to a final block."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.app.amounts import format_ssp, parse_ssp
from gateway.app.operator import Operator, check_applied
from gateway.app.transactions import decode_transaction
from gateway.app.wallet import SendOptions, WalletAccount
from gateway.app.wallet_file import WalletFile
from gateway.app.wallet_queue import LIVE, VALID_MS_MAX, Entry
from gateway.cli.output import emit, home_of, table
from gateway.cli.passphrase import passphrase_of
from gateway.cli.wallet_policy import parse_coin, parse_units
from gateway.cli.wallet_views import coin_ids
from gateway.errors import MessagingError, SettingsError
from gateway.model.ledger_api import AccountReply, CoinReply
from gateway.settings import Home
from ledger.codec.text import format_address, parse_address
from ledger.types.time_text import format_time_ms
from ledger.types.transaction import Body, Transfer, TransferCoin

HOUR_MS = 3_600_000
ID_SHOWN = 16


def show(options: argparse.Namespace) -> int:
    """Print the wallet's address and balance."""
    home = home_of(options)
    with Operator(home) as operator:
        wallet = WalletAccount(home, operator).keys.wallet
        account = operator.ask("account", {"address": wallet.hex()}, AccountReply)
        coins = _held_coins(home, operator, wallet)
    waiting = len(WalletFile(home).load().live)
    emit(
        options,
        {
            "address": format_address(wallet),
            "balance": format_ssp(account.balance),
            "nonce": account.nonce,
            "coins": {coin: reply.balance for coin, reply in coins.items()},
            "waiting": waiting,
        },
        f"{format_address(wallet)}\n{format_ssp(account.balance)} SSP"
        + "".join(f"\n{one.balance} units of {one.symbol} {coin}" for coin, one in coins.items())
        + (f"\n{waiting} transactions wait: see `smartshare wallet queue`" if waiting else ""),
    )
    return 0


def _held_coins(home: Home, operator: Operator, wallet: bytes) -> dict[str, CoinReply]:
    """Return what the wallet holds of the coins that it ever had to do with."""
    replies = {
        coin: operator.ask("coin", {"id": coin, "address": wallet.hex()}, CoinReply)
        for coin in coin_ids(home)
    }
    return {coin: reply for coin, reply in replies.items() if reply.balance}


def send(options: argparse.Namespace) -> int:
    """Pay an address and wait until the payment is final; or sign, and leave it to the gateway."""
    home = home_of(options)
    to = parse_address(options.to)
    body: Body
    if options.coin is None:
        body, what = Transfer(to, _amount(options.amount)), f"{options.amount} SSP"
    else:
        coin = parse_coin(options.coin)
        body = TransferCoin(coin, to, parse_units(options.amount))
        what = f"{options.amount} of {options.coin[:ID_SHOWN]}"
    what = f"{what} to {options.to[:ID_SHOWN]}..."
    send_options = _send_options(options)
    with _wallet(home, options) as (wallet, operator):
        transaction_id, _, _ = wallet.send(body, what, send_options)
        return _finish(options, operator, transaction_id, what)


def queue(options: argparse.Namespace) -> int:
    """Print what was signed and where it stands."""
    entries = WalletFile(home_of(options)).load().entries
    chosen = [one for one in entries if options.all or one.standing in LIVE]
    rows = [
        (
            one.id[:ID_SHOWN],
            str(one.nonce),
            one.standing.value,
            format_time_ms(one.created_ms),
            one.what,
            one.reason or (f"block {one.height}" if one.height else ""),
        )
        for one in chosen
    ]
    headings = ("id", "nonce", "standing", "signed", "what", "")
    emit(
        options,
        [_entry_data(one) for one in chosen],
        table(headings, rows) if rows else "nothing waits",
    )
    return 0


def cancel(options: argparse.Namespace) -> int:
    """Drop what never left this machine, or use its nonce for a payment of nothing."""
    home = home_of(options)
    send_options = _send_options(options)
    entry = WalletFile(home).load().find(options.id)
    with _wallet(home, options) as (wallet, operator):
        newer = wallet.cancel(entry, send_options)
        if newer is None:
            emit(
                options, {"id": entry.id, "standing": "dropped"}, f"{entry.id} never left: dropped"
            )
            return 0
        return _finish(options, operator, newer.id, newer.what)


def replace(options: argparse.Namespace) -> int:
    """Pay something else with the nonce of a payment that is not decided yet."""
    home = home_of(options)
    send_options = _send_options(options)
    entry = WalletFile(home).load().find(options.id)
    body = decode_transaction(bytes.fromhex(entry.raw)).body
    if not isinstance(body, Transfer):
        raise SettingsError(f"{entry.what}: only payments of SSP are replaced; cancel it instead")
    to = body.to if options.to is None else parse_address(options.to)
    amount = body.amount if options.amount is None else _amount(options.amount)
    what = f"{format_ssp(amount)} SSP to {format_address(to)[:ID_SHOWN]}..."
    with _wallet(home, options) as (wallet, operator):
        newer = wallet.replace(entry, Transfer(to, amount), what, send_options)
        return _finish(options, operator, newer.id, what)


@contextmanager
def _wallet(
    home: Home, options: argparse.Namespace
) -> Iterator[tuple[WalletAccount, Operator | None]]:
    """Open the wallet with the node's ledger behind it, or, with --offline, without one."""
    if options.offline:
        yield WalletAccount(home, None), None
        return
    try:
        operator = Operator(home)
        operator.__enter__()
    except MessagingError as error:
        raise MessagingError(f"{error}; to sign now and send later, add --offline") from None
    try:
        yield WalletAccount(home, operator), operator
    finally:
        operator.__exit__(None, None, None)


def _finish(
    options: argparse.Namespace, operator: Operator | None, transaction_id: str, what: str
) -> int:
    if operator is None:
        emit(
            options,
            {"id": transaction_id, "standing": "waiting"},
            f"{what}: signed and kept, id {transaction_id}\nthe running gateway sends it",
        )
        return 0
    reply = operator.wait_final(transaction_id)
    check_applied(transaction_id, reply)
    emit(
        options,
        {"id": transaction_id, "height": reply.height, "fee": format_ssp(reply.fee_paid)},
        f"{what}\nfinal in block {reply.height}, fee {format_ssp(reply.fee_paid)} SSP, "
        f"id {transaction_id}",
    )
    return 0


def _send_options(options: argparse.Namespace) -> SendOptions:
    hours = options.valid_hours
    if not 1 <= hours <= VALID_MS_MAX // HOUR_MS:
        raise SettingsError(f"--valid-hours {hours}: from 1 to {VALID_MS_MAX // HOUR_MS}")
    passphrase = passphrase_of(options, "the wallet's owner") if options.approve else None
    return SendOptions(hours * HOUR_MS, passphrase)


def _amount(text: str) -> int:
    amount = parse_ssp(text)
    if amount == 0:
        raise SettingsError("amount 0: there is nothing to send")
    return amount


def _entry_data(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "nonce": entry.nonce,
        "standing": entry.standing.value,
        "what": entry.what,
        "fee": format_ssp(entry.fee),
        "expiry_height": entry.expiry_height,
        "signed": format_time_ms(entry.created_ms),
        "reason": entry.reason,
        "height": entry.height,
    }
