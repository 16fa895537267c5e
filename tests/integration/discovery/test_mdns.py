"""Announcing and finding over real multicast on the loopback interface."""

import asyncio

import pytest
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from gateway.discovery.announcement import (
    SERVICE_TYPE,
    Announcement,
    Found,
    node_fingerprint,
)
from gateway.discovery.mdns import announce, discover
from gateway.errors import DiscoveryError

pytestmark = [pytest.mark.integration, pytest.mark.slow]

LOOPBACK = ["127.0.0.1"]
LOOKS_MAX = 10


def announcement(name, node_id=b"n" * 32):
    return Announcement(
        name=name,
        node_id=node_id,
        chain_id=b"c" * 32,
        role="agent",
        version="0.1.0",
        mqtt_port=18_830,
        height=7,
    )


async def find(name, *, timeout_s=1.5, count=1, height=0):
    """Look until `count` gateways are heard, one of them at `height`: a busy machine answers late."""
    found: list[Found] = []
    for _ in range(LOOKS_MAX):
        heard = await discover(timeout_s, LOOPBACK)
        found = [one for one in heard if one.name.startswith(name)]
        if len(found) >= count and any(one.height >= height for one in found):
            break
    return found


async def test_an_announced_gateway_is_found_and_its_height_follows():
    async with announce(announcement("test 1.cellar"), LOOPBACK) as announcer:
        [found] = await find("test 1-cellar")
        assert announcer.name == found.name == "test 1-cellar"
        assert found.node == node_fingerprint(b"n" * 32)
        assert found.network == "63" * 8
        assert (found.addresses, found.port) == (("127.0.0.1",), 18_830)
        assert (found.role, found.version, found.height) == ("agent", "0.1.0", 7)

        await announcer.update_height(8)
        [found] = await find("test 1-cellar", height=8)
        assert found.height == 8


async def test_two_gateways_of_one_name_are_both_found():
    async with (
        announce(announcement("twin", b"1" * 32), LOOPBACK) as first,
        announce(announcement("twin", b"2" * 32), LOOPBACK) as second,
    ):
        assert (first.name, second.name) == ("twin", "twin-2")
        await second.update_height(9)

        found = await find("twin", count=2, height=9)

    assert {gateway.name: (gateway.node, gateway.height) for gateway in found} == {
        "twin": (node_fingerprint(b"1" * 32), 7),
        "twin-2": (node_fingerprint(b"2" * 32), 9),
    }


async def test_a_gateway_that_left_is_not_found():
    async with announce(announcement("leaver"), LOOPBACK):
        pass

    assert not [one for one in await discover(0.5, LOOPBACK) if one.name == "leaver"]


async def test_a_strangers_malformed_records_are_sanitised_or_ignored():
    texts = {
        "odd-empty": b"",
        "odd-binary": b"\x09txtvers=1\x08id=\xff\xfe\x1b[1\x0crole=\x1b[31mx\x00",
        "odd-length": b"\xfftxtvers=1",
        "odd-version": b"\x09txtvers=2",
    }
    zeroconf = AsyncZeroconf(interfaces=LOOPBACK, ip_version=IPVersion.V4Only)
    try:
        for name, text in texts.items():
            info = AsyncServiceInfo(
                SERVICE_TYPE,
                f"{name}.{SERVICE_TYPE}",
                port=1,
                properties=text,
                server="odd.local.",
                parsed_addresses=LOOPBACK,
            )
            await (await zeroconf.async_register_service(info, cooperating_responders=True))

        found = await find("odd", count=2)
    finally:
        await zeroconf.async_close()

    assert [gateway.name for gateway in found] == ["odd-binary", "odd-length"]
    assert [(gateway.node, gateway.role) for gateway in found] == [("", "[31mx"), ("", "")]


async def test_an_address_that_is_not_ours_is_one_line():
    with pytest.raises(DiscoveryError, match=r"203\.0\.113\.9") as caught:
        await discover(0.1, ["203.0.113.9"])

    assert "\n" not in str(caught.value)


async def test_discovery_keeps_to_its_time():
    async with asyncio.timeout(2):
        await discover(0.2, LOOPBACK)
