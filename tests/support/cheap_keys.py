"""Identities whose key is unsealed at once: a real one takes half a second of Argon2id and 256 MiB."""

from gateway.settings import Home
from gateway.smart_agent.provision import create_agent, is_agent_there
from gateway.smart_agent.sealed_key import KdfLimits
from gateway.smart_agent.unlock import find_unlock

CHEAP = KdfLimits(ops=1, memory_bytes=8192)


def seal_cheaply(home: Home) -> None:
    """Give a home that has none an identity; whatever makes the home takes it up."""
    home.create()
    if not is_agent_there(home.agent):
        create_agent(home.agent, find_unlock(home.agent), CHEAP)
