"""The home folder of a node and its settings file, `smartshare.toml`.

Every limit has a default; a key that is unknown or of the wrong kind is refused with one line that
names the file, the key and what to write.
"""

import fcntl
import os
import re
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from gateway.errors import SettingsError

PORT_MAX = 65_535
SETTINGS_BYTES_MAX = 256 * 1024  # a settings file is written by hand; anything larger is a mistake
_LISTEN = re.compile(
    r"(?P<host>[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?):(?P<port>[0-9]{1,5})", re.ASCII
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Home:
    """The folder that holds everything a node owns (`--home`)."""

    path: Path

    @property
    def settings(self) -> Path:
        """`smartshare.toml`."""
        return self.path / "smartshare.toml"

    @property
    def devices(self) -> Path:
        """`devices.toml`: the devices and the contract sessions they feed."""
        return self.path / "devices.toml"

    @property
    def genesis(self) -> Path:
        """`genesis.json`: the public first state of the chain."""
        return self.path / "genesis.json"

    @property
    def card(self) -> Path:
        """`card.json`: this node's public keys, for whoever founds a network with it."""
        return self.path / "card.json"

    @property
    def profiles(self) -> Path:
        """The owner's own device profiles, beside the ones that ship."""
        return self.path / "profiles"

    @property
    def secrets(self) -> Path:
        """Service passwords and credential hashes; mode 0700."""
        return self.path / "secrets"

    @property
    def grants(self) -> Path:
        """The grants that this node shows to others, where the network asks for them."""
        return self.path / "grants"

    @property
    def certificates(self) -> Path:
        """The gateway's own certificate authority and what it issued to the listeners."""
        return self.secrets / "tls"

    @property
    def broker_sessions(self) -> Path:
        """The database of MQTT sessions and retained messages."""
        return self.path / "gateway" / "sessions.db"

    @property
    def agent(self) -> Path:
        """The SmartAgent's folder; mode 0700."""
        return self.path / "agent"

    @property
    def agent_socket(self) -> Path:
        """The SmartAgent's Unix socket; mode 0600."""
        return self.run / "agent.sock"

    @property
    def readings(self) -> Path:
        """The readings database."""
        return self.path / "gateway" / "readings.db"

    @property
    def chain(self) -> Path:
        """The chain database."""
        return self.path / "ledger" / "chain.db"

    @property
    def trail(self) -> Path:
        """What a light node keeps: headers and certificates."""
        return self.chain.parent / "trail.db"

    @property
    def snapshots(self) -> Path:
        """What nodes that join may start from: the state at the newest epochs' ends."""
        return self.chain.parent / "snapshots"

    @property
    def run(self) -> Path:
        """What running processes tell each other: sockets and ports."""
        return self.path / "run"

    def create(self) -> None:
        """Make the folders, private ones with mode 0700."""
        for folder in (self.path, self.profiles, self.run):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.secrets, self.agent, self.readings.parent, self.chain.parent):
            folder.mkdir(mode=0o700, exist_ok=True)


class BrokerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[broker]`: listeners beside the plain one are off unless an address is given.

    `certificate_names` are names and addresses of this gateway that it does not know by itself. With
    `url` there is no broker of our own; files are found from the home folder.
    """

    listen: str = "127.0.0.1:1883"
    tls: str | None = None
    websocket: str | None = None
    websocket_tls: str | None = None
    origins: tuple[str, ...] = ()
    certificate_names: tuple[str, ...] = ()
    client_certificates: Literal["off", "required"] = "off"
    url: str | None = None
    login_file: str | None = None
    authority_file: str | None = None


class AnchoringSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[anchoring]`: a batch closes at whichever limit comes first."""

    readings_max: Annotated[int, Meta(ge=1, le=1000)] = 1000
    age_max_ms: Annotated[int, Meta(ge=100, le=3_600_000)] = 10_000


class DiscoverySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[discovery]`: mDNS announcement; without `interfaces`, every one but loopback."""

    enabled: bool = True
    interfaces: tuple[str, ...] = ()


class LedgerSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[ledger]`: where other nodes reach ours, and the nodes that ours dials.

    Without `listen` connections are outbound only, which is enough behind NAT. `archive_url_file` holds
    the URL of a PostgreSQL database into which the chain is followed. A node without a chain starts from a
    snapshot that stands on `checkpoint`, `EPOCH:HASH`; one that was away for too long needs a newer one. Of its
    blocks it keeps the newest `keep_blocks`, 0: all. With the role `light` it executes nothing and follows
    headers and certificates alone.
    """

    role: Literal["full", "light"] = "full"
    listen: str = ""
    peers: tuple[str, ...] = ()
    tls: bool = True
    cluster_url: str | None = None
    cluster_login_file: str | None = None
    cluster_authority_file: str | None = None
    archive_url_file: str = ""
    checkpoint: str = ""
    keep_blocks: Annotated[int, Meta(ge=0)] = 0


class MetricsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[metrics]`: where Prometheus may ask over HTTP; empty: nowhere."""

    listen: str = ""


class SimulationSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[simulation]`: gateway time runs `factor` times as fast from `start_ms` (Unix ms).

    `origin_ms` is the real time at which simulated time was `start_ms`.
    """

    start_ms: Annotated[int, Meta(ge=0)]
    origin_ms: Annotated[int, Meta(ge=0)]
    factor: Annotated[int, Meta(ge=1, le=100_000)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`smartshare.toml`."""

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z")]
    broker: BrokerSection = BrokerSection()
    anchoring: AnchoringSection = AnchoringSection()
    discovery: DiscoverySection = DiscoverySection()
    ledger: LedgerSection = LedgerSection()
    metrics: MetricsSection = MetricsSection()
    simulation: SimulationSection | None = None


def load_settings(home: Home) -> Settings:
    """Return the settings of a home folder; raises `SettingsError` with one line."""
    try:
        is_home = home.settings.exists()
    except OSError as error:
        raise SettingsError(f"{home.settings}: cannot be read: {error.strerror}") from None
    if not is_home:
        raise SettingsError(
            f"{home.path} is not a Smartshare home: no smartshare.toml; create one with "
            f"`smartshare init --home {home.path} --new-network`"
        )
    return load_toml(home.settings, Settings)


def load_toml(path: Path, kind: type[T]) -> T:
    """Return a TOML file as `kind`; raises `SettingsError` naming file, key and rule."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > SETTINGS_BYTES_MAX:
        raise SettingsError(f"{path}: {len(data)} bytes; at most {SETTINGS_BYTES_MAX} are read")
    try:
        table = tomllib.loads(data.decode())
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"{path}: nested too deeply") from None
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from None


def explain(error: msgspec.ValidationError) -> str:
    """Return msgspec's message with the key first: `broker.listen: Expected str, got int`."""
    text = str(error)
    message, _, place = text.partition(" - at `$")
    key = place.rstrip("`").lstrip(".")
    return f"{key}: {message}" if key else message


def parse_listen(text: str, *, port_min: int = 1) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`; raises `SettingsError`. Port 0 stands for any free one."""
    match = _LISTEN.fullmatch(text)
    if match is None or not port_min <= int(match["port"]) <= PORT_MAX:
        raise SettingsError(f"listen {text[:80]!r} is not HOST:PORT, for example 127.0.0.1:1883")
    return match["host"].strip("[]"), int(match["port"])


def broker_endpoint(settings: Settings) -> tuple[str, int]:
    """Return where processes on this machine reach the broker."""
    host, port = parse_listen(settings.broker.listen)
    return ("127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host), port  # noqa: S104 - compared, not bound


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, atomically and durably."""
    write_atomic(path, data, mode=0o600)


def _give_to_folder_owner(descriptor: int, folder: Path) -> None:
    """As root, let a file belong to its folder's owner, so that a service can still read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


@contextmanager
def editing(home: Home) -> Iterator[None]:
    """Hold the home's files for one change, so that two commands at once do not lose one."""
    descriptor = os.open(home.path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file so that readers and crashes see the old or the new content, never a mix."""
    # An unguessable name that must be new: in a shared folder nobody can plant a link there.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _give_to_folder_owner(descriptor, path.parent)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
