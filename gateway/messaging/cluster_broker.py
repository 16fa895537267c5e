"""An external MQTT broker in place of the embedded one: the same pipeline on somebody else's cluster.

Rule 1: a device's message is acknowledged when its readings are on disk; until then the cluster
keeps it, over its restarts and ours.
Rule 2: what it sends again is stored once: see `redelivery`.
Rule 3: who may publish to a device's topics is the cluster's to decide: its ACL stands in for ours.
Rule 4: retained messages on telemetry topics are passed over: they come again with each connection.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import msgspec

from gateway.errors import Rejected, RejectReason
from gateway.messaging.cluster_client import ClusterClient, ClusterLogin, ClusterMessage
from gateway.messaging.redelivery import Arrival, DeliveryBook, Verdict, compute_digest
from gateway.model import topics
from gateway.ports import DeviceMessages, TelemetrySink

_log = logging.getLogger(__name__)

WAITING_MAX = 10_000  # messages at the store; QoS 0 beyond is dropped, as MQTT allows
_DEVICES_REMEMBERED = 4_096  # topics whose device was found
_STORE_FAILURES = (RejectReason.STORE_FAILED, RejectReason.OVERLOADED)

Listener = Callable[[str, bytes], None]
Telemetry = Callable[[], Mapping[str, str]]
"""Topic filters of telemetry, each with the device whose readings come there."""


class DeliveryNotes(Protocol):
    """Keeps digests beside the readings."""

    def load(self) -> dict[int, bytes]:
        """Return packet ids and digests."""
        ...

    def note(self, packet_id: int, digest: bytes, forgotten: list[int]) -> None:
        """Keep a digest in the commit of what the store takes next, and remove the forgotten."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A message at the store; `arrival` is None for QoS 0."""

    device: str
    topic: str
    arrival: Arrival | None


