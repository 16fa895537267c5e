"""Decides which of a peer's bytes are looked at (consensus specification 1.11).

Rule 1: bytes are counted before they are decoded, and decoded before anything is verified.
Rule 2: a peer's budgets are its own: a flood of one takes nothing from another.
Rule 3: what is over a budget is dropped; many faults in a row ban the peer for a while.
"""

from dataclasses import dataclass, field

from ledger.crypto.hashing import sha256
from ledger.errors import Rejected
from ledger.network import topics
from ledger.network.budget import DistinctByKey, RecentDigests, TokenBucket
from ledger.network.light_messages import LightAnswer, LightRequest
from ledger.network.standing import Fault, Standing
from ledger.network.wire import (
    Addresses,
    GetSnapshot,
    NetworkMessage,
    Pruned,
    SnapshotPart,
    Transactions,
    decode_message,
)
from ledger.types.messages import (
    BlockMessage,
    CertificateMessage,
    ChainMessage,
    EvidenceMessage,
    GetBlock,
    GetChain,
    GetProposal,
    Propose,
    Status,
    VoteMessage,
    VoteSet,
)

BYTES_PER_S = 1_000_000
BYTES_BURST = 4_000_000  # four of the largest answers, which a node that catches up asks for
MESSAGES_PER_S = (
    500  # 99 agents' votes and certificates relayed at the laboratory's two slots a second
)
MESSAGES_BURST = 2_000
REQUESTS_PER_S = 20
REQUESTS_BURST = 60
VOTES_PER_SLOT = 4  # of one agent by way of one peer: three kinds, and one that contradicts
PROPOSALS_PER_SLOT = 2  # likewise of one leader: the second is evidence
VOTE_KEYS_MAX = 99 * 16  # agents and the slots that are open at a time
PROPOSAL_KEYS_MAX = 128
REPEAT_WINDOW_MS = 400  # below the retry interval of consensus, also the laboratory's
DIGESTS_MAX = 8_192
PEERS_MAX = 256  # remembered standings; a peer beyond that displaces the one heard of longest ago

KNOWN = "known"
BANNED = "banned"
_KINDS: dict[type[NetworkMessage], str] = {
    Propose: topics.PROPOSAL,
    VoteMessage: topics.VOTE,
    CertificateMessage: topics.CERTIFICATE,
    VoteSet: topics.CERTIFICATE,
    EvidenceMessage: topics.CERTIFICATE,
    Status: topics.STATUS,
    BlockMessage: topics.DIRECT,
    ChainMessage: topics.DIRECT,
    GetBlock: topics.DIRECT,
    GetProposal: topics.DIRECT,
    GetChain: topics.DIRECT,
    Transactions: topics.TRANSACTIONS,
    Addresses: topics.ADDRESSES,
    GetSnapshot: topics.DIRECT,
    SnapshotPart: topics.DIRECT,
    Pruned: topics.DIRECT,
    LightRequest: topics.DIRECT,
    LightAnswer: topics.DIRECT,
}
_REQUESTS = (GetBlock, GetProposal, GetChain, GetSnapshot, LightRequest)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A message that is not looked at. `is_banned`: the peer must be disconnected now."""

    detail: str
    is_banned: bool = False


@dataclass(slots=True)
class _Peer:
    bytes_: TokenBucket
    messages: TokenBucket
    requests: TokenBucket
    votes: DistinctByKey = field(
        default_factory=lambda: DistinctByKey(VOTES_PER_SLOT, VOTE_KEYS_MAX)
    )
    proposals: DistinctByKey = field(
        default_factory=lambda: DistinctByKey(PROPOSALS_PER_SLOT, PROPOSAL_KEYS_MAX)
    )
    standing: Standing = field(default_factory=Standing)

    def is_within_slot(self, message: NetworkMessage, digest: bytes) -> bool:
        """Count votes and proposals by slot: nothing in them is verified, so each peer has its own."""
        if isinstance(message, VoteMessage):
            vote = message.vote
            return self.votes.take((vote.epoch, vote.slot, vote.voter), digest)
        if isinstance(message, Propose):
            return self.proposals.take((message.vote.epoch, message.vote.slot), digest)
        return True


def kind_of(message: NetworkMessage) -> str:
    """Return the kind of topic that a message goes to when it is for everybody."""
    return _KINDS[type(message)]


class Gatekeeper:
    """The budgets and standings of all peers of a node."""

    def __init__(self) -> None:
        self._peers: dict[bytes, _Peer] = {}
        self._digests = RecentDigests(REPEAT_WINDOW_MS, DIGESTS_MAX)

    def admit(self, peer: bytes, kind: str, raw: bytes, now_ms: int) -> NetworkMessage | Dropped:
        """Return what a peer said, or why that is not looked at. `kind` is its topic's."""
        known = self._known(peer, now_ms)
        if known.standing.is_banned(now_ms):
            return Dropped(BANNED, is_banned=True)
        if not known.messages.take(1, now_ms) or not known.bytes_.take(len(raw), now_ms):
            return self._fault(known, Fault.OVER_BUDGET, "more than a peer may send", now_ms)
        # The same bytes by way of two peers cost one decoding; a peer that repeats them is no worse.
        digest = sha256(raw)
        if kind != topics.DIRECT and not self._digests.is_new(digest, now_ms):
            return Dropped(KNOWN)
        message = decode_message(raw)
        if isinstance(message, Rejected):
            return self._fault(known, Fault.MALFORMED, message.detail, now_ms)
        if kind not in (topics.DIRECT, _KINDS[type(message)]):
            name = type(message).__name__
            return self._fault(known, Fault.UNWANTED, f"{name} on topic {kind}", now_ms)
        if isinstance(message, _REQUESTS) and not known.requests.take(1, now_ms):
            return self._fault(known, Fault.OVER_BUDGET, "too many requests", now_ms)
        if not known.is_within_slot(message, digest):
            return self._fault(known, Fault.OVER_BUDGET, "too many for one slot", now_ms)
        return message

    def blame(self, peer: bytes, fault: Fault, now_ms: int) -> bool:
        """Count a fault that showed later; tell whether the peer is banned now."""
        return self._known(peer, now_ms).standing.note(fault, now_ms)

    def is_banned(self, peer: bytes, now_ms: int) -> bool:
        """Tell whether a peer must be neither dialled nor let in."""
        known = self._peers.get(peer)
        return known is not None and known.standing.is_banned(now_ms)

    def _known(self, peer: bytes, now_ms: int) -> _Peer:
        known = self._peers.pop(peer, None)
        if known is None:
            known = _Peer(
                TokenBucket(BYTES_PER_S, BYTES_BURST, now_ms),
                TokenBucket(MESSAGES_PER_S, MESSAGES_BURST, now_ms),
                TokenBucket(REQUESTS_PER_S, REQUESTS_BURST, now_ms),
            )
            if len(self._peers) >= PEERS_MAX:
                del self._peers[next(iter(self._peers))]
        self._peers[peer] = known  # the newest stands last
        return known

    def _fault(self, known: _Peer, fault: Fault, detail: str, now_ms: int) -> Dropped:
        return Dropped(detail, is_banned=known.standing.note(fault, now_ms))
