"""Peers as the operator writes them: `ssp1...@HOST:PORT`, the node id being the key they must prove."""

from gateway.errors import SettingsError
from gateway.settings import parse_listen
from ledger.codec.text import format_address, parse_address
from ledger.errors import CodecError
from ledger.network.wire import PeerAddress

PEER_RULE = "write the node's address, @ and where it listens: ssp1...@192.168.1.20:8884"


def parse_peer(text: str) -> PeerAddress:
    """Return the peer that a line of the settings names; raises `SettingsError` with one line."""
    node, at, where = text.partition("@")
    if not at:
        raise SettingsError(f"ledger.peers: {text[:120]!r} is no peer: {PEER_RULE}")
    try:
        host, port = parse_listen(where)
        return PeerAddress(parse_address(node), host, port)
    except (CodecError, SettingsError) as error:
        raise SettingsError(f"ledger.peers: {text[:120]!r}: {error}: {PEER_RULE}") from None


def format_peer(peer: PeerAddress) -> str:
    """Return the line that `parse_peer` reads."""
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    return f"{format_address(peer.node)}@{host}:{peer.port}"
