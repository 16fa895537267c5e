"""A network that fails under mDNS: one kind of error, so that the caller can try again."""

import asyncio

import pytest
from zeroconf import NotRunningException
from zeroconf.asyncio import AsyncZeroconf

from gateway.discovery import mdns
from gateway.discovery.announcement import Announcement
from gateway.discovery.mdns import announce
from gateway.errors import DiscoveryError

LOOPBACK = ["127.0.0.1"]
ANNOUNCEMENT = Announcement(
    name="failing",
    node_id=b"n" * 32,
    chain_id=b"c" * 32,
    role="agent",
    version="0.1.0",
    mqtt_port=18_830,
)
FAILURES = [OSError(101, "Network is unreachable"), NotRunningException(), TimeoutError()]


def failing(error):
    async def fail(*_given, **_also_given):
        raise error

    return fail


async def nothing(*_given, **_also_given):
    """Registered at once: the network's part of it is tested over real multicast."""
    return asyncio.sleep(0)


@pytest.fixture(autouse=True)
def _no_listening_for_names(monkeypatch):
    monkeypatch.setattr(mdns, "_HEAR_NAMES_S", 0.0)


@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_a_failing_announcement_is_one_line(monkeypatch, error):
    monkeypatch.setattr(AsyncZeroconf, "async_register_service", failing(error))

    with pytest.raises(DiscoveryError, match=r"cannot announce on 127\.0\.0\.1: \S"):
        async with announce(ANNOUNCEMENT, LOOPBACK):
            pytest.fail("it was announced")


@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_a_failing_height_is_one_line(monkeypatch, error):
    monkeypatch.setattr(AsyncZeroconf, "async_register_service", nothing)
    monkeypatch.setattr(AsyncZeroconf, "async_update_service", failing(error))

    async with announce(ANNOUNCEMENT, LOOPBACK) as announcer:
        await announcer.update_height(0)
        with pytest.raises(DiscoveryError, match=r"a new height on 127\.0\.0\.1: \S"):
            await announcer.update_height(8)


async def test_no_list_of_interfaces_is_one_line(monkeypatch):
    def fail():
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(mdns, "find_addresses", fail)

    with pytest.raises(DiscoveryError, match="Too many open files"):
        async with announce(ANNOUNCEMENT):
            pytest.fail("it was announced")


async def test_a_failing_goodbye_does_not_hide_why_the_block_ended(monkeypatch):
    closed = AsyncZeroconf.async_close

    async def close(zeroconf):
        await closed(zeroconf)
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(AsyncZeroconf, "async_register_service", nothing)
    monkeypatch.setattr(AsyncZeroconf, "async_close", close)

    with pytest.raises(ZeroDivisionError):
        async with announce(ANNOUNCEMENT, LOOPBACK):
            raise ZeroDivisionError
