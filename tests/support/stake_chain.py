"""A chain with agents, epochs and votes: blocks with the right leaders, reveals and signers."""

import dataclasses

import msgspec

from ledger.codec import canonical
from ledger.consensus.certificate import encode_signers
from ledger.crypto.domains import NO_HASH
from ledger.crypto.hashing import sha256
from ledger.errors import Rejected
from ledger.params import SSP_BASE_UNITS
from ledger.state.accounts import get_account
from ledger.state.agents import get_agent, get_parameters, put_agent
from ledger.state.context import BlockContext, BlockResult, CheckedTransaction
from ledger.state.epochs import compute_leader_index, get_epoch, get_running
from ledger.state.keys import PARAMETERS_KEY, account_key, node_key
from ledger.state.overlay import Overlay
from ledger.state.transition import apply_block
from ledger.types.agent_set import AgentSet
from ledger.types.outcome import Outcome
from ledger.types.records import Account
from ledger.types.stake import Agent, Running
from ledger.types.transaction import Body, RegisterAgent
from tests.support.contracts import PythonContracts
from tests.support.transactions import (
    CHAIN_ID,
    Person,
    assert_applied,
    check,
    first_state,
    get_supply,
    register_node,
    write,
)

BOND = 1_000 * SSP_BASE_UNITS
MONEY = 10_000 * SSP_BASE_UNITS
SLOT_MS = 3_000
START_MS = 1_000 * 86_400_000
ONION_LENGTH = 64


class Onion:
    """A short onion: every layer is known."""

    def __init__(self, name: str) -> None:
        layers = [sha256(name.encode())]
        for _ in range(ONION_LENGTH):
            layers.append(sha256(layers[-1]))
        self.commitment = layers[-1]
        self.inside = {sha256(layer): layer for layer in layers}

    def reveal(self, commitment: bytes) -> bytes:
        return self.inside[commitment]


class StakeChain:
    """Agents of a genesis without onions, and people with money."""

    def __init__(self, *agents: Person, people: tuple[Person, ...] = (), **changes: object) -> None:
        changes.setdefault("epoch_blocks", 6)
        changes.setdefault("reward_pool", MONEY)
        self.agents = {person.address: person for person in agents}
        self.state = first_state(*agents, time_ms=START_MS, **changes)
        for person in people:
            self.fund(person)
        self.executor = PythonContracts()
        self.onions: dict[bytes, Onion] = {}
        self.height, self.slot, self.time_ms = 0, 0, START_MS
        self.signers: tuple[int, ...] | None = None  # None: everybody
        self.last_set: AgentSet | None = None

    def fund(self, person: Person, amount: int = MONEY) -> None:
        self.state[account_key(person.address)] = canonical.encode(Account(amount))

    def context(self, *, skip: int = 0, **changes: object) -> BlockContext:
        """The next block's context, `skip` slots after the first that it could have."""
        epoch = get_epoch(self.state)
        is_first = self.height == epoch.root_height
        parent_slot = 0 if is_first else self.slot
        slot = parent_slot + 1 + skip
        proposer = epoch.current[compute_leader_index(epoch, slot)]
        seats = range(len(epoch.current)) if self.signers is None else self.signers
        agent = self.agent(proposer)
        reveal = NO_HASH
        if agent.onion != NO_HASH:
            reveal = self.onions[proposer].reveal(agent.onion)
        context = BlockContext(
            CHAIN_ID,
            self.height + 1,
            self.time_ms + SLOT_MS,
            proposer,
            epoch=epoch.epoch,
            slot=slot,
            parent_slot=parent_slot,
            parent_signers=encode_signers([] if is_first else list(seats)),
            reveal=reveal,
        )
        return dataclasses.replace(context, **changes)  # type: ignore[arg-type]

    def try_block(
        self, *transactions: CheckedTransaction, skip: int = 0, **changes: object
    ) -> BlockResult | Rejected:
        context = self.context(skip=skip, **changes)
        return apply_block(self.state, context, transactions, self.executor)

    def block(
        self, *transactions: CheckedTransaction, skip: int = 0, **changes: object
    ) -> tuple[Outcome, ...]:
        """Apply a block that must be valid; the supply must not change."""
        context = self.context(skip=skip, **changes)
        before = self.supply()
        result = apply_block(self.state, context, transactions, self.executor)
        assert not isinstance(result, Rejected), result
        write(self.state, result.writes)
        assert self.supply() == before
        self.height, self.slot, self.time_ms = context.height, context.slot, context.time_ms
        if result.next_set is not None:
            self.last_set = result.next_set
        return result.outcomes

    def run(self, sender: Person, body: Body, **changes: object) -> Outcome:
        """Apply a block of one transaction."""
        changes.setdefault("nonce", get_account(self.state, sender.address).nonce)
        changes.setdefault("expiry_height", self.height + 100)
        (outcome,) = self.block(check(sender, body, None, **changes))
        return outcome

    def must(self, sender: Person, body: Body, **changes: object) -> None:
        assert_applied(self.run(sender, body, **changes))

    def end_epoch(self, *, skip: int = 0) -> None:
        """Apply empty blocks up to and with the end of the running epoch."""
        running = self.epoch
        while self.epoch == running:
            self.block(skip=skip)

    def end_epochs(self, count: int) -> None:
        for _ in range(count):
            self.end_epoch()

    def enlist(self, node: Person, bond: int = BOND) -> None:
        """Register a node with money and let it stand for election."""
        if get_account(self.state, node.address).balance < bond:
            self.fund(node)
        votes, meters = Person(f"{node.name}'s votes"), Person(f"{node.name}'s meters")
        if node_key(node.address) not in self.state:
            self.must(node, register_node(node, votes, meters))
        onion = self.onions.setdefault(node.address, Onion(node.name))
        self.agents[node.address] = node
        self.must(node, RegisterAgent(bond, onion.commitment))

    def change_parameters(self, **changes: int) -> None:
        parameters = msgspec.structs.replace(get_parameters(self.state), **changes)
        self.state[PARAMETERS_KEY] = canonical.encode(parameters)

    def change_agent(self, node: Person, **changes: object) -> None:
        overlay = Overlay(self.state)
        put_agent(overlay, node.address, msgspec.structs.replace(self.agent(node), **changes))
        write(self.state, overlay.writes)

    @property
    def epoch(self) -> int:
        return get_epoch(self.state).epoch

    @property
    def seated(self) -> tuple[bytes, ...]:
        return get_epoch(self.state).current

    def agent(self, who: Person | bytes) -> Agent:
        agent = get_agent(self.state, who if isinstance(who, bytes) else who.address)
        assert agent is not None
        return agent

    def balance(self, who: Person | bytes) -> int:
        return get_account(self.state, who if isinstance(who, bytes) else who.address).balance

    def supply(self) -> int:
        return get_supply(self.state)

    def running(self) -> Running:
        return get_running(self.state)


def make_seated_chain(agents: tuple[Person, ...], *others: Person) -> StakeChain:
    """Return a chain of agents with bonds and onions, at the start of an epoch of theirs."""
    chain = StakeChain(*agents, people=(*agents, *others), epoch_blocks=8)
    for agent in agents:
        chain.change_agent(agent, bond=0)
        chain.enlist(agent)
    chain.end_epochs(2)
    return chain


def people(count: int, prefix: str = "agent") -> tuple[Person, ...]:
    return tuple(Person(f"{prefix} {number}") for number in range(count))
