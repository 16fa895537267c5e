"""Rules of ReportEvidence, and what becomes of the bond."""

import msgspec
import pytest

from ledger.crypto.domains import NO_HASH, VoteKind, vote_message
from ledger.crypto.ed25519 import sign
from ledger.crypto.hashing import sha256
from ledger.params import DAY_MS
from ledger.state.accounts import BURNT
from ledger.state.epochs import get_past_epoch
from ledger.state.penalties import get_pending_slashes
from ledger.types.block import Vote
from ledger.types.stake import PenaltyCause, PenaltyKind
from ledger.types.transaction import ReportEvidence, Undelegate
from tests.support.stake_chain import BOND, StakeChain, people
from tests.support.transactions import BEN, CHAIN_ID, FEE, Person, assert_failed

AGENTS = people(4)
BAD = AGENTS[0]


@pytest.fixture
def chain() -> StakeChain:
    chain = StakeChain(*AGENTS, people=(*AGENTS, BEN))
    for agent in AGENTS:
        chain.change_agent(agent, bond=0)
        chain.enlist(agent)
    return chain


def vote(chain: StakeChain, kind: VoteKind, block: bytes = b"a", **changes: object) -> Vote:
    epoch = chain.epoch
    past = get_past_epoch(chain.state, epoch)
    assert past is not None
    subject = Vote(
        kind,
        epoch,
        3,
        NO_HASH if kind is VoteKind.NULLIFY else sha256(block),
        past.nodes.index(BAD.address),
        bytes(64),
    )
    return resign(msgspec.structs.replace(subject, **changes))


def resign(unsigned: Vote, key: Person = BAD) -> Vote:
    message = vote_message(
        CHAIN_ID, unsigned.kind, unsigned.epoch, unsigned.slot, unsigned.block_hash
    )
    seed = Person(f"{key.name}'s votes").seed
    return msgspec.structs.replace(unsigned, signature=sign(seed, message))


N, X, F = VoteKind.NOTARIZE, VoteKind.NULLIFY, VoteKind.FINALIZE


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        ((N, b"a"), (N, b"b"), PenaltyCause.DOUBLE_NOTARIZE),
        ((F, b"a"), (F, b"b"), PenaltyCause.DOUBLE_FINALIZE),
        ((X, b""), (F, b"b"), PenaltyCause.NULLIFY_AND_FINALIZE),
        ((F, b"a"), (X, b""), PenaltyCause.NULLIFY_AND_FINALIZE),
    ],
)
def test_two_votes_that_contradict_bar_the_agent_and_announce_the_loss(chain, first, second, cause):
    chain.must(BEN, ReportEvidence(BAD.address, vote(chain, *first), vote(chain, *second)))
    agent = chain.agent(BAD)
    assert agent.is_tombstoned
    assert agent.bond == BOND
    (penalty,) = agent.penalties
    assert (penalty.kind, penalty.cause) == (PenaltyKind.TOMBSTONE, cause)
    assert (penalty.announced_epoch, penalty.bites_epoch) == (chain.epoch, chain.epoch + 2)


def report(chain: StakeChain) -> ReportEvidence:
    return ReportEvidence(BAD.address, vote(chain, N, b"a"), vote(chain, N, b"b"))


def test_the_bond_is_taken_an_epoch_later_and_the_agent_never_sits_again(chain):
    chain.must(BEN, report(chain))
    announced = chain.epoch
    before = chain.balance(BEN)
    chain.end_epoch()
    assert chain.agent(BAD).bond == BOND
    assert chain.balance(BURNT) == 0
    chain.end_epoch()
    assert chain.epoch == announced + 2
    taken = BOND * 5 // 100
    assert chain.agent(BAD).bond == BOND - taken
    assert chain.balance(BEN) == before + taken // 20
    assert chain.balance(BURNT) == taken - taken // 20
    assert chain.agent(BAD).penalties[-1].until == taken
    assert get_pending_slashes(chain.state) == ()
    assert BAD.address not in chain.seated
    chain.end_epochs(2)
    assert BAD.address not in chain.seated


def test_a_bond_that_is_on_its_way_back_is_slashed_as_well(chain):
    chain.must(BAD, Undelegate(BAD.address, BOND))
    chain.must(BEN, report(chain))
    chain.end_epochs(2)
    assert chain.balance(BURNT) == BOND * 5 // 100 * 19 // 20


def test_an_agent_is_convicted_once(chain):
    chain.must(BEN, report(chain))
    assert_failed(chain.run(BEN, report(chain)), "already-exists")


def test_votes_that_agree_prove_nothing(chain):
    same = vote(chain, N)
    for first, second in (
        (same, same),
        (same, vote(chain, F)),
        (same, vote(chain, X)),
        (same, vote(chain, N, b"b", slot=4)),
        (vote(chain, X), vote(chain, X)),
    ):
        body = ReportEvidence(BAD.address, first, second)
        assert_failed(chain.run(BEN, body), "malformed")
    assert not chain.agent(BAD).is_tombstoned


def test_a_strangers_signature_proves_nothing(chain):
    body = report(chain)
    forged = msgspec.structs.replace(body, second=resign(body.second, AGENTS[1]))
    assert_failed(chain.run(BEN, forged), "bad-signature")


def test_the_voter_number_must_be_the_agents(chain):
    voter = (vote(chain, N).voter + 1) % 4
    votes = (vote(chain, N, b"a", voter=voter), vote(chain, N, b"b", voter=voter))
    assert_failed(chain.run(BEN, ReportEvidence(BAD.address, *votes)), "unknown-agent")
    past_end = (vote(chain, N, b"a", voter=9), vote(chain, N, b"b", voter=9))
    assert_failed(chain.run(BEN, ReportEvidence(BAD.address, *past_end)), "unknown-agent")


def test_who_is_no_agent_cannot_be_convicted(chain):
    body = msgspec.structs.replace(report(chain), agent=BEN.address)
    assert_failed(chain.run(BEN, body), "unknown-agent")


@pytest.mark.parametrize("epoch", [7, 2**32])
def test_an_epoch_that_nobody_knows_is_refused(chain, epoch):
    body = report(chain)
    first = msgspec.structs.replace(body.first, epoch=epoch)
    second = msgspec.structs.replace(body.second, epoch=epoch)
    outcome = chain.run(BEN, ReportEvidence(BAD.address, first, second))
    assert_failed(outcome, "malformed" if epoch > 7 else "too-late")


def test_evidence_has_an_age(chain):
    body = report(chain)
    chain.time_ms += 21 * DAY_MS
    assert_failed(chain.run(BEN, body), "too-late")
    assert chain.balance(BEN) > FEE
