"""The seams of the gateway: small protocols that shell parts meet at, faked by name in tests."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from gateway.errors import Rejected
from gateway.health import Overload
from gateway.model.observation import Decoded, Observation, StoredReading
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


class DeviceMessages(msgspec.Struct, frozen=True, gc=False):
    """What an authenticated device published on one telemetry topic, in order; at least one message.

    A message that may come again stands alone, with a `note` of what tells it from a new one.
    """

    source: TelemetrySource
    device: str
    topic: str
    payloads: Sequence[bytes]
    note: StoreNote | None = None


class TelemetrySink(Protocol):
    """Takes devices' messages from the broker."""

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        """Take messages of any number of devices: many in one call cost the least.

        Messages of one device are stored in the order in which they are handed over.
        """
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

    def take(
        self, messages: Sequence[DeviceMessages], decoded: Sequence[Sequence[Decoded]]
    ) -> None:
        """Queue what was measured; `decoded` tells it of each of `messages`, payload by payload.

        Sources are told after the commit. A message that makes no reading is answered in its turn.
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
