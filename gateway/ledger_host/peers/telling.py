"""Who is connected, and who is not and why, for the gateway's other processes."""

from gateway.ledger_host.peers.seams import PeerNetwork
from gateway.model.ledger_api import PeerReply, PeersReply


def build_peers_reply(network: PeerNetwork) -> PeersReply:
    """Return a network in the words of the reply; on the event loop."""
    connected = [
        PeerReply(
            node=view.node.hex(),
            direction="to" if view.is_outbound else "from",
            address=view.address,
            flags=tuple(flag.value for flag in view.flags),
        )
        for view in network.views()
    ]
    missing = [
        PeerReply(node.hex(), "none", "", problem=problem)
        for node, problem in network.refusals.items()
        if node not in network.connected
    ]
    traffic = network.traffic()
    return PeersReply(
        tuple(connected + missing), traffic.dropped, traffic.heard_bytes, traffic.said_bytes
    )
