"""What becomes of a peer's bytes: let through, or dropped, and then handed to whom they are for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.ledger_host.peers.seams import NodeSide, Submitted
from ledger.network.gatekeeper import KNOWN, Dropped, Gatekeeper
from ledger.network.light_messages import LightMessage
from ledger.network.relay import TransactionRelay
from ledger.network.standing import Fault
from ledger.network.wire import (
    Addresses,
    NetworkMessage,
    PeerAddress,
    SnapshotMessage,
    Transactions,
)


@dataclass(slots=True)
class Ear:
    """The way in, whatever connection the bytes came by. `node` is set before anything is heard."""

    gate: Gatekeeper
    relay: TransactionRelay
    learn: Callable[[PeerAddress], None]
    node: NodeSide | None = None
    dropped: int = 0
    heard_bytes: int = field(default=0)

    def hear(self, peer: bytes, kind: str, raw: bytes, now_ms: int) -> Dropped | None:
        """Take what a peer said; return why it was dropped, unless somebody said the same just now."""
        if not raw or self.node is None:
            return None  # a status taken back: the peer has gone
        self.heard_bytes += len(raw)
        message = self.gate.admit(peer, kind, raw, now_ms)
        if isinstance(message, Dropped):
            if message.detail == KNOWN:
                return None
            self.dropped += 1
            return message
        if isinstance(message, Transactions):
            return self._hear_transactions(self.node, peer, message.raw, now_ms)
        self._hand_on(self.node, peer, message)
        return None

    def _hear_transactions(
        self, node: NodeSide, peer: bytes, transactions: Sequence[bytes], now_ms: int
    ) -> Dropped | None:
        """Hand transactions on up to the first forged one, which costs the peer standing."""
        for transaction in transactions:
            match node.submit(transaction):
                case Submitted.TAKEN:
                    self.relay.add(transaction)
                case Submitted.FORGED:
                    self.dropped += 1
                    is_banned = self.gate.blame(peer, Fault.FORGED, now_ms)
                    return Dropped("it passed on a forged transaction", is_banned=is_banned)
                case Submitted.LEFT:
                    pass
        return None

    def _hand_on(self, node: NodeSide, peer: bytes, message: NetworkMessage) -> None:
        if isinstance(message, Addresses):
            agents = node.agents()
            for address in message.peers:
                if address.node in agents:  # nobody makes us dial whomever he likes
                    self.learn(address)
        elif isinstance(message, SnapshotMessage):
            node.snapshot(peer, message)
        elif isinstance(message, LightMessage):
            node.light(peer, message)
        elif not isinstance(message, Transactions):
            node.receive(peer, message)
