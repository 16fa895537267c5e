"""Who may connect to the broker: Argon2id hashes on disk, principals computed from names.

Passwords are shown once when made and kept only as hashes; the gateway's own services read theirs
from files of mode 0600. There is no default password.
"""

import msgspec

from gateway.broker.passwords import generate_password, hash_password
from gateway.errors import SettingsError
from gateway.messaging.service_login import LEDGER, OPERATOR
from gateway.model import topics
from gateway.model.principal import Principal, PrincipalKind
from gateway.settings import Home, write_private


def service_principal(gateway: str, username: str) -> Principal | None:
    """Return the principal of one of the gateway's own services, or None."""
    if username == LEDGER:
        return Principal(
            name=LEDGER,
            kind=PrincipalKind.SERVICE,
            publish_filters=(
                topics.response(gateway, "ledger", "+"),
                topics.ledger_block(gateway),
            ),
            subscribe_filters=(topics.request(gateway, "ledger", "+"),),
        )
    if username == OPERATOR:
        return Principal(
            name=OPERATOR,
            kind=PrincipalKind.OPERATOR,
            publish_filters=(
                topics.request(gateway, "ledger", "+"),
                topics.request(gateway, "bridge", "+"),
            ),
            subscribe_filters=(f"{topics.ROOT}/{gateway}/#",),
        )
    return None


def device_principal(gateway: str, name: str, foreign_topics: tuple[str, ...]) -> Principal:
    """Return a device's principal: its own branch, and its profile's own topics, nothing else."""
    up = topics.device(gateway, name, "up")
    return Principal(
        name=name,
        kind=PrincipalKind.DEVICE,
        publish_filters=(
            up,
            topics.device(gateway, name, "availability"),
            topics.device(gateway, name, "set/result"),
            *foreign_topics,
        ),
        subscribe_filters=(topics.device(gateway, name, "#"),),
        telemetry_filters=(up, *foreign_topics),
    )


class CredentialFile:
    """`secrets/credentials.json`: user name to Argon2id hash string. Read again when it changes."""

    def __init__(self, home: Home) -> None:
        self._path = home.secrets / "credentials.json"
        self._hashes: dict[str, str] = {}
        self._stamp = (0, 0)

    def password_hash(self, username: str) -> bytes | None:
        """Return the hash string of a user, or None."""
        self._reload()
        text = self._hashes.get(username)
        return text.encode() if text is not None else None

    def hashes(self) -> dict[str, str]:
        """Return every user's hash string; raises `SettingsError` for a damaged file."""
        self._reload()
        return dict(self._hashes)

    def set_new_password(self, username: str) -> str:
        """Make a random password, keep its hash, and return it: the only time it is seen."""
        self._reload()
        password = generate_password()
        self._hashes[username] = hash_password(password).decode()
        self._save()
        return password

    def remove(self, username: str) -> None:
        """Forget a user."""
        self._reload()
        if self._hashes.pop(username, None) is not None:
            self._save()

    def _reload(self) -> None:
        try:
            status = self._path.stat()
            if (status.st_mtime_ns, status.st_ino) == self._stamp:
                return
            data = self._path.read_bytes()
        except FileNotFoundError:
            self._hashes, self._stamp = {}, (0, 0)
            return
        except OSError as error:
            raise SettingsError(f"{self._path}: cannot be read: {error.strerror}") from None
        try:
            self._hashes = msgspec.json.decode(data, type=dict[str, str])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SettingsError(
                f"{self._path}: not a map of user names to hashes; restore it from a backup"
            ) from None
        self._stamp = (status.st_mtime_ns, status.st_ino)

    def _save(self) -> None:
        try:
            write_private(self._path, msgspec.json.encode(self._hashes))
        except OSError as error:
            raise SettingsError(f"{self._path}: cannot be written: {error.strerror}") from None
