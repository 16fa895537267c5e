"""The topics between ledger nodes: the only place where they are written.

ssp/1/<chain>/p/<node>    proposals                      ssp/1/<chain>/s/<node>   status, retained
ssp/1/<chain>/v/<node>    votes, the last one retained   ssp/1/<chain>/t/<node>   transactions
ssp/1/<chain>/c/<node>    certificates and vote sets     ssp/1/<chain>/a/<node>   addresses of peers
ssp/1/<chain>/d/<node>/<other>      what a node says to one other: requests and answers
ssp/1/<chain>/h/<guest>/{up,down}   the handshake of a connection that is not known yet

`<chain>` is the first 16 hexadecimal digits of the chain id, `<node>` a whole node id in hexadecimal: the one
who speaks. On a peer's own listener nobody else may publish under that peer's id.
"""

from typing import Final

_ROOT: Final = "ssp/1"
_CHAIN_DIGITS: Final = 16

PROPOSAL: Final = "p"
VOTE: Final = "v"
CERTIFICATE: Final = "c"
STATUS: Final = "s"
TRANSACTIONS: Final = "t"
ADDRESSES: Final = "a"
DIRECT: Final = "d"

BROADCAST_KINDS: Final = (PROPOSAL, VOTE, CERTIFICATE, STATUS, TRANSACTIONS, ADDRESSES)


class ChainTopics:
    """The topics of one chain."""

    def __init__(self, chain_id: bytes) -> None:
        self._prefix = f"{_ROOT}/{chain_id.hex()[:_CHAIN_DIGITS]}"

    def of(self, kind: str, node: bytes) -> str:
        """Return the topic of one kind that belongs to a node."""
        return f"{self._prefix}/{kind}/{node.hex()}"

    def direct(self, node: bytes, other: bytes) -> str:
        """Return the topic of what a node says to one other."""
        return f"{self._prefix}/{DIRECT}/{node.hex()}/{other.hex()}"

    def everything(self) -> str:
        """Return the filter that matches all of the chain's topics."""
        return f"{self._prefix}/#"

    def heard_by(self, node: bytes, speaker: bytes) -> tuple[str, ...]:
        """Return the topics on which a node hears a speaker."""
        own = tuple(self.of(kind, speaker) for kind in BROADCAST_KINDS)
        return (*own, self.direct(speaker, node))

    def shared_filters(self, node: bytes) -> tuple[str, ...]:
        """Return the filters by which a node hears everybody who uses one shared broker."""
        everybody = tuple(f"{self._prefix}/{kind}/+" for kind in BROADCAST_KINDS)
        return (*everybody, f"{self._prefix}/{DIRECT}/+/{node.hex()}")

    def handshake_up(self, guest: str) -> str:
        """Return the topic on which a guest proves itself."""
        return f"{self._prefix}/h/{guest}/up"

    def handshake_down(self, guest: str) -> str:
        """Return the topic on which a guest is answered."""
        return f"{self._prefix}/h/{guest}/down"

    def guest_of(self, topic: str) -> str | None:
        """Return the guest who says something on a topic, or None."""
        levels = self._levels(topic)
        return levels[1] if len(levels) == 3 and levels[0] == "h" and levels[2] == "up" else None

    def speaker_of(self, topic: str, hearer: bytes) -> tuple[str, bytes] | None:
        """Return the kind of a topic and the node who speaks on it to `hearer`, or None."""
        levels = self._levels(topic)
        is_direct = len(levels) == 3 and levels[0] == DIRECT and levels[2] == hearer.hex()
        if not is_direct and (len(levels) != 2 or levels[0] not in BROADCAST_KINDS):
            return None
        try:
            node = bytes.fromhex(levels[1])
        except ValueError:
            return None
        return (levels[0], node) if node.hex() == levels[1] else None

    def _levels(self, topic: str) -> list[str]:
        prefix = self._prefix + "/"
        return topic[len(prefix) :].split("/") if topic.startswith(prefix) else []
