"""A client of one connection for tests: raw bytes out, strictly read packets in."""

import os
import socket
import uuid
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from tests.spec.mqtt import wire
from tests.spec.mqtt.wire import Answer, Kind, Packet, Prop, Properties, Publish

# For what must come: long, because the machine may be busy.
WAIT_S = float(os.environ.get("SMARTSHARE_MQTT_WAIT_S", "15"))
_SENTINEL_PACKET_ID = 0xFFFF


class Stream(Protocol):
    """Ordered bytes to and from a server, over TCP or inside WebSocket frames."""

    def send(self, data: bytes) -> None: ...
    def receive(self, timeout_s: float) -> bytes:
        """Return what came; empty when the other side closed. May raise TimeoutError."""

    def close(self) -> None: ...


class TcpStream:
    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, timeout_s: float) -> bytes:
        self.socket.settimeout(timeout_s)
        try:
            return self.socket.recv(65_536)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self.socket.close()


class ClosedError(AssertionError):
    """The server closed the connection."""


class Peer:
    """One connection. What arrives while something else is awaited stays in order for later."""

    def __init__(self, stream: Stream, version: int, wait_s: float = WAIT_S) -> None:
        self.version = version
        self.wait_s = wait_s
        self.stream = stream
        self.last_size = 0  # bytes of the packet read last, its header included
        self._buffer = b""
        self._waiting: deque[Packet] = deque()
        self._packet_id = 0
        self._sentinel = ""
        self._aliases: dict[int, str] = {}

    # --- bytes and packets ---

    def send(self, *packets: bytes) -> "Peer":
        self.stream.send(b"".join(packets))
        return self

    def next(self) -> Packet:
        """Return the next packet; raises ClosedError, and TimeoutError when nothing comes."""
        return self._waiting.popleft() if self._waiting else self._read()

    def expect(self, kind: Kind) -> Answer:
        """Return the next packet, which must be of this kind."""
        packet = self.next()
        assert isinstance(packet, Answer), f"{packet} instead of {kind.name}"
        assert packet.kind == kind, f"{packet} instead of {kind.name}"
        return packet

    def end(self) -> list[Packet]:
        """Wait until the server closes; return what it sent before."""
        packets = list(self._waiting)
        self._waiting.clear()
        try:
            while True:
                packets.append(self._read())
        except ClosedError:
            return packets

    def close(self) -> None:
        """Go without DISCONNECT."""
        self.stream.close()

    def await_answer(self, kind: Kind, packet_id: int = 0) -> Answer:
        """Return the answer of this kind, leaving what came before it in order."""
        for index, packet in enumerate(self._waiting):
            if isinstance(packet, Answer) and (packet.kind, packet.packet_id) == (kind, packet_id):
                del self._waiting[index]
                return packet
        while True:
            packet = self._read()
            if isinstance(packet, Answer) and (packet.kind, packet.packet_id) == (kind, packet_id):
                return packet
            self._waiting.append(packet)

    def raw(self) -> bytes:
        """Return the next packet's bytes, whatever they mean; empty when the server closed."""
        try:
            return self._frame()
        except ClosedError:
            return b""

    def _read(self) -> Packet:
        data = self._frame()
        self.last_size = len(data)
        start = 1
        while data[start] & 0x80:
            start += 1
        packet = wire.decode(self.version, data[0], data[start + 1 :])
        return self._resolve(packet) if isinstance(packet, Publish) else packet

    def _frame(self) -> bytes:
        """One packet; a length must be in its shortest form [MQTT-1.5.5-1]."""
        while (end := self._frame_end()) is None or end > len(self._buffer):
            data = self.stream.receive(self.wait_s)
            if not data:
                raise ClosedError("the server closed the connection")
            self._buffer += data
        packet, self._buffer = self._buffer[:end], self._buffer[end:]
        return packet

    def _frame_end(self) -> int | None:
        length = 0
        for index in range(1, 5):
            if index >= len(self._buffer):
                return None
            byte = self._buffer[index]
            length |= (byte & 0x7F) << 7 * (index - 1)
            if byte < 0x80:
                assert byte or index == 1, "a longer remaining length than needed"
                return index + 1 + length
        raise wire.ServerError("a remaining length of more than 4 bytes")

    def _resolve(self, message: Publish) -> Publish:
        """Put the topic that a topic alias stands for into the message."""
        alias = message.one(Prop.TOPIC_ALIAS)
        if not isinstance(alias, int):
            assert message.topic, "neither topic nor alias"
            return message
        if message.topic:
            assert isinstance(message.topic, str)
            self._aliases[alias] = message.topic
        return Publish(
            self._aliases[alias],
            message.payload,
            message.qos,
            message.packet_id,
            message.retain,
            message.dup,
            message.properties,
        )

    # --- what clients do ---

    def packet_id(self) -> int:
        self._packet_id += 1
        return self._packet_id

    def ping(self) -> None:
        self.send(wire.PINGREQ)
        self.await_answer(Kind.PINGRESP)

    def subscribe(
        self, *filters: str | tuple[str, int], qos: int = 0, pairs: Properties = ()
    ) -> tuple[int, ...]:
        """Subscribe; each filter may carry its own options byte. Returns the reasons."""
        packet_id = self.packet_id()
        asked = [item if isinstance(item, tuple) else (item, qos) for item in filters]
        self.send(wire.subscribe(self.version, packet_id, asked, pairs))
        return self.await_answer(Kind.SUBACK, packet_id).reasons

    def unsubscribe(self, *filters: str) -> tuple[int, ...]:
        packet_id = self.packet_id()
        self.send(wire.unsubscribe(self.version, packet_id, filters))
        return self.await_answer(Kind.UNSUBACK, packet_id).reasons

    def publish(
        self,
        topic: str,
        payload: bytes = b"x",
        qos: int = 0,
        *,
        retain: bool = False,
        pairs: Properties = (),
    ) -> int:
        """Publish and wait until it is acknowledged; returns the reason of the acknowledgement.

        At QoS 0 a PINGRESP shows that the server has read it.
        """
        packet_id = self.packet_id() if qos else 0
        message = Publish(topic, payload, qos, packet_id, retain, properties=pairs)
        self.send(message.encode(self.version))
        if qos == 0:
            self.ping()
            return 0
        if qos == 1:
            return self.await_answer(Kind.PUBACK, packet_id).reason
        received = self.await_answer(Kind.PUBREC, packet_id).reason
        if received < 0x80:
            self.send(wire.ack(self.version, Kind.PUBREL, packet_id))
            self.await_answer(Kind.PUBCOMP, packet_id)
        return received

    def message(self) -> Publish:
        """Return the next packet, which must be a message, and acknowledge it wholly."""
        message = self.unacknowledged()
        self.acknowledge(message)
        return message

    def unacknowledged(self) -> Publish:
        """Return the next packet, which must be a message."""
        packet = self.next()
        assert isinstance(packet, Publish), f"{packet} instead of a message"
        return packet

    def acknowledge(self, message: Publish) -> None:
        if message.qos == 1:
            self.send(wire.ack(self.version, Kind.PUBACK, message.packet_id))
        elif message.qos == 2:
            self.send(wire.ack(self.version, Kind.PUBREC, message.packet_id))
            self.await_answer(Kind.PUBREL, message.packet_id)
            self.send(wire.ack(self.version, Kind.PUBCOMP, message.packet_id))

    def messages(self) -> list[Publish]:
        """Return all messages on their way to this client, acknowledged.

        Nothing more is on its way when a message of its own, sent last, has come back.
        """
        if not self._sentinel:
            self._sentinel = f"sentinel/{uuid.uuid4().hex}"
            asked = [(self._sentinel, 0)]
            self.send(wire.subscribe(self.version, _SENTINEL_PACKET_ID, asked))
            assert self.await_answer(Kind.SUBACK, _SENTINEL_PACKET_ID).reasons == (0,)
        self.send(Publish(self._sentinel, b"last").encode(self.version))
        found: list[Publish] = []
        while (message := self.message()).topic != self._sentinel:
            found.append(message)
        return found

    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages()]

    def disconnect(self, reason: int = 0, pairs: Properties = ()) -> list[Packet]:
        """Say goodbye and wait for the end."""
        self.send(wire.disconnect(self.version, reason, pairs))
        packets = self.end()
        self.close()
        return packets


def reasons_of(packets: Iterable[Packet], kind: Kind) -> list[int]:
    """The reasons of all packets of one kind."""
    return [p.reason for p in packets if isinstance(p, Answer) and p.kind == kind]
