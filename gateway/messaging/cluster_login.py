"""How to reach an external broker: `[broker] url` with its login and authority files."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

from gateway.errors import SettingsError
from gateway.messaging.cluster_client import ClusterLogin
from gateway.settings import PORT_MAX, BrokerSection, Home

_PORTS = {"mqtt": 1883, "mqtts": 8883}
_LOGIN_BYTES_MAX = 4_096


def cluster_login(home: Home, section: BrokerSection, client_id: str) -> ClusterLogin:
    """Return the login of `section.url`; raises `SettingsError` with one line."""
    assert section.url is not None
    _check_alone(section)
    scheme, host, port = parse_broker_url(section.url)
    username = password = ""
    if section.login_file is not None:
        username, password = _read_login(home.path / section.login_file)
    tls = None
    if scheme == "mqtts":
        tls = _trust(home.path / section.authority_file if section.authority_file else None)
    return ClusterLogin(host, port, client_id, username, password, tls)


def parse_broker_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of `mqtt[s]://HOST[:PORT]`; raises `SettingsError`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.username is not None or parts.password is not None:
        raise SettingsError(
            "broker.url holds a user name: the settings are no place for secrets; put user name and "
            "password into a file, one a line, and name it in broker.login_file"
        )
    extra = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not parts.hostname or extra or port == 0:
        raise SettingsError(f"broker.url {url[:80]!r} is not mqtt://HOST:PORT or mqtts://HOST:PORT")
    assert port is None or port <= PORT_MAX
    return parts.scheme, parts.hostname, port or _PORTS[parts.scheme]


def _check_alone(section: BrokerSection) -> None:
    for name in ("tls", "websocket", "websocket_tls"):
        if getattr(section, name) is not None:
            raise SettingsError(
                f"broker.url and broker.{name} exclude each other: with an external broker this "
                "gateway has none of its own"
            )


def _read_login(path: Path) -> tuple[str, str]:
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path}: others may read it: run `chmod 600 {path}`")
        with path.open("rb") as file:
            lines = file.read(_LOGIN_BYTES_MAX).decode().splitlines()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8") from None
    if len(lines) != 2 or not lines[0]:
        raise SettingsError(
            f"{path}: write the user name in the first line, the password in the second"
        )
    return lines[0], lines[1]


def _trust(authority: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(authority) if authority else None)
    except OSError as error:
        raise SettingsError(
            f"{authority}: no certificates can be read from it: {error.strerror or error}"
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
