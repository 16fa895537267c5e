"""kill -9 under load: nothing acknowledged is lost, nothing of QoS 2 comes twice.

`SMARTSHARE_BROKER_KILLS` says how often (200 for the whole thing).
"""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.kill_clients import Client, Publisher, Subscriber

pytestmark = [pytest.mark.integration, pytest.mark.slow]

KILLS = int(os.environ.get("SMARTSHARE_BROKER_KILLS", "10"))
PUBLISHERS = 50
SUBSCRIBERS = 3
BACKLOG_MAX = 1_000  # messages sent and not received by every subscriber
SEED = 20_260
WAIT_S = 120.0


class KillableBroker:
    """`smartshare broker` on one port and one home; it is killed and comes back."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = 0
        self.process: asyncio.subprocess.Process

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "broker", "--anonymous"),
            *("--listen", f"127.0.0.1:{self.port}", "--home", str(self.home)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        ready = await self.process.stdout.readline()
        self.port = int(ready.decode().strip().rsplit(":", 1)[1])

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        self.process.terminate()
        return await self.process.wait()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - many clients change, and nobody tells
            await asyncio.sleep(0.05)


async def kill_again_and_again(broker: KillableBroker, chance: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.05, 0.8))
        await broker.kill()
        await broker.start()


async def stay_away_now_and_then(lazy: Subscriber, chance: random.Random) -> None:
    """Let messages wait for one subscriber while the broker is killed."""
    while True:
        await asyncio.sleep(chance.uniform(0.2, 1.0))
        lazy.writer.transport.abort()


async def keep_sending(publishers: list[Publisher]) -> None:
    """Go on where a backlog held everybody up."""
    while True:
        await asyncio.sleep(0.02)
        for publisher in publishers:
            if publisher.is_connected:
                publisher.fill()


@pytest.mark.timeout(60 + 6 * KILLS)
async def test_kill_9_loses_nothing_acknowledged_and_doubles_nothing_of_qos_2(tmp_path: Path):
    broker = KillableBroker(tmp_path)
    await broker.start()
    subscribers = [Subscriber(broker.port, f"subscriber-{n}") for n in range(SUBSCRIBERS)]
    publishers: list[Publisher] = []
    is_over = False

    def may_send() -> bool:
        """Keep the queues of the subscribers far from their limits: what they drop is not promised."""
        sent = sum(publisher.sent for publisher in publishers)
        slowest = min(len(one.received_messages) for one in subscribers)
        return not is_over and sent - slowest < BACKLOG_MAX

    publishers += [Publisher(broker.port, f"p{n}", may_send) for n in range(PUBLISHERS)]
    chance = random.Random(SEED)

    async with asyncio.TaskGroup() as group:
        runs: list[Awaitable[None]] = [group.create_task(one.run()) for one in subscribers]
        for one in subscribers:
            await one.subscribed.wait()
        runs += [group.create_task(one.run()) for one in publishers]
        lazy = group.create_task(stay_away_now_and_then(subscribers[0], chance))
        wake = group.create_task(keep_sending(publishers))
        await kill_again_and_again(broker, chance)
        is_over = True
        await until(lambda: all(one.is_idle for one in publishers))
        lazy.cancel()
        wake.cancel()
        acknowledged = dict(pair for one in publishers for pair in one.acknowledged)
        await until(lambda: all(lost(one, acknowledged) == [] for one in subscribers))
        clients: list[Client] = [*publishers, *subscribers]
        for client in clients:
            client.stop()
    assert await broker.stop() == 0

    print(f"{KILLS} kills, {len(acknowledged)} messages acknowledged")  # seen with -s
    assert len(acknowledged) > 20 * KILLS
    for subscriber in subscribers:
        twice = {
            message: count
            for message, count in subscriber.received_messages.items()
            if count > 1 and acknowledged[message] == 2
        }
        assert twice == {}


def lost(subscriber: Subscriber, acknowledged: dict[str, int]) -> list[str]:
    return [one for one in acknowledged if one not in subscriber.received_messages]
