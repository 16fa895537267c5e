"""A reading of QoS 2 is stored once and passed on once, wherever the gateway is killed.

Its reading and its packet id are in two databases: each may be ahead of the other by what a kill left.
"""

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.broker.durable.database import open_database
from gateway.broker.durable.loading import load
from gateway.broker.durable.schema import raw_connection
from tests.support.exchange_world import World

SEEDS = range(60)
MESSAGES = 30
STEPS_MAX = 3_000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(tmp_path / "sessions.db")) as database:
        opened = raw_connection(database)
        opened.execute("PRAGMA synchronous=OFF")  # only the process is killed
        yield opened


def exchange(world: World) -> list[Callable[[], object]]:
    """Return the steps of one message from PUBLISH to PUBCOMP."""
    sender, device = world.sender, world.device
    return [
        lambda: sender.to_broker.append(device.publish()),
        lambda: sender.deliver(),
        lambda: world.readings.flush(),
        lambda: world.journal.flush(),
        lambda: sender.collect(),  # PUBREC
        lambda: sender.deliver(),  # PUBREL
        lambda: world.readings.flush(),
        lambda: world.journal.flush(),
        lambda: sender.collect(),  # PUBCOMP
    ]


def run_until(world: World, step: int) -> None:
    """Play two messages under one packet id, up to a step."""
    for one in [*exchange(world), *exchange(world)][:step]:
        one()


STEPS = pytest.mark.parametrize("step", range(19))
SURVIVE = pytest.mark.parametrize(
    ("readings_survive", "journal_survives"),
    [(False, False), (True, False), (False, True), (True, True)],
    ids=["nothing", "readings", "journal", "both"],
)
READER = pytest.mark.parametrize("has_reader", [False, True], ids=["unread", "read"])


@STEPS
@SURVIVE
@READER
def test_a_kill_at_any_step_stores_a_message_once(
    connection, step, readings_survive, journal_survives, has_reader
):
    world = World(connection, has_reader=has_reader)
    run_until(world, step)

    world.kill(readings_survive=readings_survive, journal_survives=journal_survives)
    world.settle()
    while world.device.published < 3:  # the packet id is used again
        world.sender.to_broker.append(world.device.publish())
        world.settle()

    world.check()
    assert world.disk.readings == [1, 2, 3]


@STEPS
@SURVIVE
@READER
def test_a_device_that_begins_anew_is_not_taken_for_the_old_one(
    connection, step, readings_survive, journal_survives, has_reader
):
    world = World(connection, has_reader=has_reader)
    run_until(world, step)

    world.device.begin_anew()
    world.sender.script.close("reset")
    world.sender.reconnect(world.core)
    while not world.sender.is_welcome:
        world.sender.collect()
        world.readings.flush()
        world.journal.flush()
    world.sender.to_broker.append(world.device.publish())
    world.sender.deliver()
    world.kill(readings_survive=readings_survive, journal_survives=journal_survives)
    world.settle()

    world.check()
    assert world.disk.readings[-1] == world.device.published


@STEPS
@SURVIVE
def test_a_device_that_comes_back_meanwhile_gets_its_answers(
    connection, step, readings_survive, journal_survives
):
    world = World(connection, has_reader=True)
    run_until(world, step)

    world.sender.reconnect(world.core)  # the old connection is taken over
    world.sender.collect()
    world.sender.deliver()
    world.kill(readings_survive=readings_survive, journal_survives=journal_survives)
    world.settle()

    world.check()


@pytest.mark.parametrize("step", range(19))
def test_without_a_kill_a_device_that_comes_back_gets_its_answers(connection, step):
    world = World(connection, has_reader=False)
    run_until(world, step)

    world.sender.reconnect(world.core)
    world.settle()

    world.check()


class Chance:
    """Steps in any order, with kills, lost connections, forgetful devices and a store that is too busy."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)

    def step(self) -> None:
        world, action = self.world, self.dice.random()
        peer = self.dice.choice(world.peers)
        world.readings.is_overloaded = self.dice.random() < 0.05
        if action < 0.03:
            odds = self.dice.random() < 0.5, self.dice.random() < 0.5
            world.kill(readings_survive=odds[0], journal_survives=odds[1])
        elif action < 0.06 or peer.script.is_closed():
            if peer is world.sender and self.dice.random() < 0.3:
                world.device.begin_anew()
            peer.reconnect(world.core)
        elif action < 0.15:
            world.readings.flush()
        elif action < 0.25:
            world.journal.flush()
        elif action < 0.5:
            peer.collect()
        elif action < 0.85:
            peer.deliver()
        elif self.can_publish():
            world.sender.to_broker.append(world.device.publish())
        world.journal.settle()

    def can_publish(self) -> bool:
        device = self.world.device
        under_way = len(device.window) + len(device.released)
        return device.published < MESSAGES and under_way < 4 and self.world.sender.is_welcome


@pytest.mark.parametrize("seed", SEEDS)
@READER
def test_whatever_happens_a_message_is_stored_once(connection, seed, has_reader):
    world = World(connection, has_reader=has_reader)
    chance = Chance(world, seed)
    for _ in range(STEPS_MAX):
        chance.step()
        if world.device.published == MESSAGES and world.device.is_idle:
            break
    world.readings.is_overloaded = False
    world.settle(rounds=40)

    world.check()
    left = load(connection).state.sessions
    assert all(not session.deliveries and not session.received_packet_ids for session in left)
