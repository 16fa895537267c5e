"""The agent process: nothing but the SmartAgent, ready as soon as its socket answers."""

import asyncio

from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import Home
from gateway.smart_agent import service


async def run_agent(home: Home, notifier: Notifier, stop: asyncio.Event) -> None:
    """Serve the SmartAgent until `stop` is set."""

    async def serve() -> None:
        await service.serve(home.agent, home.agent_socket, notifier.ready)

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(serve()),
            group.create_task(run_watchdog(notifier, lambda: True)),
        ]
        await stop.wait()
        notifier.stopping()
        for task in tasks:
            task.cancel()
