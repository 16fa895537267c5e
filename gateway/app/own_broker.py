"""The gateway's own broker, put together: listeners, credentials, sessions on disk."""

import asyncio
from collections.abc import Callable

from gateway.app.credentials import CredentialFile, service_principal
from gateway.app.devices import DeviceSet
from gateway.app.listeners import build_endpoints, needs_certificates, open_certificates
from gateway.broker.broker import EmbeddedBroker
from gateway.broker.durable.journal import SqliteJournal
from gateway.broker.passwords import CredentialAuthenticator
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.health import Overload
from gateway.model.principal import Principal
from gateway.readings.store import ReadingsStore
from gateway.settings import Home, Settings

ACCESS_INTERVAL_S = 1.0  # how long a withdrawn right may live on


class OwnBroker:
    """A `GatewayBroker` that devices connect to. Create it in a running event loop."""

    def __init__(
        self, home: Home, settings: Settings, devices: DeviceSet, store: ReadingsStore
    ) -> None:
        self._gateway = settings.name
        self._devices = devices
        self._credentials = CredentialFile(home)
        self._clock = SystemClock()
        self._access_problem = ""
        self._authenticator = CredentialAuthenticator(
            self._credentials, self._principal, self._clock
        )
        section = settings.broker
        self._certificates = (
            open_certificates(home, settings.name, section, self._clock)
            if needs_certificates(section)
            else None
        )
        context = self._certificates.context if self._certificates is not None else None
        self._journal = SqliteJournal(home.broker_sessions)
        plain, *others = build_endpoints(section, context)
        self._broker = EmbeddedBroker(
            BrokerSettings(settings.name, plain.host, plain.port, tuple(others)),
            self._authenticator,
            devices,
            self._clock,
            journal=self._journal,
            exchange_store=store.exchanges,
        )
        self.place = section.listen

    @property
    def port(self) -> int:
        """The port that is announced: that of the plain listener."""
        return self._broker.port

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return self._broker.counters.connections

    @property
    def rejected(self) -> int:
        """How many readings were not stored."""
        return self._broker.counters.rejected

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each."""
        own = filter(None, (self._access_problem, self._journal.problem))
        return (*own, *self._broker.problems)

    @property
    def overload(self) -> Overload:
        """What was too much for it, in numbers and names."""
        return self._broker.overload

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as the gateway itself, at QoS 1."""
        self._broker.publish(topic, payload, retain=retain)

    def add_listener(self, topic_filter: str, callback: Callable[[str, bytes], None]) -> None:
        """Call `callback(topic, payload)` for each message that matches."""
        self._broker.add_listener(topic_filter, callback)

    async def start(self) -> None:
        """Take up the sessions and listen; raises `BrokerError`."""
        await self._broker.start()

    async def run(self) -> None:
        """Enforce access until cancelled; raises `BrokerError` when sessions cannot be kept any more."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._journal.watch())
            group.create_task(self._enforce_access())
            if self._certificates is not None:
                group.create_task(self._certificates.keep_fresh(self._clock))

    async def stop(self) -> None:
        """End all connections and write what waits."""
        await self._broker.stop()
        self._journal.close()
        self._authenticator.close()

    def _principal(self, username: str) -> Principal | None:
        return service_principal(self._gateway, username) or self._devices.principal(username)

    async def _enforce_access(self) -> None:
        """End the connections of those whose password or rights are no longer what they were."""
        known: dict[str, str] = {}
        while True:
            self._broker.recheck(lambda peer: self._principal(peer.name) == peer)
            try:
                hashes = self._credentials.hashes()
            except SettingsError as error:
                self._access_problem = str(error)
            else:
                self._access_problem = ""
                changed = [name for name, one in known.items() if hashes.get(name) != one]
                if changed:
                    self._broker.disconnect(changed)
                known = hashes
            await asyncio.sleep(ACCESS_INTERVAL_S)
