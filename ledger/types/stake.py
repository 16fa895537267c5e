"""The records of delegated proof of stake: agents, votes, stake, epochs, ballots."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from ledger.params import (
    AGENT_CANDIDATES_MAX,
    AGENTS_MAX,
    OPEN_PROPOSALS_MAX,
    PENALTY_HISTORY_MAX,
    PROPOSAL_CHANGES_MAX,
    PROPOSAL_TITLE_LENGTH_MAX,
    UNBONDING_ENTRIES_MAX,
    VOTE_CHOICES_MAX,
)
from ledger.types.primitives import Address, Amount, Counter, Hash

Choices = Annotated[tuple[Address, ...], Meta(max_length=VOTE_CHOICES_MAX)]
SeatNodes = Annotated[tuple[Address, ...], Meta(max_length=AGENTS_MAX)]
SeatCounters = Annotated[tuple[Counter, ...], Meta(max_length=AGENTS_MAX)]
ParameterName = Annotated[str, Meta(min_length=1, max_length=48, pattern=r"^[a-z][a-z0-9_]*\Z")]
ProposalTitle = Annotated[str, Meta(min_length=1, max_length=PROPOSAL_TITLE_LENGTH_MAX)]


class _Record(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    pass


class PenaltyCause(enum.IntEnum):
    """Why an agent is penalised. Names, in lower case, are what users see."""

    MISSED_SLOTS = 1  # too many own slots without a block, in one epoch
    LOW_PARTICIPATION = 2  # its votes stand in too few certificates
    ABSENT = 3  # half of its slots missed in two epochs on end
    MISSED_IN_ROW = 4
    DOUBLE_NOTARIZE = 5  # two blocks notarised in one slot
    DOUBLE_FINALIZE = 6
    NULLIFY_AND_FINALIZE = 7  # the same slot skipped and finalised


class PenaltyKind(enum.IntEnum):
    """What a penalty does."""

    PROBATION = 1  # less weight until epoch `until`
    JAIL = 2  # no seat until Unix ms `until`, and then an unjail transaction
    TOMBSTONE = 3  # no seat ever again; `until` is what the bond lost, once it bit


class Penalty(_Record, frozen=True):
    """A penalty: announced at a block of one epoch, it bites as epoch `bites_epoch` begins."""

    kind: PenaltyKind
    cause: PenaltyCause
    announced_epoch: Counter
    bites_epoch: Counter
    until: Counter


class Agent(_Record, frozen=True):
    """A node that stands for election, and its record of service.

    `onion` is its last accepted reveal or commitment (zeros: it has none); `onion_next` replaces it
    when `onion_next_epoch` begins. `seated_epochs` counts elected seats without a break.
    """

    bond: Amount
    delegated: Amount
    onion: Hash
    onion_next: Hash
    onion_next_epoch: Counter
    registered_epoch: Counter
    seated_since: Counter | None = None
    seated_epochs: Counter = 0
    probation_until_epoch: Counter = 0
    jailed_until_ms: Counter | None = None
    jailed_at_ms: Annotated[tuple[Counter, ...], Meta(max_length=16)] = ()
    is_tombstoned: bool = False
    was_absent: bool = False
    missed_in_row: Counter = 0
    blocks_total: Counter = 0
    missed_total: Counter = 0
    rewards_total: Amount = 0
    penalties: Annotated[tuple[Penalty, ...], Meta(max_length=PENALTY_HISTORY_MAX)] = ()


class AgentIndex(_Record, frozen=True):
    """The node ids of all agents, sorted."""

    nodes: Annotated[tuple[Address, ...], Meta(max_length=AGENT_CANDIDATES_MAX)] = ()


class Tally(_Record, frozen=True):
    """The weight of the votes for one agent by the week in which they were cast, ascending."""

    weeks: tuple[tuple[Counter, Amount], ...] = ()


class VoteRecord(_Record, frozen=True):
    """One account's vote; `counted` is the balance that stands in the tallies for it."""

    choices: Choices
    week: Counter
    counted: Amount


