"""Reports of evidence in the mempool: first into a block, in a bounded share, once an agent, never crowded out."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from ledger.codec import canonical
from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.ed25519 import sign
from ledger.crypto.hashing import sha256
from ledger.errors import Reason, Rejected
from ledger.mempool import accusations
from ledger.mempool.limits import ACCUSATIONS_BLOCK_BYTES_MAX, SENDER_NONCES_MAX
from ledger.mempool.mempool import Mempool
from ledger.params import BLOCK_TRANSACTIONS_MAX, DAY_MS
from ledger.state.context import CheckedTransaction
from ledger.state.epochs import get_past_epoch
from ledger.state.keys import account_key
from ledger.state.processing.report_evidence import check_report
from ledger.types.block import Vote
from ledger.types.records import Account
from ledger.types.stake import PenaltyCause
from ledger.types.transaction import Body, CallContract, ReportEvidence, Transfer
from tests.support.stake_chain import MONEY, SLOT_MS, StakeChain, people
from tests.support.transactions import (
    ANNA,
    BEN,
    CARLA,
    CHAIN_ID,
    FEE,
    Person,
    assert_applied,
    check,
)

AGENTS = people(4)
BAD, WORSE = AGENTS[:2]
MANY = 10**9
EXPIRY = 1_000


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(*AGENTS, people=(*AGENTS, ANNA, BEN, CARLA), epoch_blocks=50)
    for agent in AGENTS:
        chain.change_agent(agent, bond=0)
        chain.enlist(agent)
    return chain


def vote(chain: StakeChain, agent: Person, kind: VoteKind, block: bytes, slot: int = 3) -> Vote:
    past = get_past_epoch(chain.state, chain.epoch)
    assert past is not None
    block_hash = NO_HASH if kind is VoteKind.NULLIFY else sha256(block)
    message = vote_message(CHAIN_ID, kind, chain.epoch, slot, block_hash)
    signature = sign(Person(f"{agent.name}'s votes").seed, message)
    seat = past.nodes.index(agent.address)
    return Vote(kind, chain.epoch, slot, block_hash, seat, signature)


def report(chain: StakeChain, agent: Person = BAD, slot: int = 3) -> ReportEvidence:
    votes = [vote(chain, agent, VoteKind.NOTARIZE, block, slot) for block in (b"a", b"b")]
    return ReportEvidence(agent.address, *votes)


def accuse(sender: Person, body: ReportEvidence, nonce: int = 0, fee: int = 2_000):
    return check(sender, body, None, nonce=nonce, fee=fee, expiry_height=EXPIRY)


def ordinary(sender: Person, nonce: int = 0, fee: int = FEE, body: Body | None = None):
    body = body or Transfer(CARLA.address, 1)
    return check(sender, body, None, nonce=nonce, fee=fee, expiry_height=EXPIRY)


def try_add(pool: Mempool, chain: StakeChain, checked: CheckedTransaction) -> Rejected | None:
    return pool.add(checked, chain.state, chain.height + 1, chain.time_ms)


def add(pool: Mempool, chain: StakeChain, *transactions: CheckedTransaction) -> None:
    for transaction in transactions:
        assert try_add(pool, chain, transaction) is None


def refuse(pool: Mempool, chain: StakeChain, checked: CheckedTransaction) -> Reason:
    before = (len(pool), pool.size_bytes, take(pool, chain))
    refusal = try_add(pool, chain, checked)
    assert isinstance(refusal, Rejected)
    assert (len(pool), pool.size_bytes, take(pool, chain)) == before
    return refusal.reason


def take(pool: Mempool, chain: StakeChain, bytes_max: int = MANY) -> list[CheckedTransaction]:
    return pool.take(bytes_max, BLOCK_TRANSACTIONS_MAX, chain.state)


def make_final(pool: Mempool, chain: StakeChain, *block: CheckedTransaction) -> None:
    for outcome in chain.block(*block):
        assert_applied(outcome)
    pool.prune(block, chain.state, chain.height, chain.time_ms)


def test_an_accusation_comes_first_whatever_others_offer(chain):
    pool, accusation = Mempool(), accuse(BEN, report(chain))
    dear = ordinary(ANNA, fee=10**9)
    add(pool, chain, dear, accusation)
    assert take(pool, chain) == [accusation, dear]
    assert pool.take(MANY, 1, chain.state) == [accusation]
    assert pool.oldest(1) == (accusation.raw,)


def test_a_pool_full_of_dearer_transactions_takes_it_and_never_drops_it(chain):
    pool = Mempool(count_max=2)
    add(pool, chain, ordinary(ANNA, fee=10**6), ordinary(CARLA, fee=10**6))
    assert refuse(pool, chain, ordinary(BEN)) is Reason.FULL
    accusation = accuse(BEN, report(chain))
    add(pool, chain, accusation)
    for fee in range(2 * 10**6, 6 * 10**6, 10**6):
        add(pool, chain, ordinary(AGENTS[2], nonce=2, fee=fee))
        assert take(pool, chain)[0] == accusation
    assert len(pool) == 3


def test_a_pool_full_of_bytes_takes_it(chain):
    dear = ordinary(ANNA, fee=10**6)
    pool = Mempool(bytes_max=dear.size)
    add(pool, chain, dear, accuse(BEN, report(chain)))
    assert len(pool) == 2
    assert refuse(pool, chain, ordinary(CARLA)) is Reason.FULL


def test_accusations_take_no_room_of_others(chain):
    pair = [ordinary(ANNA, 0), ordinary(ANNA, 1)]
    pool = Mempool(count_max=2, bytes_max=sum(checked.size for checked in pair))
    add(pool, chain, accuse(BEN, report(chain)), accuse(CARLA, report(chain, WORSE)), *pair)
    assert len(pool) == 4


def test_what_its_sender_has_waiting_before_it_is_taken_along_and_stays(chain):
    pool = Mempool(count_max=3)
    before = [ordinary(BEN, nonce, fee=2_000) for nonce in range(2)]
    accusation = accuse(BEN, report(chain), nonce=2)
    behind = ordinary(BEN, 3, fee=2_000)
    add(pool, chain, *before, accusation, behind)
    dear = [ordinary(ANNA, nonce, fee=10**6) for nonce in range(3)]
    add(pool, chain, dear[0])
    assert pool.get(behind.id) is None, "the only one that may go"
    assert refuse(pool, chain, dear[1]) is Reason.FULL
    assert take(pool, chain) == [*before, accusation, dear[0]]


def test_what_stands_before_it_cannot_be_replaced(chain):
    pool = Mempool()
    before, accusation = ordinary(BEN), accuse(BEN, report(chain), nonce=1)
    add(pool, chain, before, accusation)
    assert refuse(pool, chain, ordinary(BEN, fee=10 * FEE)) is Reason.DUPLICATE


def test_two_accusations_of_one_sender_share_what_stands_before_them(chain):
    pool = Mempool()
    before = ordinary(BEN)
    both = [accuse(BEN, report(chain), 1), accuse(BEN, report(chain, WORSE), 2)]
    add(pool, chain, before, *both)
    assert take(pool, chain) == [before, *both]


def test_accusations_fill_no_more_than_their_share_of_a_block(chain, monkeypatch):
    one, other = accuse(BEN, report(chain)), accuse(CARLA, report(chain, WORSE))
    monkeypatch.setattr(accusations, "ACCUSATIONS_BLOCK_BYTES_MAX", one.size + other.size - 1)
    pool, dear = Mempool(), ordinary(ANNA)
    add(pool, chain, one, other, dear)
    assert take(pool, chain) == [one, dear]
    make_final(pool, chain, one)
    assert take(pool, chain) == [other, dear]


def test_who_has_more_waiting_than_the_share_is_told_to_wait(chain):
    pool = Mempool()
    add(pool, chain, ordinary(BEN, 0))
    accusation = accuse(BEN, report(chain), 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accusations, "ACCUSATIONS_BLOCK_BYTES_MAX", accusation.size)
        assert refuse(pool, chain, accusation) is Reason.BAD_NONCE
    add(pool, chain, accusation)


def test_a_contract_is_not_run_ahead_of_others_for_an_accusation_behind_it(chain):
    pool = Mempool()
    add(pool, chain, ordinary(BEN, body=CallContract(bytes(32), "run", b"\x90", 0, 0)))
    assert refuse(pool, chain, accuse(BEN, report(chain), 1)) is Reason.BAD_NONCE


def test_it_leaves_no_hole_before_it(chain):
    pool = Mempool()
    assert refuse(pool, chain, accuse(BEN, report(chain), nonce=1)) is Reason.BAD_NONCE
    last = SENDER_NONCES_MAX - 1
    assert refuse(pool, chain, accuse(BEN, report(chain), nonce=last)) is Reason.BAD_NONCE


def test_a_flood_of_one_offence_waits_once(chain, monkeypatch):
    pool, first = Mempool(), accuse(BEN, report(chain))
    add(pool, chain, first)
    judged = []

    def judge(*of: Any) -> PenaltyCause | Rejected:
        judged.append(of)
        return check_report(*of)

    monkeypatch.setattr(accusations, "check_report", judge)
    for slot in range(4, 40):
        assert refuse(pool, chain, accuse(ANNA, report(chain, slot=slot))) is Reason.DUPLICATE
        assert refuse(pool, chain, accuse(BEN, report(chain, slot=slot), 1)) is Reason.DUPLICATE
        assert refuse(pool, chain, accuse(BEN, report(chain), fee=50_000)) is Reason.DUPLICATE
    assert not judged, "no signature is checked for what waits already"
    assert pool.is_accused(BAD.address)
    assert not pool.is_accused(WORSE.address)


def test_an_accusation_that_can_no_longer_run_makes_way(chain):
    pool, stuck = Mempool(), accuse(BEN, report(chain), nonce=1)
    before = ordinary(BEN)
    add(pool, chain, before, stuck)
    assert refuse(pool, chain, accuse(ANNA, report(chain))) is Reason.DUPLICATE
    pool.remove(before.id)  # it could not be run
    other = accuse(ANNA, report(chain))
    add(pool, chain, other)
    assert (pool.get(stuck.id), take(pool, chain)) == (None, [other])


def test_false_evidence_is_refused_and_named(chain):
    good = report(chain)
    stranger = vote(chain, WORSE, VoteKind.NOTARIZE, b"b").signature
    forged = msgspec.structs.replace(
        good, second=msgspec.structs.replace(good.second, signature=stranger)
    )
    same = msgspec.structs.replace(good, second=good.first)
    for body in (forged, same):
        assert refuse(Mempool(), chain, accuse(BEN, body)) is Reason.FALSE_EVIDENCE


def test_what_another_node_may_know_better_is_no_false_evidence(chain):
    unknown = msgspec.structs.replace(report(chain), agent=BEN.address)
    assert refuse(Mempool(), chain, accuse(BEN, unknown)) is Reason.UNKNOWN_AGENT
    later = [
        msgspec.structs.replace(v, epoch=7) for v in (report(chain).first, report(chain).second)
    ]
    body = ReportEvidence(BAD.address, *later)
    assert refuse(Mempool(), chain, accuse(BEN, body)) is Reason.TOO_LATE


def test_who_is_convicted_is_not_accused_again(chain):
    pool, late = Mempool(), accuse(BEN, report(chain, slot=4))
    add(pool, chain, late)
    winner = accuse(ANNA, report(chain))
    make_final(pool, chain, winner)
    assert len(pool) == 0
    assert refuse(pool, chain, late) is Reason.ALREADY_EXISTS


def test_a_parent_that_convicts_and_is_not_final_yet_keeps_the_next_block_free_of_it(chain):
    pool = Mempool()
    add(pool, chain, accuse(BEN, report(chain)))
    chain.block(accuse(ANNA, report(chain)))
    assert take(pool, chain) == []


def test_the_age_limit_holds_at_the_door_and_while_it_waits(chain):
    body = report(chain)
    past = get_past_epoch(chain.state, body.first.epoch)
    assert past is not None
    last_ms = past.start_time_ms + 21 * DAY_MS
    pool, accusation = Mempool(), accuse(BEN, body)
    assert pool.add(accusation, chain.state, chain.height + 1, last_ms) is None
    pool.prune([], chain.state, chain.height, last_ms)
    assert len(pool) == 1
    pool.prune([], chain.state, chain.height, last_ms + 1)
    assert len(pool) == 0
    refusal = pool.add(accusation, chain.state, chain.height + 1, last_ms + 1)
    assert isinstance(refusal, Rejected)
    assert refusal.reason is Reason.TOO_LATE
    assert last_ms + 1 > chain.time_ms + SLOT_MS


def test_no_more_wait_than_there_are_seats(chain, monkeypatch):
    monkeypatch.setattr(accusations, "ACCUSATIONS_MAX", 1)
    pool = Mempool()
    add(pool, chain, accuse(BEN, report(chain)))
    assert refuse(pool, chain, accuse(CARLA, report(chain, WORSE))) is Reason.FULL


SENDERS = (ANNA, BEN, CARLA)
steps = st.tuples(
    st.sampled_from(SENDERS),
    st.integers(0, 4),
    st.sampled_from([None, *AGENTS[:3]]),
    st.integers(1_500, 60_000),
)


@settings(max_examples=40)
@given(waves=st.lists(st.lists(steps, max_size=14), max_size=3))
def test_whatever_comes_blocks_are_valid_and_every_culprit_is_convicted_at_once(waves):
    chain = StakeChain(*AGENTS, people=AGENTS, epoch_blocks=50)
    for agent in AGENTS:
        chain.change_agent(agent, bond=0)
        chain.enlist(agent)
    for person in SENDERS:
        chain.state[account_key(person.address)] = canonical.encode(Account(300_000))
    pool = Mempool(count_max=5)
    for wave in waves:
        for sender, nonce, accused, fee in wave:
            checked = (
                ordinary(sender, nonce, fee)
                if accused is None
                else accuse(sender, report(chain, accused), nonce, fee)
            )
            try_add(pool, chain, checked)
            accused_now = [agent for agent in AGENTS if pool.is_accused(agent.address)]
            assert len(pool) <= 5 + len(accused_now)
        runnable = {
            entry.accused
            for entry in pool._waiting.accusations.values()
            if accusations.find_run(pool._waiting, chain.state, entry) is not None
        }
        block = take(pool, chain)
        share = [c.size for c in block if isinstance(c.transaction.body, ReportEvidence)]
        assert sum(share) <= ACCUSATIONS_BLOCK_BYTES_MAX
        for checked, outcome in zip(block, chain.block(*block), strict=True):
            if isinstance(checked.transaction.body, ReportEvidence):
                assert_applied(outcome)
        pool.prune(block, chain.state, chain.height, chain.time_ms)
        assert all(chain.agent(agent).is_tombstoned for agent in runnable if agent is not None)
        assert chain.supply() > MONEY
