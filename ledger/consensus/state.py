"""What a node knows in the running epoch, and what it has asked its shell for.

Rule: nothing here grows with the age of the chain: certificates and blocks go when a slot at or
above theirs is final, votes and candidates by `WINDOW` (S11).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ledger.consensus.blocks import Proposal
from ledger.consensus.effects import Effect, SignVote
from ledger.consensus.epoch import Epoch, Tip
from ledger.consensus.inputs import Now
from ledger.consensus.vote_book import VoteBook
from ledger.crypto.domains import VoteKind
from ledger.types.block import Certificate, Vote

WINDOW = 64  # slots ahead of ours in which votes and proposals are kept (1.4)
DELTA_MS = 500  # the delay that a working network keeps (1.4)
RETRY_MS = 1_000
GOSSIP_MS = 500
GOSSIP_PEERS = 2  # K_GOSSIP
CERTIFICATE_PEERS = 4  # to whom a certificate goes that was just made
BACKOFF_MAX = 6  # deadlines up to four times as long
SILENT_SLOTS = 10  # a live agent votes in every slot: so long a silence is one (1.5)
FUTURE_MS_MAX = 2_000  # how far a block's time may be ahead of our clock
HELP_SLOTS_MAX = 16  # certificates that one answer to a laggard covers
FETCH_DEPTH_MAX = 8  # blocks fetched one by one; a longer way is asked for as a chain


@dataclass(frozen=True, slots=True)
class Rules:
    """What all nodes of a chain agree on, and this node's estimate of the network's delay."""

    chain_id: bytes
    slot_ms: int
    heartbeat_ms: int
    delta_ms: int = DELTA_MS
    retry_ms: int = RETRY_MS
    gossip_ms: int = GOSSIP_MS


@dataclass(slots=True)
class Candidate:
    """The first proposal of a slot by its leader; `vote` is None until ours is signed."""

    proposal: Proposal
    certificates: tuple[Certificate, ...]
    vote: Vote | None


@dataclass(frozen=True, slots=True)
class Building:
    """A block that the shell builds for us, and the certificates that will go with it."""

    slot: int
    parent_hash: bytes
    certificates: tuple[Certificate, ...]


@dataclass(slots=True)
class Want:
    """A block that is missed: who has it, how often it was asked for, and when last."""

    peers: tuple[bytes, ...]
    attempts: int
    asked_ms: int


@dataclass(slots=True)
class Pace:
    """The running slot in monotonic ms: when a block is due with transactions and without."""

    entered_ms: int = 0
    due_ms: int = 0
    due_idle_ms: int = 0
    build_again_ms: int = 0  # not before this, after a build was postponed
    is_set: bool = False  # whether the parent was known, which both depend on
    has_ticked: bool = False  # whether the shell has told since then if there is work
    is_over: bool = False  # nothing good can come in this slot any more: skip it
    retry_ms: int | None = None  # when to repeat what we said, once the deadline has passed
    gossip_ms: int = 0
    backoff: int = 0


@dataclass(slots=True)
class Certificates:
    """Certificates of the open slots; `final` also keeps the tip's own."""

    notarized: dict[int, Certificate] = field(default_factory=dict)
    nullified: dict[int, Certificate] = field(default_factory=dict)
    final: dict[int, Certificate] = field(default_factory=dict)

    def of_kind(self, kind: VoteKind) -> dict[int, Certificate]:
        """Return the certificates of one kind by slot."""
        match kind:
            case VoteKind.NOTARIZE:
                return self.notarized
            case VoteKind.NULLIFY:
                return self.nullified
            case VoteKind.FINALIZE:
                return self.final

    def for_block(self, slot: int) -> Certificate | None:
        """Return a certificate of the slot's block: finality implies notarization (1.7)."""
        return self.final.get(slot) or self.notarized.get(slot)

    def any_at(self, slot: int) -> Certificate | None:
        """Return a certificate that ends the slot, the strongest there is."""
        return self.for_block(slot) or self.nullified.get(slot)

    def forget_below(self, slot: int) -> None:
        """Drop the certificates of every slot before this one."""
        for held in (self.notarized, self.nullified, self.final):
            for old in [number for number in held if number < slot]:
                del held[old]


@dataclass(slots=True)
class Syncing:
    """The last question for final blocks: whom, when, and up to which height they have some."""

    peer: bytes = b""
    asked_ms: int | None = None
    target_height: int = 0


@dataclass(slots=True)
class State:
    """A node in its epoch. `tip` is the newest block handed over for commit; slot 0 is the root."""

    rules: Rules
    epoch: Epoch
    tip: Tip
    now: Now = field(default_factory=lambda: Now(0, 0))
    effects: list[Effect] = field(default_factory=list)
    slot: int = 0
    slots_entered: int = 0  # never starts again, unlike slots: `heard` is counted in it
    heard: list[int] = field(default_factory=list)  # of each seat: `slots_entered` when last heard
    pace: Pace = field(default_factory=Pace)
    work_since_ms: int | None = None
    certificates: Certificates = field(default_factory=Certificates)
    book: VoteBook = field(default_factory=VoteBook)
    convicted: set[int] = field(default_factory=set)
    blocks: dict[bytes, Proposal] = field(default_factory=dict)
    persisted: set[bytes] = field(default_factory=set)  # hashes of blocks in the write-ahead log
    persisted_proofs: set[bytes] = field(default_factory=set)  # of blocks whose finalization is
    valid: set[bytes] = field(default_factory=set)
    invalid: dict[bytes, str] = field(default_factory=dict)
    validating: set[bytes] = field(default_factory=set)
    candidates: dict[int, Candidate] = field(default_factory=dict)
    building: Building | None = None
    asked: set[VoteKind] = field(default_factory=set)  # our votes in the running slot
    votes: list[Vote] = field(default_factory=list)  # those of them that are signed
    unsigned: dict[tuple[VoteKind, int], SignVote] = field(default_factory=dict)
    sign_retry_ms: int | None = None
    wants: dict[bytes, Want] = field(default_factory=dict)
    answered: dict[bytes, int] = field(default_factory=dict)  # peers, and when we last helped them
    syncing: Syncing = field(default_factory=Syncing)
    is_opening: bool = False  # between the end block's commit and the next epoch's set
    is_halted: bool = False
    peer_clocks: dict[bytes, int] = field(
        default_factory=dict
    )  # their Unix time less our monotonic
    tip_seen_ms: int = 0  # monotonic, when the tip became final here

    def emit(self, effect: Effect) -> None:
        """Want something done, after all that was wanted before."""
        self.effects.append(effect)

    def is_valid(self, block_hash: bytes) -> bool:
        """Tell whether a block may be built upon: it was executed, or it is the tip."""
        return block_hash == self.tip.hash or block_hash in self.valid


def get_wall_ms(state: State) -> int:
    """Return Unix time, by our own clock only where it can be trusted or nobody else is there (1.5).

    Else it is the median of what synchronised peers said, and never before the tip's time and what
    passed since.
    """
    now = state.now
    if now.is_synchronised or state.epoch.quorum == 1:
        return now.wall_ms
    at_least = state.tip.time_ms + now.monotonic_ms - state.tip_seen_ms
    return max(at_least, _median(state.peer_clocks) + now.monotonic_ms)


def _median(clocks: Mapping[bytes, int]) -> int:
    ordered = sorted(clocks.values())
    return ordered[len(ordered) // 2] if ordered else 0
