"""The grammar of `wallet`."""

from pathlib import Path

from gateway.cli.grammar import Commands, Parser, command, group, home, json


def add_wallet_commands(commands: Commands) -> None:
    """Add `wallet` and what belongs to it."""
    wallet = group(commands, "wallet", "the node's money: pay, queue, history, policy")
    show = command(wallet, "show", "gateway.cli.wallet:show", "print address and balance")
    json(home(show))
    send = _signing(command(wallet, "send", "gateway.cli.wallet:send", "pay an address"))
    send.add_argument("to", metavar="ADDRESS")
    send.add_argument("amount", metavar="AMOUNT", help="SSP, or units of --coin")
    send.add_argument("--coin", metavar="ID", help="an IOT_Coin instead of SSP")
    queue = command(wallet, "queue", "gateway.cli.wallet:queue", "what was signed, where it stands")
    json(home(queue)).add_argument("--all", action="store_true", help="what is decided too")
    cancel = _signing(command(wallet, "cancel", "gateway.cli.wallet:cancel", "take back a payment"))
    cancel.add_argument("id", help="the beginning of its id")
    replace = _signing(
        command(wallet, "replace", "gateway.cli.wallet:replace", "pay something else instead")
    )
    replace.add_argument("id", help="the beginning of its id")
    replace.add_argument("--to", metavar="ADDRESS", help="default: as before")
    replace.add_argument("--amount", metavar="SSP", help="default: as before")
    history = command(wallet, "history", "gateway.cli.wallet_views:history", "what came and went")
    json(home(history)).add_argument("--last", type=int, default=20, metavar="N")
    assets = command(wallet, "assets", "gateway.cli.wallet_views:assets", "what else it owns")
    json(home(assets))
    _add_policy(wallet)


def _signing(parser: Parser) -> Parser:
    json(home(parser))
    parser.add_argument("--offline", action="store_true", help="sign and keep; send it later")
    parser.add_argument(
        "--valid-hours", type=int, default=24, metavar="N", help="void if not final by then"
    )
    parser.add_argument("--approve", action="store_true", help="approve it with the passphrase")
    return _passphrase(parser)


def _passphrase(parser: Parser) -> Parser:
    parser.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="instead of asking for the passphrase"
    )
    return parser


def _add_policy(wallet: Commands) -> None:
    owner = command(
        wallet, "owner", "gateway.cli.wallet_policy:owner", "set the owner's passphrase, once"
    )
    home(_passphrase(owner))
    policy = command(
        wallet, "policy", "gateway.cli.wallet_policy:policy", "show or change what may be spent"
    )
    json(home(_passphrase(policy)))
    for option, what in (
        ("--payment-max", "one payment"),
        ("--day-max", "24 hours"),
        ("--approval-above", "above which the owner approves each payment"),
    ):
        policy.add_argument(option, metavar="SSP", help=f"{what}; none: no limit")
    policy.add_argument("--allow", action="append", metavar="ADDRESS", help="pay only these")
    policy.add_argument("--allow-anybody", action="store_true", help="forget the list")
    policy.add_argument(
        "--coin",
        action="append",
        nargs=3,
        metavar=("ID", "PAYMENT_MAX", "DAY_MAX"),
        help="limits of a coin, in its units; a second time: instead of the first",
    )
