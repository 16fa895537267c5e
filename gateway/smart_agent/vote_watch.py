"""Listening before voting, and looking out for votes by our own key that we never gave. Pure.

A restored backup or a cloned card holds our key and an older record. Whoever starts with one hears the
other's votes before it gives its own: so after every start the agent only listens, for one lap (each seat
leads once) and until its node is at the chain's tip; and whatever it hears later is looked at too.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.smart_agent.judge import SignRecord, VoteRequest, votes_of

VOTES_REMEMBERED_MAX = (
    1_024  # some 340 slots; what is older than them cannot be told from a stranger's
)

TAKEN_LAPS = 3  # the holder of the lease votes after one

_NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class TipReport:
    """What the ledger process says: whether it is at the chain's tip, and how many agents vote."""

    is_at_tip: bool
    agents: int


class Listening:
    """When votes wait: after a start, and while the chain says that somebody else runs this identity.

    With one agent there is nobody to listen to: being at the tip is enough. The wait for another
    instance's lease ends too, since its votes would have been heard by then; so a network that lacks this
    node's vote to let that lease run out is not stuck.
    """

    def __init__(self, slot_ms: int) -> None:
        self._slot_ms = slot_ms
        self._agents = 1
        self._heard_since_ns: int | None = None
        self._is_over = False
        self._taken_since_ns: int | None = None
        self._is_twin = False

    def report(self, report: TipReport, now_ns: int) -> None:
        """Take note of how far the ledger is."""
        self._agents = report.agents
        if self._heard_since_ns is None:
            self._heard_since_ns = now_ns
        if report.is_at_tip and now_ns - self._heard_since_ns >= self._lap_ns:
            self._is_over = True

    def report_lease(self, now_ns: int, *, is_taken: bool, is_twin: bool) -> None:
        """Take note of who holds the identity: another instance, or this very one a second time."""
        self._is_twin = is_twin
        if not is_taken:
            self._taken_since_ns = None
        elif self._taken_since_ns is None:
            self._taken_since_ns = now_ns

    def why_not(self, now_ns: int) -> str | None:
        """Return None when votes may be signed, else what is waited for."""
        if self._heard_since_ns is None:
            return "listens first: the ledger has not said yet that it is at the chain's tip"
        if not self._is_over:
            return "listens first: until the ledger is at the chain's tip, and for one lap"
        if self._agents == 1:
            return None
        if self._is_twin:
            return "this very instance runs twice: stop one of them and start the other again"
        taken = self._taken_since_ns
        if taken is not None and now_ns - taken < TAKEN_LAPS * self._lap_ns:
            return f"listens for {TAKEN_LAPS} laps: another instance holds this identity"
        return None

    @property
    def _lap_ns(self) -> int:
        return self._agents * self._slot_ms * _NS_PER_MS if self._agents > 1 else 0


class VoteMemory:
    """The votes that this process gave: whatever else bears our key in their slots is a stranger's."""

    def __init__(self, record: SignRecord) -> None:
        self._floor = (record.epoch, record.slot)
        self._votes: OrderedDict[VoteRequest, None] = OrderedDict()
        for vote in votes_of(record):
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
