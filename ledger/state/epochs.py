"""Epochs: whose turn a slot is, and how one set of agents follows another.

Rule 1: an epoch ends with the first block at `epoch_blocks` above its root or `epoch_ms` after it.
Rule 2: the end block of epoch e hands over to the set of e + 1, which was elected an epoch before,
and elects that of e + 2: a set is frozen before anyone can know its order of leaders.
Rule 3: the order of e + 1 is seeded by the beacon after the end block of e.
Rule 4: every block moves the beacon on by its proposer's reveal: the preimage of the agent's last
accepted onion value, or zeros from an agent of the genesis that has no onion.
"""

from dataclasses import dataclass
from functools import lru_cache

import msgspec

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.errors import CorruptStorageError, Reason, Rejected
from ledger.state.agents import get_known_agent, get_parameters, put_agent
from ledger.state.context import BlockContext
from ledger.state.identities import get_node
from ledger.state.keys import EPOCH_KEY, RUNNING_KEY, past_epoch_key
from ledger.state.loading import load, load_one, save
from ledger.state.overlay import Overlay, StateReader
from ledger.types.agent_set import AgentSet, Seat
from ledger.types.order import compute_order
from ledger.types.parameters import Parameters
from ledger.types.stake import EpochState, PastEpoch, Running

_epochs = canonical.OwnDecoder(EpochState)
_running = canonical.OwnDecoder(Running)
_past = canonical.OwnDecoder(PastEpoch)

LAPS_CACHED = 8  # the running lap and its neighbours
FORGOTTEN_EPOCHS_MAX = 4  # old epochs that one end block forgets: they end one by one, as they came


def get_epoch(state: StateReader) -> EpochState:
    """Return what is fixed for the running epoch."""
    return load_one(state, EPOCH_KEY, _epochs)


def get_running(state: StateReader) -> Running:
    """Return what every block changes."""
    return load_one(state, RUNNING_KEY, _running)


def put_running(state: Overlay, running: Running) -> None:
    """Store what every block changes."""
    save(state, RUNNING_KEY, running)


def get_past_epoch(state: StateReader, epoch: int) -> PastEpoch | None:
    """Return who sat in an epoch for which evidence may still come, the running one included."""
    return load(state, past_epoch_key(epoch), _past)


def get_agent_set(state: StateReader) -> AgentSet:
    """Return the set that leads and votes now, each agent with its newest onion value."""
    epoch = get_epoch(state)
    return build_agent_set(state, epoch.epoch, epoch.order_seed, epoch.current)


def build_agent_set(
    state: StateReader, epoch: int, order_seed: bytes, nodes: tuple[bytes, ...]
) -> AgentSet:
    """Return the set of these nodes with their keys."""
    return AgentSet(epoch, order_seed, tuple(_build_seat(state, node) for node in nodes))


def _build_seat(state: StateReader, node_id: bytes) -> Seat:
    node = get_node(state, node_id)
    if node is None:
        raise CorruptStorageError(f"agent {node_id.hex()} is no node")
    return Seat(node_id, node.consensus, get_known_agent(state, node_id).onion)


def compute_leader_index(epoch: EpochState, slot: int) -> int:
    """Return the index of the agent that leads `slot`."""
    lap, place = divmod(slot - 1, len(epoch.current))
    return compute_lap_order(epoch, lap)[place]


def compute_lap_order(epoch: EpochState, lap: int) -> tuple[int, ...]:
    """Return the seats of an epoch in the order in which they lead in a lap."""
    return _order(epoch.order_seed, epoch.epoch, lap, len(epoch.current))


@lru_cache(maxsize=LAPS_CACHED)
def _order(seed: bytes, epoch: int, lap: int, count: int) -> tuple[int, ...]:
    return compute_order(seed, epoch, lap, count)


def is_end_block(epoch: EpochState, rules: Parameters, height: int, time_ms: int) -> bool:
    """Tell whether the block at this height and time ends its epoch (rule 1)."""
    return (
        height >= epoch.root_height + rules.epoch_blocks
        or time_ms >= epoch.root_time_ms + rules.epoch_ms
    )