class Delegation(_Record, frozen=True):
    """Stake that one account lent to an agent; the beneficiary gets the metering allowance of it."""

    amount: Amount
    beneficiary: Address


class UnbondingEntry(_Record, frozen=True):
    """Stake on its way back; what was an agent's own bond can still be slashed."""

    free_at_ms: Counter
    amount: Amount
    is_bond: bool


class Unbonding(_Record, frozen=True):
    """All stake of one account that is on its way back, the earliest first."""

    entries: Annotated[tuple[UnbondingEntry, ...], Meta(max_length=UNBONDING_ENTRIES_MAX)] = ()


class Allowance(_Record, frozen=True):
    """Free metering transactions: the stake that gives them, and how many `epoch` has used."""

    stake: Amount
    epoch: Counter
    used: Counter


class EpochState(_Record, frozen=True):
    """What is fixed for the running epoch. The sets are node ids in order."""

    epoch: Counter
    root_height: Counter
    root_time_ms: Counter
    order_seed: Hash
    current: SeatNodes
    following: SeatNodes
    oldest_epoch: Counter  # the oldest one whose `PastEpoch` is still kept


class Running(_Record, frozen=True):
    """What every block changes: the beacon, the parent's proposer, the seats' work in this epoch.

    `last_signers` counts the signers that the newest block named of its parent, `last_seats` how many
    it could have named (0: of an epoch's root nobody is named); `counted` the blocks that named any.
    """

    beacon: Hash
    last_proposer: Address | None
    last_signers: Counter
    last_seats: Counter
    counted: Counter
    proposed: SeatCounters
    missed: SeatCounters
    signed: SeatCounters
    missed_in_row: SeatCounters
    earned: Annotated[tuple[Amount, ...], Meta(max_length=AGENTS_MAX)]  # paid as the epoch ends


class PastEpoch(_Record, frozen=True):
    """An epoch for which evidence may still come: when it began and who sat in it."""

    start_time_ms: Counter
    nodes: SeatNodes


class PendingSlash(_Record, frozen=True):
    """Bond that will be taken as epoch `bites_epoch` begins."""

    node: Address
    reporter: Address
    bites_epoch: Counter


class PendingSlashes(_Record, frozen=True):
    """All announced slashes, in the order of announcement."""

    slashes: Annotated[tuple[PendingSlash, ...], Meta(max_length=AGENT_CANDIDATES_MAX)] = ()


class ProposalStatus(enum.IntEnum):
    """How far a proposal has come."""

    OPEN = 0
    ACCEPTED = 1  # waits for its activation height
    REJECTED = 2
    ACTIVE = 3
    FAILED = 4  # accepted, but its values no longer fit those of another proposal


class BallotChoice(enum.IntEnum):
    """What stake says to a proposal."""

    NO = 0
    YES = 1
    ABSTAIN = 2


class Change(_Record, frozen=True):
    """One parameter and its new value."""

    name: ParameterName
    value: Counter


class Proposal(_Record, frozen=True):
    """A proposal with its stake-weighted count; `changes` take effect together or not at all."""

    proposer: Address
    title: ProposalTitle
    changes: Annotated[tuple[Change, ...], Meta(min_length=1, max_length=PROPOSAL_CHANGES_MAX)]
    activation_height: Counter
    closes_ms: Counter
    deposit: Amount
    status: ProposalStatus = ProposalStatus.OPEN
    yes: Amount = 0
    no: Amount = 0
    abstain: Amount = 0


class Ballot(_Record, frozen=True):
    """How an account voted on a proposal, and with how much stake."""

    choice: BallotChoice
    stake: Amount


class ProposalIndex(_Record, frozen=True):
    """The proposals that still have something ahead of them."""

    open: Annotated[tuple[Hash, ...], Meta(max_length=2 * OPEN_PROPOSALS_MAX)] = ()
