"""The seams of the gateway: small protocols that shell parts meet at, faked by name in tests."""

from collections.abc import Callable
from typing import Protocol

from gateway.errors import Rejected
from gateway.health import Overload
from gateway.model.observation import Measured, Observation, StoredReading
from gateway.model.principal import Principal

StoreDone = Callable[[StoredReading | Rejected], None]
StoreNote = Callable[[], None]
"""Called right before the store queues a reading, and only if it does: what it adds to the store's
queue is written in the commit of that reading."""


class Authenticator(Protocol):
    """Decides who a connection is. Called before any session of that client is touched."""

    async def authenticate(
        self, client_id: str, username: str, password: bytes, address: str
    ) -> Principal | None:
        """Return the principal, or None to refuse; `address` is the peer's.

        Raises `AuthenticatorBusyError` when it cannot tell now.
        """
        ...


class TelemetrySource(Protocol):
    """Who hands messages over, such as one connection, and is told what became of them.

    Every message is answered exactly once, in the order in which this source handed them over,
    on the event loop and never while it hands one over.
    """

    def settled(self, count: int) -> None:
        """The oldest `count` messages without an answer need no more: on disk, or without readings."""
        ...

    def refused(self, refusal: Rejected) -> None:
        """The oldest message without an answer is not stored."""
        ...


class TelemetrySink(Protocol):
    """Takes devices' messages from the broker."""

    def accept(self, source: TelemetrySource, device: str, topic: str, payload: bytes) -> None:
        """Take one message that an authenticated device published on a telemetry topic.

        Messages of one device are stored in the order in which they are handed over.
        """
        ...


class NotingSink(TelemetrySink, Protocol):
    """Takes messages that may come again, with what tells them from new ones."""

    def accept_once(
        self, source: TelemetrySource, device: str, topic: str, payload: bytes, note: StoreNote
    ) -> None:
        """Take one message like `accept`, and what `note` adds together with its reading."""
        ...


class MessageBroker(Protocol):
    """The gateway's way to everybody else; for the event loop's thread."""

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish as the gateway itself, at QoS 1."""
        ...

    def add_listener(self, topic_filter: str, callback: Callable[[str, bytes], None]) -> None:
        """Call `callback(topic, payload)` for each message that matches."""
        ...


class GatewayBroker(MessageBroker, Protocol):
    """What the gateway process asks of its broker, its own or an external one."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    @property
    def port(self) -> int:
        """The port that is announced."""

    @property
    def connections(self) -> int:
        """How many clients are connected here."""

    @property
    def rejected(self) -> int:
        """How many messages of devices were not stored."""

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong, a line each."""

    @property
    def overload(self) -> Overload:
        """What was too much for it."""

    async def start(self) -> None:
        """Begin to serve."""

    async def run(self) -> None:
        """Work until cancelled; raises a `GatewayError` when it can serve no more."""

    async def stop(self) -> None:
        """End, also where `start` failed."""


class MeasuredSink(Protocol):
    """Takes from connectors what they decoded, many messages a commit: the readings store."""

    def take(self, source: TelemetrySource, device: str, measured: Measured) -> None:
        """Queue what was measured; `source` is told after its commit."""
        ...

    def take_once(
        self, source: TelemetrySource, device: str, measured: Measured, note: StoreNote
    ) -> None:
        """Queue what was measured, together with what `note` adds."""
        ...

    def pass_over(self, source: TelemetrySource, refusal: Rejected | None) -> None:
        """Answer a message that makes no reading when it is its turn; None: there is nothing wrong."""
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
