"""A client's session: its subscriptions, the messages waiting for it, and those in flight.

Rule 1: a message of QoS 1 or 2 stays here until the client acknowledged it; a new connection of the
same session gets it again, marked DUP, in the old order [MQTT-4.4.0-1, 4.6.0-1].
Rule 2: what waits is bounded in number and bytes; beyond that new messages are dropped and counted.
Rule 3: what all sessions hold is bounded too: beyond that budget QoS 0 is dropped here, and the
core ends the session that holds most.
Rule 4: no clock, no socket: bytes leave through an `Outlet`.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from gateway.broker.message import Message
from gateway.broker.outbound import OutboundBudget
from gateway.broker.packets import PUBREL, encode_ack, encode_publish
from gateway.broker.settings import BrokerSettings
from gateway.model.principal import Principal

_PACKET_ID_MAX = 65_535
_MESSAGE_OVERHEAD_BYTES = 64  # so that empty messages are not free


class Outlet(Protocol):
    """The way out of one connection."""

    def send(self, data: bytes) -> None:
        """Queue bytes for the peer; what a closed connection is given is dropped."""
        ...

    def is_writable(self) -> bool:
        """Tell whether the peer takes more now; if not, `Session.pump` is called once it does."""
        ...

    def close(self, reason: str) -> None:
        """Detach the session and close the connection, at once."""
        ...


class Session:
    """State that belongs to (principal, client id); `outlet` is None while nobody is connected."""

    def __init__(
        self,
        principal: Principal,
        client_id: str,
        limits: BrokerSettings,
        outbound: OutboundBudget,
        *,
        is_clean: bool,
    ) -> None:
        self.principal = principal
        self.client_id = client_id
        self.is_clean = is_clean
        self.outlet: Outlet | None = None
        self.subscriptions: dict[str, int] = {}
        # Packet ids of received QoS 2 messages, until their PUBREL: True once stored or routed.
        self.received: dict[int, bool] = {}
        self._limits = limits
        self._outbound = outbound
        self._is_over = False
        self._queue: deque[tuple[Message, int]] = deque()
        self._held_bytes = 0  # of messages queued or unacknowledged
        self._unacknowledged: dict[int, tuple[Message, int]] = {}
        self._released: dict[int, None] = {}
        self._last_packet_id = 0

    @property
    def key(self) -> tuple[str, str]:
        """What names the session: nobody reaches a session of another principal."""
        return self.principal.name, self.client_id

    @property
    def queued(self) -> int:
        """How many messages wait to be sent for the first time."""
        return len(self._queue)

    @property
    def held(self) -> int:
        """How many messages are queued or not acknowledged."""
        return len(self._queue) + len(self._unacknowledged)

    @property
    def held_bytes(self) -> int:
        """What those messages take of the budget."""
        return self._held_bytes

    def end(self) -> None:
        """Drop all messages, and take none any more."""
        self._is_over = True
        self._queue.clear()
        self._unacknowledged.clear()
        self._hold(-self._held_bytes)

    def deliver(self, message: Message, qos: int) -> bool:
        """Send a message now, or queue it; False when a limit made it drop the message."""
        if self._is_over or (self.outlet is None and (qos == 0 or self.is_clean)):
            return True  # MQTT keeps no QoS 0 message for an absent client: nothing was lost
        size = _size(message)
        limits = self._limits
        # The answer to a SUBSCRIBE may be as long as there are retained messages.
        is_full = len(self._queue) >= limits.queue_messages_max and not message.is_retained
        bytes_max = limits.queue_bytes_max
        bytes_max += limits.retained_bytes_max if message.is_retained else 0
        if is_full or self._held_bytes + size > bytes_max:
            return False
        if qos == 0 and not self._outbound.has_room(size):
            return False
        self._queue.append((message, qos))
        self._hold(size)
        self.pump()
        return True

    def pump(self) -> None:
        """Send from the queue while the peer takes bytes and the in-flight window has room."""
        outlet = self.outlet
        queue = self._queue
        while outlet is not None and queue and outlet.is_writable():
            message, qos = queue[0]
            if qos and self._inflight() >= self._limits.inflight_max:
                return
            queue.popleft()
            if qos:
                packet_id = self._next_packet_id()
                self._unacknowledged[packet_id] = (message, qos)
                outlet.send(encode_publish(message, qos, packet_id))
            else:
                self._hold(-_size(message))
                outlet.send(encode_publish(message, qos))

    def resume(self, outlet: Outlet) -> None:
        """Give the session a connection: first what was in flight goes out again [MQTT-4.4.0-1]."""
        self.outlet = outlet
        for packet_id in self._released:
            outlet.send(encode_ack(PUBREL, packet_id))
        for packet_id, (message, qos) in self._unacknowledged.items():
            outlet.send(encode_publish(message, qos, packet_id, is_dup=True))
        self.pump()

    def acknowledge(self, packet_id: int) -> None:
        """Take PUBACK: the QoS 1 message has arrived. One that is not in flight changes nothing."""
        if self._forget(packet_id, 1):
            self.pump()

    def release(self, packet_id: int) -> None:
        """Take PUBREC: the QoS 2 message has arrived; PUBREL is the answer [MQTT-4.3.3-1]."""
        if self._forget(packet_id, 2):
            self._released[packet_id] = None
        if self.outlet is not None:
            self.outlet.send(encode_ack(PUBREL, packet_id))

    def complete(self, packet_id: int) -> None:
        """Take PUBCOMP: the packet id is free again."""
        if packet_id in self._released:
            del self._released[packet_id]
            self.pump()

    def keep_only(self, principal: Principal, may_receive: Callable[[str], bool]) -> None:
        """Continue under `principal` as it is now; messages it may not receive are dropped unsent."""
        self.principal = principal
        self._queue = deque(entry for entry in self._queue if may_receive(entry[0].topic))
        self._unacknowledged = {
            packet_id: entry
            for packet_id, entry in self._unacknowledged.items()
            if may_receive(entry[0].topic)
        }
        kept = sum(_size(message) for message, _ in (*self._queue, *self._unacknowledged.values()))
        self._hold(kept - self._held_bytes)

    def _hold(self, size: int) -> None:
        self._held_bytes += size
        self._outbound.hold(size)

    def _forget(self, packet_id: int, qos: int) -> bool:
        entry = self._unacknowledged.get(packet_id)
        if entry is None or entry[1] != qos:
            return False
        del self._unacknowledged[packet_id]
        self._hold(-_size(entry[0]))
        return True

    def _inflight(self) -> int:
        return len(self._unacknowledged) + len(self._released)

    def _next_packet_id(self) -> int:
        packet_id = self._last_packet_id
        while True:  # ends: far fewer ids are in flight than there are
            packet_id = packet_id % _PACKET_ID_MAX + 1
            if packet_id not in self._unacknowledged and packet_id not in self._released:
                self._last_packet_id = packet_id
                return packet_id


def _size(message: Message) -> int:
    return len(message.topic) + len(message.payload) + _MESSAGE_OVERHEAD_BYTES
