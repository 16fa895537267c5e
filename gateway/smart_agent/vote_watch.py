"""Listening before voting, and looking out for votes by our own key that we never gave. Pure.

A restored backup or a cloned card holds our key and an older record. Whoever starts with one hears the
other's votes before it gives its own: so after every start the agent only listens, for one lap (each seat
leads once) and until its node is at the chain's tip; and whatever it hears later is looked at too.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.smart_agent.judge import SignRecord, VoteRequest
from ledger.crypto.domains import NO_HASH, VoteKind

VOTES_REMEMBERED_MAX = (
    1_024  # some 340 slots; what is older than them cannot be told from a stranger's
)

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class TipReport:
    """What the ledger process says: whether it is at the chain's tip, and how many agents vote."""

    is_at_tip: bool
    agents: int


class Listening:
    """The wait after a start. With one agent there is nobody to listen to: being at the tip is enough."""

    def __init__(self, slot_ms: int) -> None:
        self._slot_ms = slot_ms
        self._heard_since_ns: int | None = None
        self._is_over = False

    def report(self, report: TipReport, now_ns: int) -> None:
        """Take note of a report."""
        if self._heard_since_ns is None:
            self._heard_since_ns = now_ns
        lap_ns = report.agents * self._slot_ms * _NS_PER_MS if report.agents > 1 else 0
        if report.is_at_tip and now_ns - self._heard_since_ns >= lap_ns:
            self._is_over = True

    def why_not(self) -> str | None:
        """Return None once voting may begin, else what is waited for."""
        if self._is_over:
            return None
        if self._heard_since_ns is None:
            return "listens first: the ledger has not said yet that it is at the chain's tip"
        return "listens first: until the ledger is at the chain's tip, and for one lap"


class VoteMemory:
    """The votes that this process gave: whatever else bears our key in their slots is a stranger's."""

    def __init__(self, record: SignRecord) -> None:
        self._floor = (record.epoch, record.slot)
        self._votes: OrderedDict[VoteRequest, None] = OrderedDict()
        for vote in _votes_of(record):
            self._votes[vote] = None

    def remember(self, vote: VoteRequest) -> None:
        """Take note of a vote that is about to be signed."""
        self._votes[vote] = None
        self._votes.move_to_end(vote)
        while len(self._votes) > VOTES_REMEMBERED_MAX:
            oldest, _ = self._votes.popitem(last=False)
            # Others of its slot may be gone too: from there on nothing is known.
            self._floor = max(self._floor, (oldest.epoch, oldest.slot + 1))

    def is_ours(self, vote: VoteRequest) -> bool:
        """Tell whether we gave this vote, or cannot know any more."""
        return vote in self._votes or (vote.epoch, vote.slot) < self._floor


def _votes_of(record: SignRecord) -> list[VoteRequest]:
    """Return the votes that a record stands for."""
    votes = []
    if record.notarized is not None:
        votes.append(VoteRequest(VoteKind.NOTARIZE, record.epoch, record.slot, record.notarized))
    if record.nullified:
        votes.append(VoteRequest(VoteKind.NULLIFY, record.epoch, record.slot, NO_HASH))
    if record.finalized is not None:
        votes.append(VoteRequest(VoteKind.FINALIZE, record.epoch, record.slot, record.finalized))
    return votes
