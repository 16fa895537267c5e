import asyncio
import os
import socket

import pytest

from gateway.sd_notify import Notifier, run_watchdog


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """The service manager's end: a datagram socket and the NOTIFY_SOCKET that names it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(5)
        if request.param == "path":
            receiver.bind(str(tmp_path / "notify"))
            yield receiver, str(tmp_path / "notify")
        else:
            receiver.bind("")  # the kernel picks an abstract name
            yield receiver, "@" + receiver.getsockname()[1:].decode()


def test_messages_are_those_of_sd_notify(manager):
    receiver, address = manager
    notifier = Notifier({"NOTIFY_SOCKET": address})

    notifier.ready("listening on 1883")
    notifier.status("12 devices\nREADY=0")
    notifier.watchdog()
    notifier.stopping()

    assert [receiver.recv(1000) for _ in range(4)] == [
        b"READY=1\nSTATUS=listening on 1883",
        b"STATUS=12 devices READY=0",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_without_a_manager_nothing_happens(caplog):
    notifier = Notifier({"WATCHDOG_USEC": "1000000"})

    notifier.ready()

    assert notifier.watchdog_interval_s is None
    assert not caplog.records


def test_a_vanished_manager_is_logged_and_harms_nobody(tmp_path, caplog):
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready()

    assert "cannot notify the service manager" in caplog.text


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({}, None),
    ],
)
def test_pings_are_due_at_half_the_managers_timeout(environ, interval_s):
    assert Notifier({"NOTIFY_SOCKET": "@x"} | environ).watchdog_interval_s == interval_s


async def test_pings_stop_while_unhealthy_and_it_is_said_once(caplog):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as receiver:
        receiver.bind("")
        address = "@" + receiver.getsockname()[1:].decode()
        notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000"})
        health = iter([True, True, False, False, False, True])
        asked_all = asyncio.Event()

        def is_healthy():
            answer = next(health, None)
            if answer is None:
                asked_all.set()
            return bool(answer)

        async with asyncio.TaskGroup() as tasks:
            watchdog = tasks.create_task(run_watchdog(notifier, is_healthy))
            await asyncio.wait_for(asked_all.wait(), 5)
            watchdog.cancel()

        assert [receiver.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        with pytest.raises(BlockingIOError):
            receiver.recv(100)
    assert caplog.text.count("watchdog pings withheld") == 2, "once for each time it fell ill"


async def test_no_watchdog_no_task():
    async with asyncio.timeout(1):
        await run_watchdog(Notifier({}), lambda: pytest.fail("nobody asked"))
