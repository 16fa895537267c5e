"""What the network of a node is given, and what it tells."""

import enum
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.identity.refusals import PeerFlag
from ledger.network.light_messages import LightMessage
from ledger.network.standing import Fault
from ledger.network.wire import NetworkMessage, PeerAddress, SnapshotMessage
from ledger.ports import PeerLink
from ledger.types.messages import Message


@dataclass(frozen=True, slots=True)
class ListenerCertificate:
    """A server's TLS context, and the SHA-256 of its certificate: the channel that handshakes are bound to."""

    context: ssl.SSLContext
    channel: bytes


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
class Traffic:
    """What passed since the start: messages not looked at, and bytes."""

    dropped: int
    heard_bytes: int
    said_bytes: int


class Submitted(enum.Enum):
    """What became of a transaction that a peer passed on."""

    TAKEN = enum.auto()  # it is new here and waits now
    LEFT = enum.auto()  # known here, or refused as things stand here
    FORGED = enum.auto()  # no honest node can have taken it: a false signature, or false evidence


def ignore_messages(_peer: bytes, _message: Message) -> None:
    """Listen to nobody's votes or blocks: there is no chain to which they could belong."""


def ignore_peers(_peer: bytes) -> None:
    """Greet nobody: peers are asked in turn."""


def leave_transactions(_raw: bytes) -> Submitted:
    """Take no transaction of others."""
    return Submitted.LEFT


def have_none_pending(_count: int) -> tuple[bytes, ...]:
    """Have no transaction of one's own."""
    return ()


def ignore_snapshots(_peer: bytes, _message: SnapshotMessage) -> None:
    """Neither hand out snapshots nor take them."""


def ignore_light(_peer: bytes, _message: LightMessage) -> None:
    """Neither answer light nodes nor be one."""


def ignore_listening() -> None:
    """Tell nobody that peers can come now."""


@dataclass(frozen=True, slots=True)
class NodeSide:
    """What the network needs of the node. All are called on the event loop."""

    agents: Callable[[], Collection[bytes]]  # node ids of the current set
    receive: Callable[[bytes, Message], None] = ignore_messages
    peer_connected: Callable[[bytes], None] = ignore_peers
    submit: Callable[[bytes], Submitted] = leave_transactions
    # Signed transactions that wait, at most so many.
    pending: Callable[[int], Sequence[bytes]] = have_none_pending
    snapshot: Callable[[bytes, SnapshotMessage], None] = ignore_snapshots
    light: Callable[[bytes, LightMessage], None] = ignore_light
    listening: Callable[[], None] = ignore_listening


class PeerNetwork(PeerLink, Protocol):
    """A way to the other nodes: links of our own, or a shared MQTT cluster."""

    def send(self, peer: bytes, message: NetworkMessage) -> None:
        """Send to one peer, also what is not of consensus."""
        ...

    def note_fault(self, peer: bytes, fault: Fault) -> None:
        """Count a fault against a peer's standing."""
        ...

    @property
    def port(self) -> int | None:
        """The port that is listened on, or None."""
        ...

    @property
    def connected(self) -> frozenset[bytes]:
        """Node ids that can be reached now."""
        ...

    @property
    def refusals(self) -> Mapping[bytes, str]:
        """Why a peer is not connected, in one line."""
        ...

    def views(self) -> tuple[PeerView, ...]:
        """Return the connected peers."""
        ...

    def traffic(self) -> Traffic:
        """Return what passed so far."""
        ...

    def learn(self, address: PeerAddress) -> None:
        """Take a hint where a node may be reached."""
        ...

    async def run(self, node: NodeSide) -> None:
        """Stay connected until cancelled. Raises `BrokerError` where it cannot listen."""
        ...
