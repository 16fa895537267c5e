"""Peers that announce themselves by mDNS: hints where the agents of our own chain may be reached.

Rule: a name on the local network proves nothing. A hint counts only for an agent that the chain knows, by the
fingerprint of its key, and whoever answers at the address must then prove that key.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator

from gateway.discovery.announcement import Found, network_fingerprint, node_fingerprint
from gateway.discovery.mdns import discover
from gateway.errors import DiscoveryError
from gateway.settings import DiscoverySection
from ledger.network.wire import PeerAddress

_log = logging.getLogger(__name__)

SEARCH_S = 3.0
INTERVAL_S = 60.0


async def follow_hints(
    section: DiscoverySection,
    chain_id: bytes,
    agents: Callable[[], Collection[bytes]],
    learn: Callable[[PeerAddress], None],
) -> None:
    """Search now and then until cancelled; a network that cannot be searched is told once."""
    is_told = False
    while section.enabled:
        try:
            found = await discover(SEARCH_S, section.interfaces or None)
        except DiscoveryError as error:
            if not is_told:
                _log.info("no peers are searched for by mDNS: %s", error)
                is_told = True
        else:
            for hint in select_hints(found, chain_id, agents()):
                learn(hint)
        await asyncio.sleep(INTERVAL_S)


def select_hints(
    found: Iterable[Found], chain_id: bytes, agents: Collection[bytes]
) -> Iterator[PeerAddress]:
    """Yield the addresses of agents of this chain among what was found."""
    network = network_fingerprint(chain_id)
    by_fingerprint = {node_fingerprint(node): node for node in agents}
    for gateway in found:
        node = by_fingerprint.get(gateway.node)
        if node is not None and gateway.network == network and gateway.peer_port:
            for address in gateway.addresses[:1]:
                yield PeerAddress(node, address, gateway.peer_port)
