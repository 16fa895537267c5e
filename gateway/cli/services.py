"""`run`, `agent`, `gateway` and `ledger`: the processes of a node.

Rule: nothing here is imported that not all of them need; each loads its own parts when it starts.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable

from gateway.cli.output import home_of
from gateway.errors import GatewayError
from gateway.sd_notify import Notifier
from gateway.settings import Home, load_settings
from ledger.errors import LedgerError

Service = Callable[[Home, Notifier, asyncio.Event], Awaitable[None]]


def agent(options: argparse.Namespace) -> int:
    """Run the SmartAgent until it is told to stop."""
    from gateway.app.agent import run_agent  # noqa: PLC0415 - the rule above

    return _serve(home_of(options), run_agent)


def gateway(options: argparse.Namespace) -> int:
    """Run the gateway process until it is told to stop."""
    from gateway.app.gateway import run_gateway  # noqa: PLC0415 - as above

    return _serve(home_of(options), run_gateway)


def ledger(options: argparse.Namespace) -> int:
    """Run the ledger process until it is told to stop."""
    home = home_of(options)
    if load_settings(home).ledger.role == "light":
        from gateway.ledger_host.light.service import run_light  # noqa: PLC0415 - as above

        return _serve(home, run_light)
    from gateway.ledger_host.service import run_ledger  # noqa: PLC0415 - as above

    return _serve(home, run_ledger)


def run(options: argparse.Namespace) -> int:
    """Run agent, gateway and ledger under one supervisor."""
    from gateway.app.processes import run_all  # noqa: PLC0415 - as above

    return _serve(home_of(options), run_all)


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
