"""What the ledger process answers about agents, votes and proposals: one reply struct a verb.

agents       {}                                   -> AgentsReply
parameters   {}                                   -> ParametersReply
proposals    {}                                   -> ProposalsReply
stake        {address}                            -> StakeReply
proof        {id}                                 -> ProofReply
"""

import msgspec


class AgentReply(msgspec.Struct, frozen=True):
    """An agent: how it stands and why, its weight, its record; `work` is of the running epoch."""

    node: str
    standing: str
    seat: int | None
    weight: int
    bond: int
    delegated: int
    has_onion: bool
    blocks_total: int
    missed_total: int
    rewards_total: int
    seated_since: int | None
    proposed: int
    missed: int
    signed: int
    counted: int
    penalties: tuple[str, ...]
    onion_next_epoch: int = 0  # from which on its next onion counts; 0: none is on its way
    jailed_until_ms: int | None = (
        None  # Unix time on the chain; also when that is over, until it is unjailed
    )
    problem: str = ""  # the penalty that it stands under, and what its operator can do


class AgentsReply(msgspec.Struct, frozen=True):
    """All agents, the heaviest first, and how spread power is."""

    epoch: int
    root_height: int
    ends_height: int
    nakamoto: int
    gini_permille: int
    seat_age_epochs: int
    reward_pool: int
    agents: tuple[AgentReply, ...]


class ParameterReply(msgspec.Struct, frozen=True):
    """A parameter and the bounds that no vote can leave."""

    name: str
    value: int
    least: int
    most: int


class ParametersReply(msgspec.Struct, frozen=True):
    """The parameters in force."""

    parameters: tuple[ParameterReply, ...]


class ProposalReply(msgspec.Struct, frozen=True):
    """A proposal: what it changes, until when it is open, and its ballots in base units of stake."""

    id: str
    proposer: str
    title: str
    changes: tuple[tuple[str, int], ...]
    activation_height: int
    closes_ms: int
    status: str
    yes: int
    no: int
    abstain: int


class ProposalsReply(msgspec.Struct, frozen=True):
    """Proposals that are open or wait for their activation; `stake_total` is all that may vote."""

    stake_total: int
    turnout_percent: int
    approval_percent: int
    deposit: int
    proposals: tuple[ProposalReply, ...]


class StakeReply(msgspec.Struct, frozen=True):
    """What an account has bound, what is on its way back (free from, amount), and what it chose."""

    stake: int
    unbonding: tuple[tuple[int, int], ...]
    choices: tuple[str, ...]
    free_left: int
    free_an_epoch: int


class ProofReply(msgspec.Struct, frozen=True):
    """What a key (`id`) of the state holds behind block `height`: the light client's `StateEvidence`."""

    height: int
    evidence: str
