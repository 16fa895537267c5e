"""Multicast DNS through zeroconf, on interfaces given by address: announce ourselves, find others."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from zeroconf import (
    DNSQuestionType,
    Error as ZeroconfError,
    IPVersion,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from gateway.discovery.announcement import (
    SERVICE_TYPE,
    Announcement,
    Found,
    format_instance_name,
    format_txt,
    node_fingerprint,
    parse_found,
)
from gateway.discovery.interfaces import find_addresses, is_own_address
from gateway.errors import DiscoveryError

FOUND_MAX = 256  # a stranger can announce any number of names
ADDRESSES_MAX = 8  # of one name

_RESOLVE_TIMEOUT_MS = 3_000
_HEAR_NAMES_S = 1.5  # RFC 6762 6: a record multicast a moment ago is repeated after a second

_log = logging.getLogger(__name__)


class Announcer:
    """An announcement on the air, for as long as the block of `announce` runs."""

    def __init__(
        self, zeroconf: AsyncZeroconf, addresses: Sequence[str], announcement: Announcement
    ) -> None:
        self._zeroconf = zeroconf
        self._addresses = addresses
        self._announcement = announcement
        self._name = format_instance_name(announcement.name)

    @property
    def name(self) -> str:
        """The instance name on the network: `-2` is added where another gateway has ours."""
        return self._name

    async def start(self) -> None:
        """Find a free name and announce it. Raises `DiscoveryError`."""
        with _as_discovery_errors("cannot announce", self._addresses):
            await self._hear_names()
            info = self._service_info()
            await (await self._zeroconf.async_register_service(info, allow_name_change=True))
        self._name = info.name.removesuffix("." + SERVICE_TYPE)

    async def update_height(self, height: int) -> None:
        """Tell the chain's height. Everybody on the network hears it: once a minute is often.

        Raises `DiscoveryError` where that fails: leave the block of `announce` and enter it anew.
        """
        if height != self._announcement.height:
            self._announcement = replace(self._announcement, height=height)
            with _as_discovery_errors("cannot announce a new height", self._addresses):
                await (await self._zeroconf.async_update_service(self._service_info()))

    async def _hear_names(self) -> None:
        """Fill the cache with the names in use, so that registration sees a conflict.

        The library's own probes ask for unicast answers, and of several responders on one machine
        only one receives those.
        """
        zeroconf = self._zeroconf.zeroconf
        await zeroconf.async_wait_for_start()
        browser = AsyncServiceBrowser(
            zeroconf, [SERVICE_TYPE], handlers=[_ignore], question_type=DNSQuestionType.QM
        )
        await asyncio.sleep(_HEAR_NAMES_S)
        await browser.async_cancel()

    def _service_info(self) -> AsyncServiceInfo:
        return AsyncServiceInfo(
            SERVICE_TYPE,
            f"{self._name}.{SERVICE_TYPE}",
            port=self._announcement.mqtt_port,
            properties=format_txt(self._announcement),
            # Not the machine's host name: two gateways may run on one, and avahi owns that name.
            server=f"smartshare-{node_fingerprint(self._announcement.node_id)}.local.",
            parsed_addresses=list(self._addresses),
        )


@asynccontextmanager
async def announce(
    announcement: Announcement, interfaces: Sequence[str] | None = None
) -> AsyncIterator[Announcer]:
    """Announce while the block runs, on these IPv4 addresses (None: all but loopback).

    Entering takes three to four seconds: finding a free name. Raises `DiscoveryError`.
    """
    addresses = _chosen(interfaces)
    async with _zeroconf(addresses) as zeroconf:
        announcer = Announcer(zeroconf, addresses, announcement)
        await announcer.start()
        yield announcer


async def discover(timeout_s: float, interfaces: Sequence[str] | None = None) -> list[Found]:
    """Return the gateways that answer within `timeout_s`, by name; raises `DiscoveryError`."""
    found: dict[str, Found] = {}
    async with _zeroconf(_chosen(interfaces)) as zeroconf, asyncio.TaskGroup() as tasks:
        resolving: dict[str, asyncio.Task[None]] = {}

        def on_change(name: str, state_change: ServiceStateChange, **_also_given: object) -> None:
            is_new = state_change is ServiceStateChange.Added and name not in resolving
            if is_new and len(resolving) < FOUND_MAX:
                resolving[name] = tasks.create_task(_resolve(zeroconf.zeroconf, name, found))

        browser = AsyncServiceBrowser(zeroconf.zeroconf, [SERVICE_TYPE], handlers=[on_change])
        await asyncio.sleep(timeout_s)
        await browser.async_cancel()
        for task in resolving.values():
            task.cancel()
    return sorted(found.values(), key=lambda gateway: gateway.name)


async def _resolve(zeroconf: Zeroconf, name: str, found: dict[str, Found]) -> None:
    """Ask for a name's records and keep what they say, if they say it in our version."""
    try:
        info = AsyncServiceInfo(SERVICE_TYPE, name)
        if not await info.async_request(zeroconf, _RESOLVE_TIMEOUT_MS):
            return
    except ZeroconfError as error:
        _log.debug("ignored a malformed mDNS name: %r", error)
        return
    instance = name.removesuffix("." + SERVICE_TYPE)
    addresses = tuple(sorted(info.parsed_addresses(IPVersion.V4Only))[:ADDRESSES_MAX])
    gateway = parse_found(instance, addresses, info.port or 0, info.properties)
    if gateway is not None:
        found[name] = gateway


def _ignore(**_change: object) -> None:
    """Listening is all: what is heard goes into the library's cache."""


def _chosen(interfaces: Sequence[str] | None) -> list[str]:
    with _as_discovery_errors("cannot list the networks", ["this machine"]):
        addresses = find_addresses() if interfaces is None else list(interfaces)
    if not addresses:
        raise DiscoveryError("no network interface has an IPv4 address: connect the network")
    for address in addresses:
        if not is_own_address(address):
            raise DiscoveryError(f"{address!r} is not an IPv4 address of this machine")
    return addresses


@asynccontextmanager
async def _zeroconf(addresses: list[str]) -> AsyncIterator[AsyncZeroconf]:
    with _as_discovery_errors("multicast DNS fails", addresses):
        zeroconf = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
    try:
        yield zeroconf
    finally:
        try:
            await zeroconf.async_close()
        except (ZeroconfError, OSError) as error:
            # Raised here, it would take the place of a cancellation or of the error that led here.
            _log.info("could not say goodbye by mDNS on %s: %r", ", ".join(addresses), error)


@contextmanager
def _as_discovery_errors(what: str, addresses: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except (ZeroconfError, OSError) as error:
        reason = str(error) or type(error).__name__  # some of the library's have no text
        raise DiscoveryError(f"{what} on {', '.join(addresses)}: {reason}") from None
