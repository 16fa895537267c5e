"""MQTT over WebSocket (MQTT 3.1.1 section 6): frames on the socket, a byte stream for the connection.

    socket <-> WebSocketProtocol (handshake, frames) <-> WebSocketTransport <-> Connection

Rule 1: the sub-protocol `mqtt` is required [MQTT-6.0.0-3], and data frames are binary [MQTT-6.0.0-1].
Rule 2: packets and frames do not align: a packet may span frames, a frame hold several packets
[MQTT-6.0.0-2].
Rule 3: a page of another site may not connect: browsers tell the Origin, programs tell none. The
page's host must be the very host it connects to, and one that no foreign name server can redirect
here: an address, localhost or this machine's name. Other sites must be listed.
Rule 4: nothing is compressed, so that few bytes cannot become many.
"""

import asyncio
import ipaddress
import socket
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway.broker.layers import LayerTransport

_HANDSHAKE_BYTES_MAX = 16 * 1024  # some browsers send long cookies
_FIRST_MESSAGE_BYTES_MAX = 65 * 1024  # CONNECT with its header; nobody is known yet
_MESSAGE_BYTES_MAX = 1024 * 1024  # several of the largest packets
_SUBPROTOCOL = Subprotocol("mqtt")
_ACCEPTED = 101
_DATA = frozenset({Opcode.BINARY, Opcode.CONT})


class WebSocketRules:
    """Which pages may connect, by the Origin that their browser tells."""

    def __init__(self, origins: tuple[str, ...], own_name: str | None = None) -> None:
        """`own_name` is this machine's name, by default as it knows it."""
        name = (own_name if own_name is not None else socket.gethostname()).lower()
        self._origins = frozenset(origin.lower() for origin in origins)
        self._own_names = frozenset({"localhost", name, f"{name}.local"})

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Tell whether a page of `origin` may connect to what it calls `host`."""
        if origin is None or origin.lower() in self._origins:
            return True
        page = _host_of(origin)
        return page is not None and self._is_ours(page) and page == _host_of(f"//{host}")

    def _is_ours(self, host: str) -> bool:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return host in self._own_names
        return True


def _host_of(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


class WebSocketTransport(LayerTransport):
    """What a connection sees: a byte stream, whose bytes leave as binary frames."""

    def __init__(self, protocol: "WebSocketProtocol", tcp: asyncio.Transport) -> None:
        super().__init__(tcp)
        self._protocol = protocol

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Send one binary frame."""
        self._protocol.send(bytes(data))

    def close(self) -> None:
        """Say goodbye and close, after what was written has left."""
        self._protocol.say_goodbye()
        self.below.close()


class WebSocketProtocol(asyncio.Protocol):
    """One peer: shakes hands, then takes its frames apart for `inner`."""

    def __init__(self, inner: asyncio.Protocol, rules: WebSocketRules) -> None:
        self._inner = inner
        self._rules = rules
        self._frames = ServerProtocol(
            subprotocols=[_SUBPROTOCOL], max_size=_FIRST_MESSAGE_BYTES_MAX
        )
        self._handshake_bytes = 0
        self._tcp: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in; its limits and its deadline count from here on."""
        self._tcp = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._inner.connection_made(WebSocketTransport(self, self._tcp))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection."""
        self._inner.connection_lost(exc)
        self._tcp = None

    def pause_writing(self) -> None:
        """Tell the connection that the peer does not read."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection that the peer reads on."""
        self._inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take frames apart; answer pings and a goodbye."""
        tcp = self._tcp
        if tcp is None or tcp.is_closing():
            return
        if self._frames.state is State.CONNECTING:
            self._handshake_bytes += len(data)
            if self._handshake_bytes > _HANDSHAKE_BYTES_MAX:
                tcp.abort()
                return
        self._frames.receive_data(data)
        for event in self._frames.events_received():
            if isinstance(event, Request):
                self._answer(event)
            elif isinstance(event, Frame):
                self._take(event)
        self._flush()
        if self._frames.close_expected():
            tcp.close()

    def send(self, data: bytes) -> None:
        """Send bytes as one binary frame. The first are CONNACK: now larger messages may come."""
        if self._frames.state is State.OPEN:
            self._frames.max_size = _MESSAGE_BYTES_MAX
            self._frames.send_binary(data)
            self._flush()

    def say_goodbye(self) -> None:
        """Send a close frame, unless one was sent or there is nobody to understand it."""
        if self._frames.state is State.OPEN:
            self._frames.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()

    def _answer(self, request: Request) -> None:
        if not all(
            name.isascii() and value.isascii() for name, value in request.headers.raw_items()
        ):
            # The library would fail on them, and log how.
            self._frames.send_response(self._frames.reject(400, "headers are plain text\n"))
            return
        response = self._frames.accept(request)  # which refuses more than one Origin
        origin = request.headers.get("Origin") if response.status_code == _ACCEPTED else None
        hosts = request.headers.get_all("Host")
        if not self._rules.allows(origin, hosts[0] if len(hosts) == 1 else None):
            response = self._frames.reject(403, f"pages of {origin!r} may not connect\n")
        self._frames.send_response(response)

    def _take(self, frame: Frame) -> None:
        if self._frames.state is not State.OPEN:
            return  # it was refused, or sent more after its goodbye
        if frame.opcode in _DATA:
            self._inner.data_received(bytes(frame.data))
        elif frame.opcode is Opcode.TEXT:
            self._frames.fail(CloseCode.UNSUPPORTED_DATA, "MQTT is binary")

    def _flush(self) -> None:
        if self._tcp is not None and not self._tcp.is_closing():
            self._tcp.writelines([part for part in self._frames.data_to_send() if part])
