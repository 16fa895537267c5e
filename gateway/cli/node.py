"""`init`, `run`, `agent`, `gateway`, `ledger` and `demo`: a node and its processes."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.app.founding import NetworkOptions, make_card
from gateway.app.provision import Membership, initialise
from gateway.cli.output import emit, home_of
from gateway.clock import SystemClock
from gateway.errors import GatewayError, SettingsError
from gateway.ledger_host.genesis import read_genesis
from gateway.ledger_host.peers.addresses import parse_peer
from gateway.ledger_host.snapshot_files import read_snapshot
from gateway.sd_notify import Notifier
from gateway.settings import Home, load_settings, parse_listen
from ledger.codec.text import format_address, parse_address
from ledger.errors import LedgerError
from ledger.light import Checkpoint

Service = Callable[[Home, Notifier, asyncio.Event], Awaitable[None]]


def init(options: argparse.Namespace) -> int:
    """Make a home folder with a new identity, in a chain of its own or in a known one."""
    home = home_of(options)
    if options.card:
        return _make_card(home, options)
    if options.snapshot and not options.checkpoint:
        raise SettingsError("--snapshot needs --checkpoint: the block that you trust")
    if options.checkpoint and not options.join:
        raise SettingsError("--checkpoint needs --join: it is of a chain that exists")
    if options.join and options.foundation is not None:
        raise SettingsError("--foundation is for a new network: the genesis to join names its own")
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


def agent(options: argparse.Namespace) -> int:
    """Run the SmartAgent until it is told to stop."""
    from gateway.app.agent import run_agent  # noqa: PLC0415 - each process loads only its own parts

    return _serve(home_of(options), run_agent)


def gateway(options: argparse.Namespace) -> int:
    """Run the gateway process until it is told to stop."""
    from gateway.app.gateway import run_gateway  # noqa: PLC0415 - as above

    return _serve(home_of(options), run_gateway)


def ledger(options: argparse.Namespace) -> int:
    """Run the ledger process until it is told to stop."""
    from gateway.ledger_host.service import run_ledger  # noqa: PLC0415 - as above

    return _serve(home_of(options), run_ledger)


def run(options: argparse.Namespace) -> int:
    """Run agent, gateway and ledger under one supervisor."""
    from gateway.app.processes import run_all  # noqa: PLC0415 - as above

    return _serve(home_of(options), run_all)


def demo(options: argparse.Namespace) -> int:
    """Show the whole product with real processes on free ports."""
    from gateway.demo.run import run_demo  # noqa: PLC0415 - as above

    home: Path | None = options.home
    return run_demo(home.resolve() if home is not None else None, once=options.once)


def _serve(home: Home, service: Service) -> int:
    load_settings(home)
    return run_until_signalled(lambda stop: service(home, Notifier(os.environ), stop))


def run_until_signalled(work: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `work` on the fastest loop there is; SIGTERM and SIGINT set its event."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_until_signalled(work))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - optional: faster, and correct without it
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _until_signalled(work: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await work(stop)
    except* (GatewayError, LedgerError) as group:
        raise _first(group) from None
    sys.stdout.flush()
    return 0


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    """Return what went wrong first in a process whose parts run side by side."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
