"""A gateway joins three others, is voted in, leads and votes, is away, goes to jail, and comes back.

Twelve real processes on loopback, epochs of ten blocks, and the commands that an operator types. The
hour in jail passes on a clock that the test sets ahead for all of them.
"""

import re

import msgspec
import pytest

from gateway.model.ledger_api import StatusReply
from gateway.model.stake_api import AgentReply, AgentsReply
from ledger.params import HOUR_MS
from tests.support.loopback_gateways import LoopbackGateway, LoopbackGateways, until

pytestmark = [pytest.mark.system, pytest.mark.slow, pytest.mark.timeout(900)]

FOUNDERS = ("a", "b", "c")  # the least set that goes on while one of four is away
EPOCH_BLOCKS = 10
BOND_SSP = "2000"
ANNOUNCEMENT = re.compile(r"announced in epoch (\d+), from epoch (\d+) on")


@pytest.fixture
def network(tmp_path):
    with LoopbackGateways(
        tmp_path,
        FOUNDERS,
        lambda genesis: msgspec.structs.replace(genesis, epoch_blocks=EPOCH_BLOCKS),
    ) as network:
        for one in network.gateways.values():
            one.start()
        yield network


def until_it_answers(gateway: LoopbackGateway) -> None:
    until(lambda: gateway.run("chain", "status").returncode == 0)


def record_of(agent: LoopbackGateway, asked: LoopbackGateway) -> AgentReply:
    """What the chain of `asked` knows of an agent."""
    agents = asked.query("agents", AgentsReply).agents
    return next(one for one in agents if one.node == agent.address.node.hex())


def test_a_gateway_joins_gets_a_seat_loses_it_and_comes_back(network):
    founder = network.gateways["a"]
    until_it_answers(founder)
    joiner = network.join("d")
    joiner.start()
    until_it_answers(joiner)
    ask_for_what_is_not_possible_yet(founder, joiner)
    stand_and_be_voted_in(founder, joiner)
    lead_and_earn(joiner)
    be_away_until_it_is_in_jail(founder, joiner)
    come_back_after_the_time_in_jail(network, founder, joiner)


def ask_for_what_is_not_possible_yet(founder: LoopbackGateway, joiner: LoopbackGateway) -> None:
    until(lambda: "its metering account cannot pay for that" in joiner.run("status").stdout)
    assert "chain stand SSP" in joiner.refuse("chain", "unjail")
    assert "chain stand SSP" in joiner.refuse("chain", "recommit")
    assert "does not stand for election" in founder.refuse("chain", "vote", joiner.node)
    wallet = joiner.ask("wallet", "show")["address"]
    line = joiner.refuse("chain", "stand", BOND_SSP)
    assert f"pay them to {wallet} first" in line
    founder.say("wallet", "send", wallet, "5000")
    assert "at least 1000.00000000 SSP" in joiner.refuse("chain", "stand", "999")


def stand_and_be_voted_in(founder: LoopbackGateway, joiner: LoopbackGateway) -> None:
    joiner.say("chain", "stand", BOND_SSP)
    assert "stands for election already" in joiner.refuse("chain", "stand", BOND_SSP)
    assert "not in jail" in joiner.refuse("chain", "unjail")
    before = record_of(joiner, founder)
    assert before.bond == 2000 * 10**8
    founder.say("chain", "vote", joiner.node)
    founder.say("chain", "delegate", joiner.node, "500")
    assert record_of(joiner, founder).weight > before.weight
    until(lambda: record_of(joiner, founder).seat is not None)
    assert founder.query("status", StatusReply).agents == len(FOUNDERS) + 1


def lead_and_earn(joiner: LoopbackGateway) -> None:
    """It proposes and votes, and its bond pays for its metering: no coin was sent for that."""
    until(lambda: record_of(joiner, joiner).blocks_total >= 1)
    until(lambda: record_of(joiner, joiner).signed >= 1)
    until(lambda: record_of(joiner, joiner).rewards_total > 0)
    until(lambda: joiner.ask("identity", "show")["instance_standing"] == "held")
    until(lambda: joiner.run("status").returncode == 0)
    joiner.say("chain", "collect")


def be_away_until_it_is_in_jail(founder: LoopbackGateway, joiner: LoopbackGateway) -> None:
    """The others go on; what will follow is on the chain before it bites."""
    height = founder.query("status", StatusReply).height
    joiner.stop()
    until(lambda: record_of(joiner, founder).jailed_until_ms)
    record = record_of(joiner, founder)
    assert record.standing.startswith("in jail until ")
    assert any(one.startswith("missed-slots: probation") for one in record.penalties)
    (jail,) = (one for one in record.penalties if one.startswith("absent: jail"))
    announced, bites = map(int, ANNOUNCEMENT.findall(jail)[0])
    assert bites == announced + 2
    until(lambda: record_of(joiner, founder).seat is None)
    assert founder.query("agents", AgentsReply).epoch >= bites
    assert founder.query("status", StatusReply).height > height + EPOCH_BLOCKS
    assert record_of(joiner, founder).bond == 2000 * 10**8, "nobody is slashed for being away"


def come_back_after_the_time_in_jail(
    network: LoopbackGateways, founder: LoopbackGateway, joiner: LoopbackGateway
) -> None:
    joiner.start()
    until_it_answers(joiner)
    until(lambda: "in jail until" in joiner.refuse("chain", "unjail"))
    assert "this agent is in jail until" in joiner.run("doctor").stdout
    network.clock.set_ahead(HOUR_MS + 60_000)
    until(lambda: joiner.run("chain", "unjail").returncode == 0)
    until(lambda: record_of(joiner, founder).seat is not None)
    led = record_of(joiner, founder).blocks_total
    until(lambda: record_of(joiner, founder).blocks_total > led)
    until(lambda: joiner.run("status").returncode == 0)
