"""A WebSocket client of a few lines (RFC 6455), so that a test decides each frame's shape."""

import os
import socket
from dataclasses import dataclass

from tests.spec.mqtt.peer import WAIT_S

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer to the opening handshake."""

    status: int
    headers: dict[str, str]


class WebSocketStream:
    """Bytes over binary frames; `frame` sends any frame."""

    def __init__(
        self,
        address: tuple[str, int],
        *,
        protocols: str | None = "mqtt",
        origin: str | None = None,
        path: str = "/",
    ) -> None:
        self.socket = socket.create_connection(address, WAIT_S)
        self._buffer = b""
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {address[0]}:{address[1]}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ]
        if protocols is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocols}")
        if origin is not None:
            lines.append(f"Origin: {origin}")
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.reply = self._read_reply()

    def send(self, data: bytes) -> None:
        self.frame(BINARY, data)

    def frame(self, opcode: int, data: bytes, *, final: bool = True) -> None:
        """Send one frame, masked as clients must."""
        mask = os.urandom(4)
        length = len(data)
        if length < 126:
            head = bytes((0x80 * final | opcode, 0x80 | length))
        elif length < 65_536:
            head = bytes((0x80 * final | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
        else:
            head = bytes((0x80 * final | opcode, 0x80 | 127)) + length.to_bytes(8, "big")
        masked = bytes(byte ^ mask[index & 3] for index, byte in enumerate(data))
        self.socket.sendall(head + mask + masked)

    def receive(self, timeout_s: float) -> bytes:
        """Return the data of the next data frame; empty when the server closed."""
        self.socket.settimeout(timeout_s)
        try:
            while True:
                first, length = self._exactly(2)
                if length >= 126:
                    length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
                data = self._exactly(length)
                opcode = first & 0x0F
                if opcode == CLOSE:
                    return b""
                assert opcode in {BINARY, CONTINUATION, PING, PONG}, "MQTT in a text frame"
                if opcode in {BINARY, CONTINUATION} and data:
                    return data
        except (EOFError, ConnectionError):
            return b""

    def close(self) -> None:
        self.socket.close()

    def _read_reply(self) -> Reply:
        while b"\r\n\r\n" not in self._buffer:
            data = self.socket.recv(65_536)
            if not data:
                return Reply(0, {})
            self._buffer += data
        head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest)
        return Reply(int(first.split()[1]), {key.lower(): headers[key] for key in headers})

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken
