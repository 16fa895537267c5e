"""TLS for listeners: records on the socket, a byte stream for the connection above.

    socket <-> TlsProtocol (handshake, records) <-> TlsTransport <-> Connection or WebSocketProtocol

asyncio's own TLS shows a connection only after its handshake. Here the connection is there from the
first byte on, so that the limits of connections and the deadline for CONNECT hold for peers that
never finish a handshake too.
"""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path
from typing import Any, cast

from gateway.broker.layers import LayerTransport

_log = logging.getLogger(__name__)

_READ_BYTES = 64 * 1024


def server_context(chain: Path, client_authority: Path | None) -> ssl.SSLContext:
    """Return a server's settings: TLS 1.2 or newer; with `client_authority` clients need its certificate.

    Raises `OSError` (also `ssl.SSLError`) for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.load_cert_chain(chain)
    if client_authority is not None:
        context.load_verify_locations(client_authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def certificate_name(transport: asyncio.BaseTransport) -> str | None:
    """Return the common name of the client's verified certificate; None where it showed none."""
    certificate = transport.get_extra_info("peercert")
    if not certificate:
        return None
    names = [
        value
        for part in certificate.get("subject", ())
        for kind, value in part
        if kind == "commonName"
    ]
    return str(names[0]) if len(names) == 1 else ""


class TlsTransport(LayerTransport):
    """What a connection sees: a byte stream, whose bytes leave encrypted."""

    def __init__(self, protocol: "TlsProtocol", tcp: asyncio.Transport) -> None:
        super().__init__(tcp)
        self._protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell about the TCP connection underneath, or the peer's certificate."""
        if name == "peercert":
            return self._protocol.peer_certificate()
        return super().get_extra_info(name, default)

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Encrypt and send."""
        self._protocol.send(bytes(data))

    def close(self) -> None:
        """Say goodbye and close, after what was written has left."""
        self._protocol.say_goodbye()
        self.below.close()


class TlsProtocol(asyncio.Protocol):
    """One peer: shakes hands, then decrypts for `inner`."""

    def __init__(self, inner: asyncio.Protocol, context: ssl.SSLContext) -> None:
        self._inner = inner
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_open = False
        self._tcp: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in; its limits and its deadline count from here on."""
        self._tcp = cast("asyncio.Transport", transport)  # uvloop's is one in all but its bases
        self._inner.connection_made(TlsTransport(self, self._tcp))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the connection."""
        self._tcp = None
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Tell the connection that the peer does not read."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Tell the connection that the peer reads on."""
        self._inner.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Go on with the handshake, then hand over what was encrypted."""
        tcp = self._tcp
        if tcp is None or tcp.is_closing():
            return
        self._incoming.write(data)
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._is_open = True
            self._read_all()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLZeroReturnError:
            self._end(tcp)
        except ssl.SSLError as error:
            _log.debug("TLS: %s", error.reason or error)
            self._flush()  # the alert that says why
            tcp.close()

    def peer_certificate(self) -> dict[str, Any]:
        """Return the verified certificate of the peer, empty where it showed none."""
        return dict(self._tls.getpeercert() or {}) if self._is_open else {}

    def send(self, data: bytes) -> None:
        """Encrypt and send, once there is somebody to understand it."""
        if not self._is_open or self._tcp is None or self._tcp.is_closing():
            return
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]
        self._flush()

    def say_goodbye(self) -> None:
        """Tell the peer that no more comes; its own goodbye is not waited for."""
        if self._is_open:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
            self._flush()

    def _read_all(self) -> None:
        """Hand over what is complete; raises `ssl.SSLWantReadError` at its end."""
        self._flush()
        while self._tcp is not None and not self._tcp.is_closing():
            data = self._tls.read(_READ_BYTES)
            if not data:
                self._end(self._tcp)
                return
            self._inner.data_received(data)

    def _end(self, tcp: asyncio.Transport) -> None:
        """Return the peer's goodbye."""
        self.say_goodbye()
        tcp.close()

    def _flush(self) -> None:
        if self._tcp is not None and not self._tcp.is_closing() and self._outgoing.pending:
            self._tcp.write(self._outgoing.read())
