"""A client's connection as a script: bytes in, bytes and steps out; the broker's core is the real one.

The store, the journal, the clock and the socket are played by the script.
"""

import itertools
from collections.abc import Sequence

from gateway.broker.changes import Change, StoredState
from gateway.broker.codec import wire
from gateway.broker.codec.packets import Connect
from gateway.broker.codec.reasons import Reason
from gateway.broker.core import BrokerCore
from gateway.broker.link import ClientLink, LinkContext
from gateway.broker.message import Message
from gateway.broker.ports import CommitDone, ExchangeStore, SessionJournal, VolatileJournal
from gateway.broker.settings import BrokerSettings
from gateway.errors import Rejected, RejectReason
from gateway.model.observation import DeviceMessage
from gateway.model.principal import Principal, PrincipalKind
from gateway.ports import DeviceMessages, TelemetrySink, TelemetrySource
from ledger.types.reading import ClockStatus
from tests.support.mqtt import encode_ack, encode_publish

NAMES = itertools.count()
LIMITS = BrokerSettings("gw1", pending_messages_max=4)
METER = Principal(
    "meter", PrincipalKind.DEVICE, ("up/#", "cmd"), ("down/#",), telemetry_filters=("up/#",)
)
READER = Principal("reader", PrincipalKind.SERVICE, ("#",), ("#",))
CONNECT = b"\x10\x0d\0\4MQTT\4\2\0\0\0\1c"
KEPT = CONNECT.replace(b"\4\2", b"\4\0", 1)
ACCEPTED = b"\x20\2\0\0"
POISON = Rejected(RejectReason.MALFORMED, "not JSON")
NO_DISK = Rejected(RejectReason.STORE_FAILED, "disk full")


class Clock:
    """Stands still until the script moves it."""

    def __init__(self) -> None:
        self.ms = 1_700_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic_ns(self) -> int:
        return self.ms * 1_000_000

    def status(self) -> ClockStatus:
        return ClockStatus.SYNCHRONISED

    def is_synchronised(self) -> bool:
        return True


class Sink:
    """Holds readings until the script says how each ended."""

    def __init__(self) -> None:
        self.held: list[tuple[DeviceMessage, TelemetrySource]] = []

    def accept(self, messages: Sequence[DeviceMessages]) -> None:
        for one in messages:
            for payload in one.payloads:
                self.held.append((DeviceMessage(one.device, one.topic, payload), one.source))

    def finish(self, refusal: Rejected | None = None) -> None:
        _, source = self.held.pop(0)
        if refusal is None:
            source.settled(1)
        else:
            source.refused(refusal)


class Journal:
    """A durable `SessionJournal` whose disk is as slow as the script wants."""

    is_durable = True

    def __init__(self, stored: StoredState | None = None) -> None:
        self.stored = stored or StoredState()
        self.changes: list[Change] = []
        self.waiting: list[CommitDone] = []

    def load(self) -> StoredState:
        return self.stored

    def record(self, change: Change) -> None:
        self.changes.append(change)

    def commit(self, done: CommitDone) -> None:
        self.waiting.append(done)

    def flush(self, failure: str | None = None) -> None:
        while self.waiting:
            self.waiting.pop(0)(failure)

    def take(self) -> list[Change]:
        changes, self.changes = self.changes, []
        return changes


class Reporter:
    def __init__(self) -> None:
        self.reports: list[str] = []

    def rejected(self, principal: Principal, topic: str, refusal: Rejected) -> None:
        self.reports.append(f"{principal.name} {topic} {refusal.reason.value}")

    def denied(self, principal: Principal, action: str, topic: str) -> None:
        self.reports.append(f"{principal.name} {action} {topic}")

    def closed(self, principal: Principal, reason: str) -> None:
        self.reports.append(f"{principal.name} closed")

    def throttled(self, principal: Principal) -> None:
        self.reports.append(f"{principal.name} throttled")

    def refused(self, address: str, reason: Reason) -> None:
        self.reports.append(f"{address} {reason.name}")

    def authenticator_failed(self, error: Exception) -> None:
        self.reports.append(str(error))


def make_core(
    limits: BrokerSettings = LIMITS,
    sink: TelemetrySink | None = None,
    reporter: Reporter | None = None,
    clock: Clock | None = None,
    journal: SessionJournal | None = None,
    exchanges: ExchangeStore | None = None,
) -> BrokerCore:
    return BrokerCore(
        limits,
        sink or Sink(),
        reporter or Reporter(),
        clock or Clock(),
        journal or VolatileJournal(),
        exchange_store=exchanges,
    )


class Script:
    """A link, with its shell's side played here."""

    def __init__(self, core: BrokerCore | None = None) -> None:
        self.sink = Sink()
        self.reporter = Reporter()
        self.core = core or make_core(LIMITS, self.sink, self.reporter)
        self.sent: list[bytes] = []
        self.closed_for: str | None = None
        self.is_held = False
        self.asked: Connect | None = None
        self.link = ClientLink(LinkContext(self.core, lambda: f"auto-{next(NAMES)}"), self)

    def send(self, data: bytes) -> None:
        if self.closed_for is None:
            self.sent.append(data)

    def send_now(self, data: bytes) -> None:
        self.send(data)

    def room(self) -> int:
        return 65_536 if self.closed_for is None else 0

    def close(self, reason: str) -> None:
        if self.closed_for is None:
            self.closed_for = reason
            self.link.closed()

    def hold(self) -> None:
        self.is_held = True

    def release(self) -> None:
        self.is_held = False
        self.link.resume()

    def is_closed(self) -> bool:
        return self.closed_for is not None

    def authenticate(self, connect: Connect) -> None:
        self.asked = connect

    def connect(self, principal: Principal, packet: bytes = CONNECT) -> "Script":
        """Connect and take CONNACK away; what follows it stays."""
        self.link.receive(packet)
        self.link.admit(principal)
        journal = self.core.recorder._journal
        if not self.sent and not isinstance(journal, VolatileJournal):
            journal.flush()  # type: ignore[attr-defined]  # a session that is to last waits for it
        connack = self.sent.pop(0)
        assert connack[0] == 0x20
        assert connack[3] == 0, "refused"
        return self

    def take(self) -> list[bytes]:
        sent, self.sent = self.sent, []
        return sent


def publish(topic: str, text: str, qos: int = 0, packet_id: int = 0, retain: bool = False) -> bytes:
    return encode_publish(Message(topic, text.encode(), qos, retain), qos, packet_id)


def puback(packet_id: int) -> bytes:
    return encode_ack(wire.PUBACK, packet_id)


def subscribe(topic_filter: str, qos: int) -> bytes:
    raw = topic_filter.encode()
    body = b"\0\1" + len(raw).to_bytes(2, "big") + raw + bytes((qos,))
    return bytes((0x82, len(body))) + body