class ClusterBroker:
    """A client with the face of a broker. Create it in a running event loop."""

    def __init__(
        self,
        login: ClusterLogin,
        gateway: str,
        sink: TelemetrySink,
        notes: DeliveryNotes,
        telemetry: Telemetry,
    ) -> None:
        self.rejected = 0
        self.dropped = 0
        self.problem = f"the external broker {login.host}:{login.port} is not reached yet"
        self._login = login
        self._gateway = gateway
        self._sink = sink
        self._notes = notes
        self._telemetry = telemetry
        self._filters: dict[str, str] = {}
        self._devices: dict[str, str | None] = {}  # topic -> device, as far as it was looked up
        self._listeners: list[tuple[str, Listener]] = []
        self._book = DeliveryBook({})
        self._waiting: deque[_Waiting] = deque()
        self._newest: dict[str, bytes] = {}
        self._confirming: dict[int, list[Arrival]] = {}
        self._is_connected = False
        self._is_dropping = False
        self._is_told = False
        self._client = ClusterClient(login, self)

    @property
    def is_connected(self) -> bool:
        """Whether a connection stands."""
        return self._is_connected

    def start(self) -> None:
        """Connect in the background; raises `StoreError`."""
        self._book = DeliveryBook(self._notes.load())
        self._filters = dict(self._telemetry())
        self._client.start()

    async def stop(self) -> None:
        """Disconnect."""
        await asyncio.to_thread(self._client.stop)

    def update_telemetry(self) -> None:
        """Subscribe to what devices publish now, and no more to what none does."""
        filters = dict(self._telemetry())
        if filters == self._filters:
            return
        gone = self._filters.keys() - filters.keys()
        new = filters.keys() - self._filters.keys()
        self._filters = filters
        self._devices.clear()
        if self._is_connected:
            self._client.unsubscribe(gone)
            self._client.subscribe(new)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish at QoS 1; while there is no connection, of a retained topic only the newest waits."""
        if retain:
            self._newest[topic] = payload  # an empty one too: it removes what the broker holds
        if self._is_connected or not retain:
            self._send(topic, payload, retain=retain)

    def add_listener(self, topic_filter: str, callback: Listener) -> None:
        """Call `callback(topic, payload)` for each message that matches."""
        self._listeners.append((topic_filter, callback))
        if self._is_connected:
            self._client.subscribe((topic_filter,))

    def connected(self, *, is_resumed: bool) -> None:
        """A connection stands: ask for everything again; the broker may be another by now."""
        self._is_connected = True
        self._is_dropping = self._is_told = False
        self.problem = ""
        _log.info("connected to the external broker %s:%d", self._login.host, self._login.port)
        self._confirming.clear()
        self._book.connected(is_resumed=is_resumed)
        self._client.subscribe([*self._filters, *(one for one, _ in self._listeners)])
        for topic, payload in list(self._newest.items()):
            self._send(topic, payload, retain=True)

    def disconnected(self, reason: str) -> None:
        """The connection is over: what was not acknowledged comes again."""
        place = f"{self._login.host}:{self._login.port}"
        if not self._is_told:
            self._is_told = True  # one line, however often it is tried
            _log.warning("the external broker %s is away: %s", place, reason)
        self.problem = f"the external broker {place} is away ({reason}): devices cannot be heard"
        self._is_connected = False
        self._confirming.clear()

    def published(self, message_id: int) -> None:
        """The broker answered: it has every PUBACK that we sent before."""
        self._book.confirmed(self._confirming.pop(message_id, []))

    def message(self, message: ClusterMessage) -> None:
        """Hand a message to the store or to those who listen."""
        if self._is_dropping:
            return  # it comes again
        device = self._device_of(message.topic)
        if device is None or message.is_retained:
            self._pass_to_listeners(message)
        elif message.packet_id == 0:
            if len(self._waiting) >= WAITING_MAX:
                self.dropped += 1
            else:
                self._store(message, device, None)
        else:
            self._take(message, device)

    def settled(self, count: int) -> None:
        """The oldest `count` messages are on disk, or have no readings."""
        for _ in range(count):
            self._acknowledge(self._waiting.popleft().arrival)

    def refused(self, refusal: Rejected) -> None:
        """The oldest message is not stored: told to its device, and acknowledged unless it can be yet."""
        waiting = self._waiting.popleft()
        self.rejected += 1
        if refusal.reason in _STORE_FAILURES:
            self._give_back(waiting.arrival)
            return
        notice = {
            "reason": refusal.reason.value,
            "detail": refusal.detail,
            "topic": waiting.topic,
        }
        rejected = topics.device(self._gateway, waiting.device, "rejected")
        self.publish(rejected, msgspec.json.encode(notice))
        self._acknowledge(waiting.arrival)

    def _take(self, message: ClusterMessage, device: str) -> None:
        digest = compute_digest(message.topic, message.payload)
        verdict, arrival = self._book.arrive(message.packet_id, digest, is_dup=message.is_dup)
        if verdict is Verdict.STORE:
            self._store(message, device, arrival)
        elif verdict is Verdict.ACKNOWLEDGE:
            self._acknowledge(arrival)

    def _store(self, message: ClusterMessage, device: str, arrival: Arrival | None) -> None:
        self._waiting.append(_Waiting(device, message.topic, arrival))
        note = None if arrival is None else partial(self._note, arrival)
        payloads = (message.payload,)
        self._sink.accept((DeviceMessages(self, device, message.topic, payloads, note),))

    def _note(self, arrival: Arrival) -> None:
        forgotten = self._book.take_forgettable()
        self._notes.note(arrival.packet_id, arrival.digest, forgotten)

    def _acknowledge(self, arrival: Arrival | None) -> None:
        if arrival is not None and self._book.committed(arrival) and self._is_connected:
            self._client.acknowledge(arrival.packet_id)
            self._book.acknowledged(arrival)

    def _give_back(self, arrival: Arrival | None) -> None:
        """Let the broker send a message again: it does so on the next connection."""
        if arrival is None:
            self.dropped += 1
            return
        self._book.given_up(arrival)
        if not self._is_dropping:
            self._is_dropping = True
            self._client.drop_connection()

    def _pass_to_listeners(self, message: ClusterMessage) -> None:
        if message.packet_id:
            self._client.acknowledge(message.packet_id)
        for topic_filter, callback in self._listeners:
            if topics.matches(topic_filter, message.topic):
                callback(message.topic, message.payload)

    def _device_of(self, topic: str) -> str | None:
        if topic not in self._devices:
            if len(self._devices) >= _DEVICES_REMEMBERED:
                self._devices.clear()
            self._devices[topic] = _find(self._filters, topic)
        return self._devices[topic]

    def _send(self, topic: str, payload: bytes, *, retain: bool) -> None:
        acknowledged = self._book.take_acknowledged()
        message_id = self._client.publish(topic, payload, retain=retain)
        if acknowledged:
            self._confirming[message_id] = acknowledged


def _find(filters: Mapping[str, str], topic: str) -> str | None:
    return next((device for one, device in filters.items() if topics.matches(one, topic)), None)
