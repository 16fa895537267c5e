"""`smartshare run`: the three processes of a node under one supervisor."""

import asyncio
import sys

from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import Home
from gateway.supervision import ProcessSpec, Supervisor

READY_TIMEOUT_S = 900.0  # checking a large database on an SD card takes minutes
SERVICES = ("agent", "gateway", "ledger")  # each waits for the one before it where it needs it


def service_specs(home: Home) -> tuple[ProcessSpec, ...]:
    """Return how each process of a node is started."""
    return tuple(
        ProcessSpec(
            name,
            (sys.executable, "-m", "gateway.cli.main", name, "--home", str(home.path)),
            READY_TIMEOUT_S,
        )
        for name in SERVICES
    )


async def run_all(home: Home, notifier: Notifier, stop: asyncio.Event) -> None:
    """Run all processes until `stop` is set; one that ends is started again."""
    supervisor = Supervisor(service_specs(home))

    async def announce_ready() -> None:
        await supervisor.ready.wait()
        notifier.ready()
        await run_watchdog(notifier, lambda: True)

    async with asyncio.TaskGroup() as group:
        announcing = group.create_task(announce_ready())
        await supervisor.run(stop)
        notifier.stopping()
        announcing.cancel()
