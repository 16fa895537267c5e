"""The broker alone: no devices, no readings, no ledger; for tests, benchmarks and plain MQTT.

Everybody who is let in may use every topic but those that begin with `$`.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.app.credentials import CredentialFile
from gateway.app.listeners import build_endpoints, needs_certificates, open_certificates
from gateway.broker.broker import EmbeddedBroker
from gateway.broker.durable.journal import SqliteJournal
from gateway.broker.endpoints import Endpoint
from gateway.broker.passwords import USERNAME_LENGTH_MAX, CredentialAuthenticator
from gateway.broker.settings import BrokerSettings
from gateway.clock import SystemClock
from gateway.errors import BrokerError, SettingsError
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import Authenticator, DeviceMessages
from gateway.sd_notify import Notifier, run_watchdog
from gateway.settings import BrokerSection, Home

ANONYMOUS = "anonymous"
CLIENTS_MAX = 10_000  # as far as the limit of open files allows
QUEUE_MESSAGES_MAX = (
    10_000  # per session: a user of a plain broker expects no readings store behind
)
_NAME = "broker"  # in its certificates, and where a gateway's name would stand in topics
ACCESS_INTERVAL_S = 1.0  # how long a withdrawn password may live on


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """What to run. Users and sessions are in `home`; without, sessions end with the process."""

    section: BrokerSection
    home: Home | None
    is_anonymous: bool


def check_plan(plan: BrokerPlan) -> None:
    """Raise `SettingsError` where strangers would be let in."""
    if plan.is_anonymous:
        for endpoint in build_endpoints(plan.section, None, port_min=0):
            if not _is_loopback(endpoint.host):
                raise SettingsError(
                    f"--anonymous lets everybody in, so it listens on loopback only, not on "
                    f"{endpoint.host}: use 127.0.0.1, or users with --home DIR"
                )
    elif plan.home is None:
        raise SettingsError(
            "who may connect? add --home DIR with users (`smartshare broker user add NAME "
            "--home DIR`), or --anonymous on loopback"
        )
    if needs_certificates(plan.section) and plan.home is None:
        raise SettingsError("TLS needs certificates, and they need a place: add --home DIR")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_user_name(name: str) -> None:
    """Raise `SettingsError` unless `name` can name a user."""
    if not name.isascii() or not name.isprintable() or not 0 < len(name) <= USERNAME_LENGTH_MAX:
        raise SettingsError(
            f"user name {name[:40]!r}: use 1 to {USERNAME_LENGTH_MAX} printable ASCII characters"
        )
    if name.startswith("_"):
        raise SettingsError(f"user name {name!r}: names that begin with _ belong to the gateway")


async def run_broker(
    plan: BrokerPlan,
    notifier: Notifier,
    stop: asyncio.Event,
    on_ready: Callable[[tuple[str, ...]], None],
) -> None:
    """Serve until `stop` is set; `on_ready` gets the addresses with their real ports."""
    check_plan(plan)
    clock = SystemClock()
    certificates = None
    if plan.home is not None and needs_certificates(plan.section):
        certificates = open_certificates(plan.home, _NAME, plan.section, clock)
    context = certificates.context if certificates is not None else None
    endpoints = build_endpoints(plan.section, context, port_min=0)
    credentials = CredentialFile(plan.home) if plan.home is not None else None
    passwords = (
        CredentialAuthenticator(credentials, user_principal, clock)
        if credentials is not None and not plan.is_anonymous
        else None
    )
    journal = open_journal(plan.home) if plan.home is not None else None
    broker = EmbeddedBroker(
        _settings(endpoints),
        passwords or _LetEverybodyIn(),
        _NoTelemetry(),
        clock,
        journal=journal,
    )
    try:
        await broker.start()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run_watchdog(notifier, lambda: True))]
            if journal is not None:
                tasks.append(group.create_task(journal.watch()))
            if passwords is not None and credentials is not None:
                tasks.append(group.create_task(_enforce_passwords(broker, credentials)))
            if certificates is not None:
                tasks.append(group.create_task(certificates.keep_fresh(clock)))
            addresses = zip(endpoints, broker.ports, strict=True)
            on_ready(tuple(endpoint.address(port) for endpoint, port in addresses))
            notifier.ready(f"MQTT on {plan.section.listen}")
            await stop.wait()
            notifier.stopping()
            for task in tasks:
                task.cancel()
    finally:
        await broker.stop()
        if journal is not None:
            journal.close()
        if passwords is not None:
            passwords.close()


def open_journal(home: Home) -> SqliteJournal:
    """Return the journal of a home's broker; its folder is made. Raises `BrokerError`."""
    folder = home.broker_sessions.parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BrokerError(f"{folder}: cannot be made: {error.strerror}") from None
    return SqliteJournal(home.broker_sessions)


def user_principal(name: str) -> Principal:
    """Return the principal of a user: every topic, and what the broker tells of itself."""
    return Principal(name, PrincipalKind.USER, ("#",), ("#", "$SYS/#"))


async def _enforce_passwords(broker: EmbeddedBroker, credentials: CredentialFile) -> None:
    """End the sessions of users whose password was changed or removed."""
    known = credentials.hashes()
    while True:
        await asyncio.sleep(ACCESS_INTERVAL_S)
        hashes = credentials.hashes()
        changed = [name for name, one in known.items() if hashes.get(name) != one]
        if changed:
            broker.disconnect(changed)
        known = hashes


def _settings(endpoints: tuple[Endpoint, ...]) -> BrokerSettings:
    """One user may be all there is, on one address, so no share of a user or address is smaller."""
    first, *others = endpoints
    limits = BrokerSettings(gateway=_NAME)
    return BrokerSettings(
        gateway=_NAME,
        host=first.host,
        port=first.port,
        more_endpoints=tuple(others),
        connections_max=CLIENTS_MAX,
        connections_per_address_max=CLIENTS_MAX,
        unauthenticated_max=CLIENTS_MAX,
        unauthenticated_per_address_max=CLIENTS_MAX,
        live_sessions_per_service_max=CLIENTS_MAX,
        offline_sessions_max=CLIENTS_MAX,
        offline_sessions_per_principal_max=CLIENTS_MAX,
        queue_messages_max=QUEUE_MESSAGES_MAX,
        retained_per_principal_max=limits.retained_max,
        retained_bytes_per_principal_max=limits.retained_bytes_max,
    )


class _LetEverybodyIn(Authenticator):
    """Authentication of a demonstration on loopback."""

    async def authenticate(
        self,
        client_id: str,  # noqa: ARG002 - the port's signature
        username: str,  # noqa: ARG002 - as above
        password: bytes,  # noqa: ARG002 - as above
        address: str,  # noqa: ARG002 - as above
    ) -> Principal:
        return user_principal(ANONYMOUS)


class _NoTelemetry:
    """No user of this broker has topics that are readings."""

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        raise AssertionError(messages[0].topic)
