"""What keeps an agent from its work, and what its operator can do."""

from ledger.state.overview import AgentOverview


def find_agent_problem(one: AgentOverview, epoch: int) -> str:
    """Return one line about the penalty that an agent stands under in this epoch, "" where there is none."""
    agent = one.agent
    if one.is_retired:
        return ""
    if agent.is_tombstoned:
        advice = (
            "this identity can be an agent no more; another one can, made in a folder of its own"
        )
    elif agent.jailed_until_ms is not None:
        advice = "find out why in its log, then `smartshare chain unjail`"
    elif agent.probation_until_epoch > epoch:
        advice = "jail may come next; look at its clock, its network and its load"
    else:
        return ""
    return f"{one.standing}: {advice}"
