"""What sessions and retained messages cost an SD card: commits a second and bytes a day.

    .venv/bin/python -m tests.benchmarks.bench_journal [--seconds 130] [--load gateway_states]

What the gateway retains is written every ten minutes: its load needs more than 600 seconds.

Each load runs for a while on the journal of the broker, in real time; commits are counted by the
journal, bytes are what the process handed to write(2) (`wchar` in /proc/self/io), with the last
checkpoint of the database.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.broker.changes import Delivery, DeliveryDone, MessageQueued, RetainedPut, SessionKept
from gateway.broker.durable.journal import SqliteJournal
from gateway.broker.message import Message
from gateway.model.principal import Principal, PrincipalKind

DEVICES = 1_000
PAYLOAD_BYTES = 200
READER = Principal("reader", PrincipalKind.SERVICE, ("#",), ("#",))
KEY = ("reader", "reader")
DAY_S = 86_400
TICK_S = 0.1

Load = Callable[[SqliteJournal, int], None]


def device_topic(number: int) -> str:
    return f"ss/v1/house/dev/device-{number % DEVICES}/state"


def payload(number: int, size: int = PAYLOAD_BYTES) -> bytes:
    """Return what no message before had: an unchanged row would cost nothing."""
    return b"%*d" % (size, number)


def gateway_states(journal: SqliteJournal, tick: int) -> None:
    """The gateway retains each device's state every 10 s, and its health every second."""
    for number in range(10):
        topic = device_topic(tick * 10 + number)
        journal.record(RetainedPut(Message(topic, payload(tick), 1, is_retained=True), None))
    if tick % 10 == 0:
        health = Message("ss/v1/house/bridge/health", payload(tick, 1_000), 1, is_retained=True)
        journal.record(RetainedPut(health, None))


def device_states(journal: SqliteJournal, tick: int) -> None:
    """Each device retains a value of its own at QoS 1 once a minute: 17 a second, each promised."""
    for number in range(2 if tick % 3 else 1):
        topic = device_topic(tick * 2 + number)
        journal.record(RetainedPut(Message(topic, payload(tick), 1, is_retained=True), "device"))
        journal.commit(lambda _: None)


def queue_message(journal: SqliteJournal, number: int) -> None:
    message = Message(device_topic(number), payload(number), 1, is_retained=False)
    journal.record(MessageQueued(KEY, Delivery(number, 1, message, 1, is_retained=False)))
    journal.commit(lambda _: None)


def to_a_reader_that_is_there(journal: SqliteJournal, tick: int) -> None:
    """Each device publishes every 10 s at QoS 1 to a persistent session, which acknowledges at once."""
    loop = asyncio.get_running_loop()
    for number in range(tick * 10, tick * 10 + 10):
        queue_message(journal, number)
        loop.call_later(0.001, journal.record, DeliveryDone(KEY, number))


def to_a_reader_that_is_away(journal: SqliteJournal, tick: int) -> None:
    """The same, and the session's client is away; every message waits on disk, at most 1,000."""
    for number in range(tick * 10, tick * 10 + 10):
        queue_message(journal, number)
        if number >= 1_000:
            journal.record(DeliveryDone(KEY, number - 1_000))


LOADS: tuple[Load, ...] = (
    gateway_states,
    device_states,
    to_a_reader_that_is_there,
    to_a_reader_that_is_away,
)


def written_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


async def run(load: Load, folder: Path, seconds: int) -> tuple[float, float]:
    """Return commits a second and bytes a day."""
    journal = SqliteJournal(folder / f"{load.__name__}.db")
    journal.load()
    journal.record(SessionKept(KEY, READER, 3_600))
    await committed(journal)
    commits, written = journal.commits, written_bytes()
    for tick in range(int(seconds / TICK_S)):
        load(journal, tick)
        await asyncio.sleep(TICK_S)
    commits = journal.commits - commits
    journal.close()
    return commits / seconds, (written_bytes() - written) / seconds * DAY_S


def committed(journal: SqliteJournal) -> Awaitable[str | None]:
    answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
    journal.commit(answer.set_result)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=int, default=130)
    parser.add_argument("--load", choices=[load.__name__ for load in LOADS])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for load in LOADS:
            if options.load not in (None, load.__name__):
                continue
            commits, day = asyncio.run(run(load, Path(folder), options.seconds))
            print(
                f"{load.__name__:<28} {commits:5.2f} commits/s  {day / 1e6:8.0f} MB/day", flush=True
            )


if __name__ == "__main__":
    main()
