"""Four nodes of which one never comes: it is penalised, loses its seat, and proofs follow the change."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from gateway.clock import SystemClock
from ledger.errors import Rejected
from ledger.light import StateEvidence, VerifiedRecord, build_state_file, verify_state_file
from ledger.light.follower import HeaderFollower, Taken
from ledger.node.light_answers import LightAnswers
from ledger.state.epochs import get_epoch
from ledger.state.keys import account_key
from ledger.state.overview import list_agents
from ledger.types.stake import PenaltyCause, PenaltyKind
from tests.integration.consensus.test_four_nodes import (
    AGENTS,
    Network,
    Place,
    check_agreement,
    make_four,
    stop_all,
    until,
)
from tests.support.ledger_lab import address_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


@pytest.fixture
def places(tmp_path: Path) -> list[Place]:
    usual = make_four()
    agents = tuple(msgspec.structs.replace(agent, bond=10**12) for agent in usual.agents)
    genesis = msgspec.structs.replace(usual, agents=agents, reward_pool=10**12)
    network = Network()
    places = [Place(index, tmp_path, genesis, network) for index in range(AGENTS)]
    network.places = {place.name: place for place in places}
    return places


async def test_an_absent_agent_is_jailed_and_the_others_go_on_without_it(places: list[Place]):
    *present, absent = places
    for place in present:
        place.start()
    try:
        await until(lambda: all(is_without(place, absent.name) for place in present), places)
        node = present[0].node
        assert node is not None
        (record,) = [one for one in list_agents(node.state(), 0) if one.node == absent.name]
        assert record.standing.endswith("(absent)")
        assert record.agent.blocks_total == 0
        first, *_ = penalties = record.agent.penalties
        # How many slots it leads in its first epoch is up to the order: two missed ones, or its missing votes.
        assert first.kind is PenaltyKind.PROBATION
        assert first.cause in {PenaltyCause.MISSED_SLOTS, PenaltyCause.LOW_PARTICIPATION}
        (jail,) = [penalty for penalty in penalties if penalty.kind is PenaltyKind.JAIL]
        assert jail.cause is PenaltyCause.ABSENT
        assert sum(node.account(place.name).balance for place in present) > 0
        evidence = node.prove(account_key(address_of("alice")))
        assert isinstance(evidence, StateEvidence)
        assert len(evidence.set_changes) == 1
        genesis = present[0].genesis
        found = verify_state_file(build_state_file(genesis, evidence).encode(), genesis)
        assert isinstance(found, VerifiedRecord), found
        assert absent.name not in found.signers
        check_agreement(present)
        await follow_light(present[0], present[1])
    finally:
        await stop_all(places)


async def follow_light(one: Place, other: Place) -> None:
    """A light node follows the chain from one node over the change, and then hears another."""
    follower = HeaderFollower(one.genesis)
    for place in (one, other):
        assert place.node is not None
        answers = LightAnswers(place.path, place.node.prover, place.genesis)
        taken = await ask_until_answered(follower, answers)
        assert isinstance(taken, Taken), taken
    assert follower.newest is not None
    assert len(follower.agents) == AGENTS - 1
    block = one.blocks[follower.newest.header.height]
    assert follower.newest.hash == block.hash


async def ask_until_answered(follower: HeaderFollower, answers: LightAnswers) -> Taken | Rejected:
    """Ask again while the newest block's certificate is on its way."""
    for _ in range(100):
        content = answers.answer(follower.question())
        if content is not None:
            return follower.take_headers(content, SystemClock().now_ms())
        await asyncio.sleep(0.05)
    raise AssertionError("no answer")


def is_without(place: Place, name: bytes) -> bool:
    assert place.node is not None
    epoch = get_epoch(place.node.state())
    return name not in epoch.current and place.height > epoch.root_height
