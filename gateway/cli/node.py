"""`init` and `demo`: a new node, and the demonstration."""

import argparse
from pathlib import Path

from gateway.app.founding import NetworkOptions, make_card
from gateway.app.provision import Membership, initialise
from gateway.cli.output import emit, home_of
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import read_genesis
from gateway.ledger_host.peers.addresses import parse_peer
from gateway.ledger_host.snapshot_files import read_snapshot
from gateway.settings import Home, parse_listen
from ledger.codec.text import format_address, parse_address
from ledger.light import Checkpoint


def init(options: argparse.Namespace) -> int:
    """Make a home folder with a new identity, in a chain of its own or in a known one."""
    home = home_of(options)
    if options.card:
        return _make_card(home, options)
    _check_init(options)
    parse_listen(options.listen)
    foundation = None if options.foundation is None else parse_address(options.foundation)
    if options.ledger_listen:
        parse_listen(options.ledger_listen)
    for peer in options.peer:
        parse_peer(peer)
    genesis = read_genesis(options.join) if options.join else None
    snapshot = None
    if genesis is not None and options.checkpoint:
        checkpoint = Checkpoint.parse(options.checkpoint)
        if options.snapshot:
            snapshot = read_snapshot(options.snapshot, genesis, checkpoint)
    membership = Membership(
        NetworkOptions(foundation=foundation),
        genesis=genesis,
        snapshot=snapshot,
        checkpoint=options.checkpoint or "",
        listen=options.ledger_listen,
        peers=tuple(options.peer),
        role="light" if options.light else "full",
    )
    keys = initialise(
        home,
        options.name,
        SystemClock(),
        listen=options.listen,
        membership=membership,
        key_uri=options.key,
    )
    emit(
        options,
        {
            "home": str(home.path),
            "name": options.name,
            "node": format_address(keys.node),
            "wallet": format_address(keys.wallet),
        },
        f"{home.path} is ready.\n"
        f"  node    {format_address(keys.node)}\n"
        f"  wallet  {format_address(keys.wallet)}\n"
        f"Start it with `smartshare run --home {home.path}`; add a device with "
        f"`smartshare device add NAME --profile PROFILE --home {home.path}`.",
    )
    return 0


def _check_init(options: argparse.Namespace) -> None:
    """Raise `SettingsError` for options that do not go together."""
    if options.snapshot and not options.checkpoint:
        raise SettingsError("--snapshot needs --checkpoint: the block that you trust")
    if options.checkpoint and not options.join:
        raise SettingsError("--checkpoint needs --join: it is of a chain that exists")
    if options.light and not (options.join and options.peer):
        raise SettingsError("--light needs --join and --peer: a chain, and a full node of it")
    if options.light and (options.ledger_listen or options.snapshot):
        raise SettingsError("--light takes no --ledger-listen and no --snapshot: it keeps no chain")
    if options.join and options.foundation is not None:
        raise SettingsError("--foundation is for a new network: the genesis to join names its own")


def _make_card(home: Home, options: argparse.Namespace) -> int:
    card = make_card(home, options.key)
    emit(
        options,
        card,
        f"{home.card} holds this node's public keys. Collect the cards of all founders, then:\n"
        f"  smartshare genesis CARD... -o genesis.json\n"
        f"  smartshare init --home {home.path} --join genesis.json",
    )
    return 0


def demo(options: argparse.Namespace) -> int:
    """Show the whole product with real processes on free ports."""
    from gateway.demo.run import run_demo  # noqa: PLC0415 - a node needs no demonstration

    home: Path | None = options.home
    return run_demo(home.resolve() if home is not None else None, once=options.once)
