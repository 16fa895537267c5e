"""What the network of a node is given, and what it tells."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from gateway.ledger_host.peers.listener import ListenerCertificate
from ledger.identity.refusals import PeerFlag
from ledger.network.wire import PeerAddress
from ledger.types.messages import Message


@dataclass(frozen=True, slots=True)
class PeerSettings:
    """Where to listen, None for nowhere (outbound only), and whom to dial, all with TLS or none."""

    listen: tuple[str, int] | None
    peers: tuple[PeerAddress, ...] = ()
    is_tls: bool = False
    certificate: ListenerCertificate | None = None  # where we listen with TLS


@dataclass(frozen=True, slots=True)
class PeerView:
    """A connected peer, for people."""

    node: bytes
    address: str
    is_outbound: bool
    flags: tuple[PeerFlag, ...]


@dataclass(frozen=True, slots=True)
class NodeSide:
    """What the network needs of the node. All are called on the event loop."""

    receive: Callable[[bytes, Message], None]
    peer_connected: Callable[[bytes], None]
    submit: Callable[[bytes], bool]  # True when the transaction is new and was taken
    pending: Callable[[int], Sequence[bytes]]  # signed transactions that wait, at most so many
    agents: Callable[[], Collection[bytes]]  # node ids of the current set
