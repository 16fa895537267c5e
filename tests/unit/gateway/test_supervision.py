"""Real children: small Python programs that talk sd_notify."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.supervision import ProcessSpec, Supervisor

pytestmark = pytest.mark.integration

SAY = """
import os, socket, sys, signal, time
def say(text):
    address = os.environ["NOTIFY_SOCKET"].replace("@", chr(0), 1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.sendto(text.encode(), address)
def note(text):
    with open(sys.argv[1], "a") as file:
        file.write(text + chr(10))
"""
STAYS = SAY + "note('up ' + sys.argv[2]); say('READY=1'); signal.pause()"
NOTES_ITS_END = SAY + (
    "signal.signal(signal.SIGTERM, lambda *_: (note('end ' + sys.argv[2]), os._exit(0)));"
    "note('up ' + sys.argv[2]); say('READY=1\\nSTATUS=x')\nwhile True: signal.pause()"
)
IGNORES_SIGTERM = SAY + (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); say('READY=1')\nwhile True: signal.pause()"
)
NEVER_READY = SAY + "note('up'); signal.pause()"
EXITS = SAY + "note('up'); sys.exit(3)"


@pytest.fixture
def diary(tmp_path):
    path = tmp_path / "diary"
    path.touch()
    return path


def spec(name, code, diary, **options):
    return ProcessSpec(name, [sys.executable, "-c", code, str(diary), name], **options)


@asynccontextmanager
async def running(supervisor):
    stop = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run(stop))
        try:
            yield
        finally:
            stop.set()


async def until(condition):
    """Wait for what only another process can change."""
    while not condition():  # noqa: ASYNC110  (no event crosses the process boundary)
        await asyncio.sleep(0.01)


def is_alive(pid):
    """A zombie is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_children_start_in_order_and_stop_in_reverse(diary):
    supervisor = Supervisor([spec(name, NOTES_ITS_END, diary) for name in ("one", "two", "three")])

    async with running(supervisor):
        await supervisor.ready.wait()
        pids = dict(supervisor.pids)
        assert diary.read_text().split("\n")[:3] == ["up one", "up two", "up three"]
        assert all(is_alive(pid) for pid in pids.values())

    assert diary.read_text().split("\n")[3:6] == ["end three", "end two", "end one"]
    assert not any(is_alive(pid) for pid in pids.values())
    assert supervisor.pids == {}


async def test_the_next_child_waits_for_the_one_before(diary):
    supervisor = Supervisor(
        [spec("first", NEVER_READY, diary), spec("second", STAYS, diary)], stop_timeout_s=5
    )

    async with running(supervisor):
        await until(lambda: diary.read_text() == "up\n")
        assert list(supervisor.pids) == ["first"]
        assert not supervisor.ready.is_set()

    assert diary.read_text() == "up\n"


async def test_a_killed_child_is_started_again(diary):
    supervisor = Supervisor([spec("child", STAYS, diary)])

    async with running(supervisor):
        await supervisor.ready.wait()
        first = supervisor.pids["child"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pids.get("child", first) != first)
        await until(lambda: diary.read_text() == "up child\nup child\n")


async def test_back_off_doubles(diary, caplog):
    caplog.set_level("INFO")
    supervisor = Supervisor([spec("child", EXITS, diary)])

    async with running(supervisor):
        await until(lambda: caplog.text.count("starting again") == 3)

    waits = [record.args[1] for record in caplog.records if "starting again" in record.msg]
    assert waits == [0.2, 0.4, 0.8]
    assert "child: exited with status 3" in caplog.text


async def test_a_child_that_is_not_ready_in_time_is_started_again(diary, caplog):
    supervisor = Supervisor([spec("slow", NEVER_READY, diary, ready_timeout_s=0.3)])

    async with running(supervisor):
        await until(lambda: diary.read_text().count("up") == 2)

    assert "slow: not ready within 0.3 s" in caplog.text


async def test_a_child_that_ignores_sigterm_is_killed(diary, caplog):
    caplog.set_level("INFO")
    supervisor = Supervisor([spec("deaf", IGNORES_SIGTERM, diary)], stop_timeout_s=0.2)

    async with running(supervisor):
        await supervisor.ready.wait()
        pid = supervisor.pids["deaf"]

    assert not is_alive(pid)
    assert "deaf: ended by SIGKILL" in caplog.text


async def test_a_program_that_does_not_exist_is_one_line_and_is_tried_again(diary, caplog):
    supervisor = Supervisor([ProcessSpec("missing", [str(diary.parent / "nothing")])])

    async with running(supervisor):
        await until(lambda: caplog.text.count("starting again") == 2)

    assert f"missing: cannot start {diary.parent}/nothing" in caplog.text


async def test_cancelling_run_ends_the_children(diary):
    supervisor = Supervisor([spec("child", STAYS, diary)])

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(supervisor.run(asyncio.Event()))
        await supervisor.ready.wait()
        pid = supervisor.pids["child"]
        running.cancel()

    assert not is_alive(pid)


async def test_a_child_gets_its_own_variables_and_no_secret_of_ours(diary, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("SOME_TOKEN", "hunter2")
    monkeypatch.setenv("WATCHDOG_USEC", "1")
    code = SAY + "note(chr(10).join(os.environ)); say('READY=1'); signal.pause()"
    supervisor = Supervisor([spec("child", code, diary, env={"GIVEN": "password-of-child"})])

    async with running(supervisor):
        await supervisor.ready.wait()

    names = set(diary.read_text().split())
    assert {"GIVEN", "NOTIFY_SOCKET"} < names
    assert not names & {"CREDENTIALS_DIRECTORY", "SOME_TOKEN", "WATCHDOG_USEC"}
    assert "password-of-child" not in caplog.text + repr(supervisor._children[0].spec)


SUPERVISOR = """
import asyncio, sys
from gateway.supervision import ProcessSpec, Supervisor
async def main():
    argv = [sys.executable, "-c", sys.argv[1], sys.argv[2], "child"]
    supervisor = Supervisor([ProcessSpec("child", argv)])
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run(asyncio.Event()))
        await supervisor.ready.wait()
        print(supervisor.pids["child"], flush=True)
asyncio.run(main())
"""


async def test_children_die_with_a_killed_supervisor(diary):
    argv = [sys.executable, "-c", SUPERVISOR, IGNORES_SIGTERM, str(diary)]
    supervisor = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    assert supervisor.stdout
    pid = int(await supervisor.stdout.readline())
    assert is_alive(pid)

    supervisor.kill()
    await supervisor.wait()

    async with asyncio.timeout(10):
        await until(lambda: not is_alive(pid))
