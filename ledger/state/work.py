"""What agents do, block by block, and what they earn by it.

Rule 1: who leads a slot that no block of the chain stands in has missed it.
Rule 2: a block earns `block_reward` from the reward pool, as long as that lasts, when its child
stands on it: `proposer_percent` for its proposer, the rest in equal parts for those whose votes the
child names as the parent's signers. No slot earns more because others were missed.
Rule 3: a proposer that named fewer signers of its own parent than there were seats loses its part in
proportion. What is not earned stays in the pool.
Rule 4: what was earned is paid as the epoch ends, so a block writes no account for it.
"""

from collections.abc import Sequence

import msgspec

from ledger.errors import Reason, Rejected
from ledger.state.accounts import REWARD_POOL, decrease_balance, get_account, increase_balance
from ledger.state.agents import get_known_agent, get_parameters, put_agent
from ledger.state.context import BlockContext
from ledger.state.epochs import compute_lap_order, compute_leader_index
from ledger.state.overlay import Overlay
from ledger.types.stake import EpochState, Running


def read_signers(epoch: EpochState, context: BlockContext) -> tuple[int, ...] | Rejected:
    """Return the seats that the block names as its parent's signers, or why it cannot name them.

    Of an epoch's root nobody is named: its certificate may be that of another epoch's block.
    """
    bits = int.from_bytes(context.parent_signers, "little")
    seats = len(epoch.current) if context.parent_slot else 0
    if bits >> seats:
        return Rejected(Reason.BAD_BLOCK, f"a signer of the parent past its {seats} seats")
    return tuple(seat for seat in range(seats) if bits >> seat & 1)


def count_work(
    running: Running, epoch: EpochState, context: BlockContext, signers: Sequence[int]
) -> Running:
    """Return the counters with this block's proposer, misses and the parent's signers."""
    missed = count_missed(epoch, context.parent_slot + 1, context.slot)
    leader = compute_leader_index(epoch, context.slot)
    in_row = [before + now for before, now in zip(running.missed_in_row, missed, strict=True)]
    in_row[leader] = 0
    proposed = list(running.proposed)
    proposed[leader] += 1
    signed = list(running.signed)
    for seat in signers:
        signed[seat] += 1
    return msgspec.structs.replace(
        running,
        counted=running.counted + bool(signers),
        proposed=tuple(proposed),
        missed=tuple(a + b for a, b in zip(running.missed, missed, strict=True)),
        signed=tuple(signed),
        missed_in_row=tuple(in_row),
    )


def count_missed(epoch: EpochState, first: int, end: int) -> tuple[int, ...]:
    """Return how many of the slots `first..end - 1` each seat led, in time that no gap can raise."""
    count = len(epoch.current)
    if end - first < count:
        missed = [0] * count
        for slot in range(first, end):
            missed[compute_leader_index(epoch, slot)] += 1
        return tuple(missed)
    first_lap, first_place = divmod(first - 1, count)
    last_lap, last_place = divmod(end - 1, count)
    missed = [last_lap - first_lap] * count
    for seat in compute_lap_order(epoch, first_lap)[:first_place]:
        missed[seat] -= 1
    for seat in compute_lap_order(epoch, last_lap)[:last_place]:
        missed[seat] += 1
    return tuple(missed)


def earn_for_parent(
    state: Overlay,
    running: Running,
    epoch: EpochState,
    context: BlockContext,
    signers: Sequence[int],
) -> Running:
    """Return the counters with the parent's reward; that of an epoch's root is paid at once."""
    if running.last_proposer is None:
        return running
    rules = get_parameters(state)
    pool = get_account(state, REWARD_POOL).balance - sum(running.earned)
    reward = min(rules.block_reward, pool)
    for_proposer = reward * rules.proposer_percent // 100
    for_each = (reward - for_proposer) // len(signers) if signers else 0
    if running.last_seats:
        for_proposer = for_proposer * running.last_signers // running.last_seats
    if not context.parent_slot:
        pay_reward(state, running.last_proposer, for_proposer)
        return running
    earned = list(running.earned)
    for seat in signers:
        earned[seat] += for_each
    earned[epoch.current.index(running.last_proposer)] += for_proposer
    return msgspec.structs.replace(running, earned=tuple(earned))


def note_block(
    running: Running, beacon: bytes, context: BlockContext, epoch: EpochState, signers: int
) -> Running:
    """Return the counters as this block's child finds them; it named so many `signers`."""
    return msgspec.structs.replace(
        running,
        beacon=beacon,
        last_proposer=context.proposer,
        last_signers=signers,
        last_seats=len(epoch.current) if context.parent_slot else 0,
    )


def pay_reward(state: Overlay, node: bytes, amount: int) -> None:
    """Pay an agent from the pool, which holds that much."""
    if not amount:
        return
    refusal = decrease_balance(state, REWARD_POOL, amount) or increase_balance(state, node, amount)
    assert refusal is None, "only what the pool holds is promised"
    agent = get_known_agent(state, node)
    put_agent(
        state,
        node,
        msgspec.structs.replace(agent, rewards_total=agent.rewards_total + amount),
    )


def close_work(state: Overlay, epoch: EpochState, running: Running) -> None:
    """Pay what the epoch's agents earned, and write their work into their records."""
    for seat, node in enumerate(epoch.current):
        pay_reward(state, node, running.earned[seat])
        agent = get_known_agent(state, node)
        worked = msgspec.structs.replace(
            agent,
            missed_in_row=running.missed_in_row[seat],
            blocks_total=agent.blocks_total + running.proposed[seat],
            missed_total=agent.missed_total + running.missed[seat],
        )
        put_agent(state, node, worked)
