"""The seams of the gateway: small protocols that shell parts meet at, faked by name in tests."""

from collections.abc import Callable
from typing import Protocol

from gateway.errors import Rejected
from gateway.model.observation import DeviceMessage, Observation, StoredReading
from gateway.model.principal import Principal

MessageDone = Callable[[Rejected | None], None]
StoreDone = Callable[[StoredReading | Rejected], None]


class Authenticator(Protocol):
    """Decides who a connection is. Called before any session of that client is touched."""

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        """Return the principal, or None to refuse; `address` is the peer's.

        Raises `AuthenticatorBusyError` when it cannot tell now.
        """
        ...


class TelemetrySink(Protocol):
    """Takes devices' messages from the broker."""

    def accept(self, message: DeviceMessage, done: MessageDone) -> None:
        """Take one message; call `done` on the event loop once it is on disk, or refused.

        Messages of one device are stored in the order in which they are handed over.
        """
        ...


class ObservationSink(Protocol):
    """Takes decoded observations from connectors: the readings store."""

    def submit(self, observation: Observation, done: StoreDone) -> None:
        """Queue one observation; call `done` on the event loop after its commit, or refused."""
        ...


class PasswordCheck(Protocol):
    """A stored credential of a device or service."""

    def password_hash(self, username: str) -> bytes | None:
        """Return the Argon2id hash string of a user's password, or None for an unknown user."""
        ...
