"""Publishers and subscribers that outlive a broker that is killed again and again, and keep accounts.

They hold their side of the session exactly: a publisher sends what was not acknowledged again, with
DUP and in the old order; a subscriber takes a QoS 2 message once for each use of its packet id.
"""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 3, 4, 5, 6, 7, 9
RECONNECT_S = 0.02
IN_FLIGHT = 10


def encode_length(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | 0x80 if length else low)
        if not length:
            return bytes(encoded)


def packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + encode_length(len(body)) + body


def text(value: str) -> bytes:
    return struct.pack("!H", len(value)) + value.encode()


def acknowledgement(kind: int, packet_id: int) -> bytes:
    return packet(kind << 4 | (2 if kind == PUBREL else 0), struct.pack("!H", packet_id))


def publish(packet_id: int, topic: str, payload: bytes, qos: int, *, is_dup: bool) -> bytes:
    body = text(topic) + struct.pack("!H", packet_id) + payload
    return packet(PUBLISH << 4 | is_dup << 3 | qos << 1, body)


class Client:
    """A persistent session that connects again until it is stopped."""

    login: tuple[str, str] | None = None

    def __init__(self, port: int, client_id: str) -> None:
        self.port = port
        self.client_id = client_id
        self.is_stopping = False
        self.is_connected = False
        self.writer: asyncio.StreamWriter

    async def run(self) -> None:
        while not self.is_stopping:
            try:
                await self._connect()
            except (OSError, EOFError):
                await asyncio.sleep(RECONNECT_S)

    async def _connect(self) -> None:
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            flags = b"\xc0" if self.login else b"\x00"
            body = text("MQTT") + b"\x04" + flags + b"\x00\x00" + text(self.client_id)
            body += b"".join(text(part) for part in self.login or ())
            self.writer.write(packet(0x10, body))
            connack = await reader.readexactly(4)
            if connack[3]:
                raise EOFError(f"refused: {connack[3]}")
            self.is_connected = True
            self.connected(is_resumed=bool(connack[2]))
            async for first, data in read_packets(reader):
                self.received(first, data)
                await self.writer.drain()
        finally:
            self.is_connected = False
            self.writer.close()

    def stop(self) -> None:
        self.is_stopping = True
        self.writer.transport.abort()

    def connected(self, *, is_resumed: bool) -> None:
        raise NotImplementedError

    def received(self, first: int, data: bytes) -> None:
        raise NotImplementedError


async def read_packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while True:
        first = (await reader.readexactly(1))[0]
        length = shift = 0
        while True:
            byte = (await reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        yield first, await reader.readexactly(length)


class Publisher(Client):
    """Sends numbered messages of QoS 1 and 2 in turn, `IN_FLIGHT` at a time, while `may_send`."""

    def __init__(self, port: int, client_id: str, may_send: Callable[[], bool]) -> None:
        super().__init__(port, client_id)
        self._may_send = may_send
        self.acknowledged: list[tuple[str, int]] = []  # message and its QoS
        self.sent = 0
        self._packet_id = 0
        self._unacknowledged: dict[int, tuple[str, int]] = {}
        self._released: dict[int, None] = {}

    @property
    def is_idle(self) -> bool:
        return not self._unacknowledged and not self._released

    def connected(self, *, is_resumed: bool) -> None:
        for packet_id in self._released:
            self.writer.write(acknowledgement(PUBREL, packet_id))
        for packet_id, (message, qos) in self._unacknowledged.items():
            self._send(packet_id, message, qos, is_dup=True)
        self.fill()

    def received(self, first: int, data: bytes) -> None:
        (packet_id,) = struct.unpack("!H", data)
        match first >> 4:
            case kind if kind == PUBACK:
                self.acknowledged.append(self._unacknowledged.pop(packet_id))
            case kind if kind == PUBREC:
                message = self._unacknowledged.pop(packet_id, None)
                if message is not None:
                    self.acknowledged.append(message)
                    self._released[packet_id] = None
                self.writer.write(acknowledgement(PUBREL, packet_id))
            case kind if kind == PUBCOMP:
                self._released.pop(packet_id, None)
        self.fill()

    def fill(self) -> None:
        while self._may_send() and len(self._unacknowledged) + len(self._released) < IN_FLIGHT:
            self._packet_id = self._packet_id % 50 + 1  # few: each is used again soon
            if self._packet_id in self._unacknowledged or self._packet_id in self._released:
                continue
            self.sent += 1
            message, qos = self.next_message()
            self._unacknowledged[self._packet_id] = (message, qos)
            self._send(self._packet_id, message, qos, is_dup=False)

    def next_message(self) -> tuple[str, int]:
        """Return the message of number `sent`, and its QoS."""
        return f"{self.client_id}-{self.sent}", 1 + self.sent % 2

    @property
    def topic(self) -> str:
        return f"load/{self.client_id}"

    def _send(self, packet_id: int, message: str, qos: int, *, is_dup: bool) -> None:
        self.writer.write(publish(packet_id, self.topic, message.encode(), qos, is_dup=is_dup))


class Meter(Publisher):
    """Publishes readings at QoS 2: numbers that follow `before`."""

    before = 0
    gateway = "gw1"

    def next_message(self) -> tuple[str, int]:
        return f'{{"power_active_total": {self.before + self.sent}}}', 2

    @property
    def topic(self) -> str:
        return f"ss/v1/{self.gateway}/dev/{self.client_id}/up"


class Subscriber(Client):
    """Counts what it gets; QoS 2 once for each use of a packet id."""

    topic_filter = "load/#"

    def __init__(self, port: int, client_id: str) -> None:
        super().__init__(port, client_id)
        self.received_messages: Counter[str] = Counter()
        self.subscribed = asyncio.Event()
        self._held: set[int] = set()

    def connected(self, *, is_resumed: bool) -> None:
        assert is_resumed or not self.subscribed.is_set(), "the broker lost the session"
        if not self.subscribed.is_set():
            self.writer.write(packet(0x82, b"\x00\x01" + text(self.topic_filter) + b"\x02"))

    def received(self, first: int, data: bytes) -> None:
        kind = first >> 4
        if kind == SUBACK:
            assert data[2] == 2
            self.subscribed.set()
        elif kind == PUBREL:
            (packet_id,) = struct.unpack("!H", data)
            self._held.discard(packet_id)
            self.writer.write(acknowledgement(PUBCOMP, packet_id))
        elif kind == PUBLISH:
            self._take((first >> 1) & 3, data)

    def _take(self, qos: int, data: bytes) -> None:
        start = 2 + int.from_bytes(data[:2], "big")
        packet_id = int.from_bytes(data[start : start + 2], "big")
        message = data[start + 2 :].decode()
        if qos == 1:
            self.received_messages[message] += 1
            self.writer.write(acknowledgement(PUBACK, packet_id))
            return
        if packet_id not in self._held:
            self._held.add(packet_id)
            self.received_messages[message] += 1
        self.writer.write(acknowledgement(PUBREC, packet_id))
