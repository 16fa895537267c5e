"""The SmartAgent process: harden, unseal, listen, serve until cancelled."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from gateway.smart_agent.agent import Agent
from gateway.smart_agent.audit.log import SYNC_INTERVAL_NS
from gateway.smart_agent.endpoint import listening
from gateway.smart_agent.hardening import forbid_memory_dumps
from gateway.smart_agent.provision import open_agent
from gateway.smart_agent.server import serve_requests
from gateway.smart_agent.unlock import find_unlock

_log = logging.getLogger(__name__)


async def serve(folder: Path, socket_path: Path, ready: Callable[[], None]) -> None:
    """Run the agent of `folder` at `socket_path`; call `ready` once it answers.

    Runs until cancelled. Raises `AgentError` when the agent cannot be opened or cannot listen.
    """
    forbid_memory_dumps()
    with open_agent(folder, find_unlock(folder)) as agent, listening(socket_path) as listener:
        _log.info("SmartAgent of node %s listens", agent.description.node.hex()[:16])
        ready()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(serve_requests(listener, agent.handle))
            tasks.create_task(_sync_forever(agent))
            tasks.create_task(_work_ahead(agent))


async def _sync_forever(agent: Agent) -> None:
    """Keep the audit log's unsynced end short when nothing is asked."""
    while True:
        await asyncio.sleep(SYNC_INTERVAL_NS / 1_000_000_000)
        agent.sync()


async def _work_ahead(agent: Agent) -> None:
    """Use the time between requests; each piece of work takes about a millisecond."""
    is_busy = True
    while is_busy:
        await asyncio.sleep(0)
        is_busy = agent.work_ahead()
