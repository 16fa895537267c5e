"""A ledger under random transactions of every kind that needs no contract, and what must hold in it.

Rule: everything follows from the seed, so a run can be repeated and must give the same roots.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from ledger.codec import canonical
from ledger.codec.canonical import Decoder
from ledger.consensus.certificate import encode_signers
from ledger.crypto import domains
from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.ed25519 import sign
from ledger.crypto.hashing import sha256
from ledger.errors import Rejected
from ledger.params import DAY_MS, SSP_BASE_UNITS
from ledger.state.accounts import STAKE_ESCROW, get_account
from ledger.state.agents import get_agent_nodes, get_known_agent
from ledger.state.commitment import StateTree
from ledger.state.context import BlockContext, CheckedTransaction
from ledger.state.epochs import compute_leader_index, get_epoch
from ledger.state.governance import get_unsettled_proposals
from ledger.state.transition import apply_block
from ledger.state.votes import compute_vote_weight
from ledger.types.block import Vote
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.records import Account, Coin
from ledger.types.stake import (
    Agent,
    BallotChoice,
    Change,
    Delegation,
    Proposal,
    Tally,
    Unbonding,
    VoteRecord,
)
from ledger.types.transaction import (
    Body,
    BurnCoin,
    CastBallot,
    CreateCoin,
    Delegate,
    MintCoin,
    Propose,
    RecommitOnion,
    RegisterAgent,
    RegisterNode,
    ReportEvidence,
    Transaction,
    Transfer,
    TransferCoin,
    Undelegate,
    Unjail,
    VoteAgents,
    Withdraw,
)
from tests.support.contracts import PythonContracts
from tests.support.transactions import CHAIN_ID, Person, first_state, get_supply, register_node

AGENTS = 12
NODES = 130
OTHERS = 60
EPOCH_BLOCKS = 40
SLOT_MS = 3_000
START_MS = 1_000 * DAY_MS
MONEY = 10_000 * SSP_BASE_UNITS
FEE_MAX = 50_000


@dataclass
class Counts:
    """What happened in a run."""

    blocks: int = 0
    transactions: int = 0
    applied: int = 0
    epochs: int = 0
    convictions: int = 0
    newcomers: int = 0


@lru_cache(maxsize=NODES)
def peel(seed: bytes, layers: int) -> list[bytes]:
    """Return an onion from its seed to its commitment: each value is the hash of the one before."""
    values = [seed]
    for _ in range(layers):
        values.append(sha256(values[-1]))
    return values


class RandomLedger:
    """State, its commitment, and a seeded source of blocks."""

    def __init__(self, seed: int, *, blocks_max: int) -> None:
        self.layers = blocks_max  # an onion opens one layer a block
        self.random = random.Random(seed)
        self.nodes = [Person(f"node {number}") for number in range(NODES)]
        self.votes = {node.address: Person(f"{node.name}'s votes") for node in self.nodes}
        self.meters = {node.address: Person(f"{node.name}'s meters") for node in self.nodes}
        self.others = [Person(f"other {number}") for number in range(OTHERS)]
        self.people = [*self.nodes, *self.others]
        self.state = first_state(
            *self.nodes[:AGENTS],
            time_ms=START_MS,
            epoch_blocks=EPOCH_BLOCKS,
            reward_pool=500 * SSP_BASE_UNITS,
        )
        for person in self.people:
            self.state[b"a" + person.address] = canonical.encode(Account(MONEY))
        self.tree = StateTree.from_items(self.state.items())
        self.supply = get_supply(self.state)
        self.height, self.slot, self.time_ms = 0, 0, START_MS
        self.coins: list[bytes] = []
        self.seeds = {node.address: node.seed for node in self.nodes}
        self.depths: dict[bytes, int] = {}  # how far each proposer's onion is still closed
        self.executor = PythonContracts()
        self.counts = Counts()
        self.makers = self._list_makers()

    def step(self, size: int) -> bytes:
        """Apply a block of up to `size` random transactions; return the state root behind it."""
        context = self._make_context()
        transactions = [self._make_transaction() for _ in range(size)]
        nonces: dict[bytes, int] = defaultdict(int)
        numbered = []
        for sender, fee, body in transactions:
            nonce = get_account(self.state, sender.address).nonce + nonces[sender.address]
            if get_account(self.state, sender.address).balance < 20 * FEE_MAX:
                continue
            nonces[sender.address] += 1
            numbered.append(self._wrap(sender, nonce, fee, body))
        result = apply_block(self.state, context, numbered, self.executor)
        assert not isinstance(result, Rejected), result
        for key, value in result.writes.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value
        root = self.tree.apply(result.writes)
        self.height, self.slot, self.time_ms = context.height, context.slot, context.time_ms
        self._count(numbered, result.outcomes, is_end=result.next_set is not None)
        assert get_supply(self.state) == self.supply, f"block {self.height} made or lost SSP"
        if result.next_set is not None:
            self.check_books()
        return root

    def check_books(self) -> None:
        """Check the escrow, the tallies and the coins against the records that they sum up."""
        self._check_escrow()
        self._check_tallies()
        supplies = {key[1:]: _coins.decode(value).supply for key, value in self._records(b"c")}
        units: dict[bytes, int] = defaultdict(int)
        for key, value in self._records(b"b"):
            units[key[1:33]] += _integers.decode(value)
        assert {coin: supply for coin, supply in supplies.items() if supply} == dict(units)

    def _records(self, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
        return ((key, value) for key, value in self.state.items() if key[:1] == kind)

    def _check_escrow(self) -> None:
        bound = sum(_agents.decode(value).bond for _, value in self._records(b"g"))
        bound += sum(_delegations.decode(value).amount for _, value in self._records(b"l"))
        bound += sum(_proposals.decode(value).deposit for _, value in self._records(b"o"))
        for _, value in self._records(b"u"):
            bound += sum(entry.amount for entry in _unbondings.decode(value).entries)
        assert get_account(self.state, STAKE_ESCROW).balance == bound

    def _check_tallies(self) -> None:
        tallies: dict[bytes, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for key, value in self._records(b"w"):
            vote = _votes.decode(value)
            assert vote.counted == get_account(self.state, key[1:]).balance
            weight = compute_vote_weight(vote.counted, len(vote.choices))
            for agent in vote.choices:
                tallies[agent][vote.week] += weight
        counted = {
            agent: {week: weight for week, weight in weeks.items() if weight}
            for agent, weeks in tallies.items()
        }
        stored = {key[1:]: dict(_tallies.decode(value).weeks) for key, value in self._records(b"t")}
        assert stored == {agent: weeks for agent, weeks in counted.items() if weeks}

    def _make_context(self) -> BlockContext:
        draw = self.random
        epoch = get_epoch(self.state)
        is_first = self.height == epoch.root_height
        parent_slot = 0 if is_first else self.slot
        slot = parent_slot + 1 + (draw.randrange(1, 5) if draw.random() < 0.15 else 0)
        proposer = epoch.current[compute_leader_index(epoch, slot)]
        seats = [seat for seat in range(len(epoch.current)) if draw.random() < 0.85]
        leap_ms = draw.choice((0, 0, 0, 0, DAY_MS)) if draw.random() < 0.02 else 0
        return BlockContext(
            CHAIN_ID,
            self.height + 1,
            self.time_ms + SLOT_MS + leap_ms,
            proposer,
            epoch=epoch.epoch,
            slot=slot,
            parent_slot=parent_slot,
            parent_signers=encode_signers([] if is_first else seats),
            reveal=self._reveal(proposer),
        )

    def _reveal(self, proposer: bytes) -> bytes:
        commitment = get_known_agent(self.state, proposer).onion
        if commitment == NO_HASH:
            return NO_HASH
        layers = peel(self.seeds[proposer], self.layers)
        depth = self.layers if commitment == layers[-1] else self.depths[proposer]
        assert layers[depth] == commitment
        self.depths[proposer] = depth - 1
        return layers[depth - 1]

    def _wrap(self, sender: Person, nonce: int, fee: int, body: Body) -> CheckedTransaction:
        """Return a transaction as if its signatures had been verified: that is tested elsewhere."""
        transaction = Transaction(
            CHAIN_ID, sender.address, nonce, sender.address, fee, self.height + 50, body
        )
        payload = canonical.encode(transaction)
        return CheckedTransaction(payload, domains.transaction_id(payload), transaction, 300)

    def _make_transaction(self) -> tuple[Person, int, Body]:
        maker = self.random.choice(self.makers)
        sender, body = maker()
        return sender, self.random.randrange(2_000, FEE_MAX), body

    def _list_makers(self) -> list[Callable[[], tuple[Person, Body]]]:
        often = [self._transfer, self._transfer, self._transfer, self._delegate, self._undelegate]
        usual = [self._vote, self._vote, self._withdraw, self._coin, self._register_node]
        seldom = [self._register_agent, self._unjail, self._recommit, self._ballot]
        weighted = often * 4 + usual * 3 + seldom * 2
        return [*weighted, self._propose, self._evidence]

    def _anybody(self) -> Person:
        return self.random.choice(self.people)

    def _amount(self) -> int:
        return self.random.choice(
            (0, 1, self.random.randrange(10**9), self.random.randrange(10**12))
        )

    def _agent(self) -> bytes:
        if self.random.random() < 0.05:
            return self._anybody().address
        return self.random.choice(get_agent_nodes(self.state))

    def _transfer(self) -> tuple[Person, Body]:
        return self._anybody(), Transfer(self._anybody().address, self._amount())

    def _delegate(self) -> tuple[Person, Body]:
        agent, sender = self._agent(), self._anybody()
        if self.random.random() < 0.2:
            sender = self.random.choice(self.nodes)
            meters = self.meters[sender.address].address
            return sender, Delegate(sender.address, self._amount(), meters)
        return sender, Delegate(agent, self._amount(), self._anybody().address)

    def _undelegate(self) -> tuple[Person, Body]:
        sender = self._anybody()
        agent = sender.address if self.random.random() < 0.2 else self._agent()
        amount = 1_000 * SSP_BASE_UNITS if self.random.random() < 0.1 else self._amount()
        return sender, Undelegate(agent, amount)

    def _withdraw(self) -> tuple[Person, Body]:
        return self._anybody(), Withdraw()

    def _vote(self) -> tuple[Person, Body]:
        count = self.random.randrange(0, 8)
        chosen = {self._agent() for _ in range(count)}
        return self._anybody(), VoteAgents(tuple(sorted(chosen)))

    def _register_node(self) -> tuple[Person, Body]:
        node = self.random.choice(self.nodes)
        if b"n" + node.address in self.state:
            return node, Transfer(self._anybody().address, 1)
        votes, meters = self.votes[node.address], self.meters[node.address]
        body: RegisterNode = register_node(node, votes, meters)
        return node, body

    def _register_agent(self) -> tuple[Person, Body]:
        node = self.random.choice(self.nodes)
        bond = self.random.choice((999, 1_000, 1_500)) * SSP_BASE_UNITS
        return node, RegisterAgent(bond, peel(node.seed, self.layers)[-1])

    def _recommit(self) -> tuple[Person, Body]:
        node = self.random.choice(self.nodes)
        return node, RecommitOnion(peel(node.seed, self.layers)[-1])

    def _unjail(self) -> tuple[Person, Body]:
        return self.random.choice(self.nodes), Unjail()

    def _coin(self) -> tuple[Person, Body]:
        sender = self._anybody()
        if not self.coins or self.random.random() < 0.1:
            nonce = get_account(self.state, sender.address).nonce
            self.coins = [*self.coins[-20:], domains.coin_id(sender.address, nonce)]
            return sender, CreateCoin("KWH", "", 3, 10**6, 10**7)
        coin, to = self.random.choice(self.coins), self._anybody().address
        amount = self.random.randrange(10**6)
        body = self.random.choice(
            (TransferCoin(coin, to, amount), MintCoin(coin, to, amount), BurnCoin(coin, amount))
        )
        return sender, body

    def _propose(self) -> tuple[Person, Body]:
        change = self.random.choice(
            (
                Change("block_reward", self.random.randrange(10**8)),
                Change("probation_epochs", self.random.randrange(1, 9)),
                Change("drawn_seats", self.random.randrange(0, 10)),
                Change("elected_seats", self.random.randrange(20, 91)),
            )
        )
        height = self.height + self.random.randrange(1, 400)
        return self._anybody(), Propose(100 * SSP_BASE_UNITS, "a change", (change,), height)

    def _ballot(self) -> tuple[Person, Body]:
        unsettled = get_unsettled_proposals(self.state)
        proposal = self.random.choice(unsettled) if unsettled else bytes(32)
        choice = self.random.choice((BallotChoice.YES, BallotChoice.YES, BallotChoice.NO))
        return self._anybody(), CastBallot(proposal, choice)

    def _evidence(self) -> tuple[Person, Body]:
        """Two votes by a seated agent; most of the time they agree and prove nothing."""
        epoch = get_epoch(self.state)
        voter = self.random.randrange(len(epoch.current))
        agent = epoch.current[voter]
        blocks = (b"a", b"b" if self.random.random() < 0.02 else b"a")
        votes = [self._sign_vote(agent, epoch.epoch, voter, sha256(block)) for block in blocks]
        return self._anybody(), ReportEvidence(agent, *votes)

    def _sign_vote(self, agent: bytes, epoch: int, voter: int, block_hash: bytes) -> Vote:
        message = vote_message(CHAIN_ID, VoteKind.NOTARIZE, epoch, 7, block_hash)
        signature = sign(self.votes[agent].seed, message)
        return Vote(VoteKind.NOTARIZE, epoch, 7, block_hash, voter, signature)

    def _count(
        self, transactions: list[CheckedTransaction], outcomes: tuple[Outcome, ...], *, is_end: bool
    ) -> None:
        counts = self.counts
        counts.blocks += 1
        counts.transactions += len(transactions)
        for checked, outcome in zip(transactions, outcomes, strict=True):
            is_applied = outcome.status is OutcomeStatus.APPLIED
            counts.applied += is_applied
            counts.convictions += is_applied and isinstance(
                checked.transaction.body, ReportEvidence
            )
        if is_end:
            counts.epochs += 1
            epoch = get_epoch(self.state)
            counts.newcomers += len(set(epoch.following) - set(epoch.current))


_agents, _delegations, _unbondings = Decoder(Agent), Decoder(Delegation), Decoder(Unbonding)
_proposals, _votes, _tallies = Decoder(Proposal), Decoder(VoteRecord), Decoder(Tally)
_coins, _integers = Decoder(Coin), Decoder(int)