def check_place(epoch: EpochState, context: BlockContext) -> Rejected | None:
    """Tell whether the block stands in a slot of this epoch that its proposer leads."""
    if context.epoch != epoch.epoch:
        return Rejected(Reason.BAD_BLOCK, f"of epoch {context.epoch}, this is {epoch.epoch}")
    is_first = context.height == epoch.root_height + 1
    if context.slot <= context.parent_slot or is_first != (context.parent_slot == 0):
        return Rejected(
            Reason.BAD_BLOCK, f"slot {context.slot} after {context.parent_slot} is out of place"
        )
    leader = epoch.current[compute_leader_index(epoch, context.slot)]
    if context.proposer != leader:
        detail = f"slot {context.slot} is led by {leader.hex()[:16]}, not by its proposer"
        return Rejected(Reason.BAD_BLOCK, detail)
    return None


def process_reveal(state: Overlay, context: BlockContext) -> Rejected | None:
    """Accept the proposer's reveal as its newest onion value (rule 4)."""
    agent = get_known_agent(state, context.proposer)
    if agent.onion == NO_HASH:
        if context.reveal != NO_HASH:
            return Rejected(Reason.BAD_BLOCK, "a reveal of an agent without an onion")
        return None
    if sha256(context.reveal) != agent.onion:
        return Rejected(Reason.BAD_BLOCK, "the reveal does not open the proposer's onion")
    put_agent(state, context.proposer, msgspec.structs.replace(agent, onion=context.reveal))
    return None


@dataclass(frozen=True, slots=True)
class HandOver:
    """What an end block decided: the epoch that ends, its parameters, the set of the one after next."""

    ending: EpochState
    beacon: bytes
    elected: tuple[bytes, ...]


def start_next_epoch(state: Overlay, context: BlockContext, decided: HandOver) -> AgentSet:
    """Let the next epoch begin behind the end block `context`; return its set."""
    ending = decided.ending
    rules = get_parameters(state)
    number = ending.epoch + 1
    begun = EpochState(
        epoch=number,
        root_height=context.height,
        root_time_ms=context.time_ms,
        order_seed=decided.beacon,
        current=ending.following,
        following=decided.elected,
        oldest_epoch=_forget_old_epochs(state, ending, context.time_ms - rules.evidence_age_ms),
    )
    save(state, EPOCH_KEY, begun)
    save(state, past_epoch_key(number), PastEpoch(context.time_ms, begun.current))
    for node in begun.current:
        _take_new_onion(state, node, number)
    return build_agent_set(state, number, begun.order_seed, begun.current)


def _take_new_onion(state: Overlay, node: bytes, epoch: int) -> None:
    """Exchange an agent's onion for the one that it committed to for this or an earlier epoch."""
    agent = get_known_agent(state, node)
    if agent.onion_next != NO_HASH and agent.onion_next_epoch <= epoch:
        renewed = msgspec.structs.replace(
            agent, onion=agent.onion_next, onion_next=NO_HASH, onion_next_epoch=0
        )
        put_agent(state, node, renewed)


def _forget_old_epochs(state: Overlay, ending: EpochState, before_ms: int) -> int:
    """Drop epochs that ended before evidence counts; return the oldest that is kept."""
    oldest = ending.oldest_epoch
    for _ in range(FORGOTTEN_EPOCHS_MAX):
        successor = get_past_epoch(state, oldest + 1)
        if successor is None or successor.start_time_ms >= before_ms:
            break
        state.delete(past_epoch_key(oldest))
        oldest += 1
    return oldest


def build_running(state: StateReader, beacon: bytes, nodes: tuple[bytes, ...]) -> Running:
    """Return the counters of an epoch that begins: all zero, but for misses in a row."""
    zeros = (0,) * len(nodes)
    in_row = tuple(get_known_agent(state, node).missed_in_row for node in nodes)
    return Running(
        beacon=beacon,
        last_proposer=None,
        last_signers=0,
        last_seats=0,
        counted=0,
        proposed=zeros,
        missed=zeros,
        signed=zeros,
        missed_in_row=in_row,
        earned=zeros,
    )
