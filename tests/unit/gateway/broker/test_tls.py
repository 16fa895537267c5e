"""TLS records become the connection's byte stream; whatever a peer does, nothing is raised."""

import asyncio
import ssl

import pytest

from gateway.broker.certificates import CertificateFolder
from gateway.broker.tls import TlsProtocol, server_context

NOW_MS = 1_790_000_000_000


class Tcp(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent = b""
        self.is_open = True

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return not self.is_open

    def close(self):
        self.is_open = False

    abort = close


class Inner(asyncio.Protocol):
    def __init__(self):
        self.received = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received += data


class Peer:
    """A client's side in memory."""

    def __init__(self, folder):
        self.tcp, self.inner = Tcp(), Inner()
        self.protocol = TlsProtocol(self.inner, server_context(folder.server, None))
        self.protocol.connection_made(self.tcp)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.create_default_context(cafile=str(folder.authority))
        self.tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def exchange(self):
        """Carry what each side has said to the other."""
        if self._out.pending:
            self.protocol.data_received(self._out.read())
        self._in.write(self.tcp.sent)
        self.tcp.sent = b""

    def shake_hands(self):
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.exchange()
        self.exchange()
        return self


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = CertificateFolder(tmp_path_factory.mktemp("tls"))
    folder.ensure("house", {"localhost"}, NOW_MS)
    return folder


@pytest.fixture
def peer(folder):
    return Peer(folder).shake_hands()


def test_bytes_pass_both_ways_in_any_number(peer):
    data = bytes(range(256)) * 1_000
    peer.tls.write(data)
    peer.exchange()
    peer.inner.transport.write(data)
    peer.exchange()

    assert peer.inner.received == data
    answer = b""
    while len(answer) < len(data):
        answer += peer.tls.read(100_000)
    assert answer == data


def test_nothing_is_written_before_the_handshake_or_after_the_end(peer, folder):
    early = Peer(folder)
    early.inner.transport.write(b"CONNACK")
    assert early.tcp.sent == b""

    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.exchange()
    assert peer.tcp.is_closing()
    peer.inner.transport.write(b"too late")
    peer.inner.transport.close()


def test_after_a_broken_record_the_connection_is_closed_and_no_more_is_written(peer):
    peer.protocol.data_received(b"\x17\x03\x03\x00\x10" + bytes(16))
    assert peer.tcp.is_closing()
    peer.inner.transport.write(b"too late")
    peer.protocol.data_received(b"more")
    peer.inner.transport.close()


def test_the_connections_close_says_goodbye(peer):
    peer.inner.transport.write(b"bye")
    peer.inner.transport.close()
    peer.exchange()

    assert peer.tls.read(10) == b"bye"
    assert peer.tls.read(10) == b"", "and then the end, which nobody cut short"
    assert peer.tcp.is_closing()
