"""A peer that speaks bytes to a broker, and MQTT 3.1.1 packets for it."""

import socket

WAIT_S = 10.0


class Raw:
    """A peer that speaks bytes."""

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(("127.0.0.1", port))

    def send(self, *packets: bytes) -> "Raw":
        self.socket.sendall(b"".join(packets))
        return self

    def packet(self, timeout_s: float = WAIT_S) -> bytes | None:
        """Return the next whole packet, None when the broker closed the connection."""
        self.socket.settimeout(timeout_s)
        try:
            head = self._exactly(2)
            length, shift = head[1] & 0x7F, 7
            while head[-1] & 0x80:
                head += self._exactly(1)
                length |= (head[-1] & 0x7F) << shift
                shift += 7
            return head + self._exactly(length)
        except (EOFError, ConnectionError):
            return None

    def is_silent(self, wait_s: float = 0.15) -> bool:
        """Tell whether nothing comes; a closed connection is not silent."""
        try:
            self.packet(wait_s)
        except TimeoutError:
            return True
        return False

    def is_closed(self) -> bool:
        """Wait for the end of the connection, whatever comes before it."""
        while self.packet() is not None:
            pass
        return True

    def close(self) -> None:
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            chunk = self.socket.recv(count - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data


class Mqtt:
    """Writes packets for `Raw`."""

    @staticmethod
    def text(value: str | bytes) -> bytes:
        raw = value.encode() if isinstance(value, str) else value
        return len(raw).to_bytes(2, "big") + raw

    @staticmethod
    def frame(first: int, body: bytes) -> bytes:
        length, encoded = len(body), b""
        while True:
            length, low = length >> 7, length & 0x7F
            encoded += bytes((low | (0x80 if length else 0),))
            if not length:
                return bytes((first,)) + encoded + body

    @classmethod
    def connect(
        cls,
        user: str,
        client_id: str = "c",
        clean: bool = True,
        keep_alive: int = 0,
        password: str | None = None,
        will: tuple[str, str] | None = None,
    ) -> bytes:
        flags = (0xC0 if user else 0) | (2 if clean else 0) | (0x24 if will else 0)
        body = cls.text("MQTT") + bytes((4, flags)) + keep_alive.to_bytes(2, "big")
        body += cls.text(client_id)
        body += b"".join(cls.text(part) for part in will or ())
        if user:
            body += cls.text(user) + cls.text(f"{user}-pw" if password is None else password)
        return cls.frame(0x10, body)

    @classmethod
    def publish(
        cls, topic: str | bytes, payload: bytes, qos: int = 0, packet_id: int = 1, flags: int = 0
    ) -> bytes:
        body = cls.text(topic) + (packet_id.to_bytes(2, "big") if qos else b"") + payload
        return cls.frame(0x30 | qos << 1 | flags, body)

    @classmethod
    def subscribe(cls, topic_filter: str, qos: int = 0, packet_id: int = 1) -> bytes:
        body = packet_id.to_bytes(2, "big") + cls.text(topic_filter) + bytes((qos,))
        return cls.frame(0x82, body)
