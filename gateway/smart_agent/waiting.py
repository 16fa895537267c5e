"""Start order does not matter: a process that needs the SmartAgent waits until it answers."""

import asyncio
import logging
from collections.abc import Callable

from gateway.errors import AgentError
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.keys import AgentKeys

_log = logging.getLogger(__name__)

RETRY_S = 0.5


async def wait_for_agent(
    agent: AgentClient, tell: Callable[[str], None], stop: asyncio.Event
) -> AgentKeys | None:
    """Return the agent's keys once it answers; None when `stop` is set first.

    `tell` gets one line for people while it waits.
    """
    is_told = False
    while not stop.is_set():
        try:
            return await asyncio.to_thread(agent.describe)
        except AgentError as error:
            if not is_told:
                _log.info("waiting: %s", error)
                tell(f"waiting: {error}")
                is_told = True
            await asyncio.sleep(RETRY_S)
    return None
