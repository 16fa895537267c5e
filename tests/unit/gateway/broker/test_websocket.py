"""WebSocket frames become the connection's byte stream, however they are cut; strangers' pages stay out."""

import asyncio
import struct

import pytest

from gateway.broker.websocket import WebSocketProtocol, WebSocketRules

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="


class Tcp(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent = b""
        self.state = "open"

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return self.state != "open"

    def close(self):
        self.state = "closed"

    def abort(self):
        self.state = "aborted"


class Inner(asyncio.Protocol):
    def __init__(self):
        self.received = []

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.received.append(data)


class Peer:
    """A browser's side, byte by byte."""

    def __init__(self, origins=()):
        self.tcp, self.inner = Tcp(), Inner()
        self.protocol = WebSocketProtocol(self.inner, WebSocketRules(tuple(origins), "house"))
        self.protocol.connection_made(self.tcp)

    def shake_hands(self, *headers, subprotocol=b"mqtt"):
        lines = [
            b"GET /mqtt HTTP/1.1",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: " + KEY,
            b"Sec-WebSocket-Version: 13",
            *([b"Sec-WebSocket-Protocol: " + subprotocol] if subprotocol else []),
            *headers,
        ]
        self.protocol.data_received(b"\r\n".join(lines) + b"\r\n\r\n")
        status, self.tcp.sent = self.tcp.sent.split(b"\r\n")[0], b""
        return int(status.split()[1])

    def frame(self, opcode, data, *, fin=True):
        mask = b"\x01\x02\x03\x04"
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        length = (
            bytes((0x80 | len(data),))
            if len(data) < 126
            else b"\xfe" + struct.pack("!H", len(data))
            if len(data) < 65536
            else b"\xff" + struct.pack("!Q", len(data))
        )
        return bytes((opcode | 0x80 * fin,)) + length + mask + masked


@pytest.fixture
def peer():
    peer = Peer()
    assert peer.shake_hands(b"Host: 192.168.1.5:9001") == 101
    return peer


@pytest.mark.parametrize("header", [b"Upgrade: \xf7", b"Sec-WebSocket-Key: \xc8"])
def test_headers_that_are_not_plain_text_are_refused(header):
    assert Peer().shake_hands(b"Host: house", header) == 400


def test_a_packet_may_span_frames_and_a_frame_hold_several_packets(peer):
    stream = peer.frame(2, b"ab", fin=False) + peer.frame(0, b"cd") + peer.frame(2, b"efgh")
    for byte in stream:
        peer.protocol.data_received(bytes((byte,)))

    assert b"".join(peer.inner.received) == b"abcdefgh"


def test_what_the_connection_writes_leaves_as_binary_frames(peer):
    peer.inner.transport.write(b"\x20\x02\x00\x00")

    assert peer.tcp.sent == b"\x82\x04\x20\x02\x00\x00"


def test_a_text_frame_closes_the_connection(peer):
    peer.protocol.data_received(peer.frame(1, b"text") + peer.frame(2, b"more"))

    assert peer.inner.received == []
    assert peer.tcp.sent[2:4] == struct.pack("!H", 1003)
    assert peer.tcp.is_closing()


def test_pings_are_answered_and_a_goodbye_is_returned(peer):
    peer.protocol.data_received(peer.frame(9, b"hi") + peer.frame(8, struct.pack("!H", 1000)))

    assert peer.tcp.sent == b"\x8a\x02hi" + b"\x88\x02\x03\xe8"
    assert peer.tcp.is_closing()


def test_the_connections_close_says_goodbye_first(peer):
    peer.inner.transport.close()

    assert peer.tcp.sent == b"\x88\x02\x03\xe8"
    assert peer.tcp.state == "closed"


def test_a_message_may_be_large_only_after_the_broker_has_answered(peer):
    peer.inner.transport.write(b"CONNACK")
    peer.protocol.data_received(peer.frame(2, bytes(200_000)))
    stranger = Peer()
    stranger.shake_hands(b"Host: 192.168.1.5:9001")
    stranger.protocol.data_received(stranger.frame(2, bytes(200_000)))

    assert len(peer.inner.received[0]) == 200_000
    assert stranger.inner.received == []
    assert stranger.tcp.is_closing()


def test_a_handshake_without_end_is_cut_off():
    peer = Peer()
    peer.protocol.data_received(b"GET / HTTP/1.1\r\n")
    for _ in range(20):
        peer.protocol.data_received(b"X-Header: " + b"x" * 1_000 + b"\r\n")

    assert peer.tcp.state == "aborted"


@pytest.mark.parametrize("subprotocol", [None, b"chat"])
def test_without_the_sub_protocol_there_is_no_connection(subprotocol):
    assert Peer().shake_hands(b"Host: a", subprotocol=subprotocol) == 400


def test_what_is_no_websocket_request_gets_an_http_answer():
    peer = Peer()
    peer.protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert peer.tcp.sent.startswith(b"HTTP/1.1 426 ")
    assert peer.tcp.is_closing()


def test_frames_behind_a_refused_handshake_reach_nobody():
    peer = Peer()
    request = b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    peer.protocol.data_received(request + peer.frame(2, b"\x10\x00"))

    assert peer.inner.received == []


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (b"http://192.168.1.5", b"192.168.1.5:9001", 101),
        (b"http://[fe80::1]:80", b"[fe80::1]:9001", 101),
        (b"https://localhost:8443", b"localhost:9001", 101),
        (b"http://house.local", b"HOUSE.local:9001", 101),
        (b"https://app.example", b"192.168.1.5:9001", 101),  # listed
        (b"http://192.168.1.6", b"192.168.1.5:9001", 403),
        (b"http://evil.example", b"192.168.1.5:9001", 403),
        (b"http://evil.example", b"evil.example:9001", 403),  # DNS rebinding
        (b"null", b"192.168.1.5:9001", 403),
        (b"http://[", b"[", 403),
    ],
)
def test_a_page_connects_only_to_the_host_it_came_from_or_when_it_is_listed(origin, host, status):
    peer = Peer(origins=("https://APP.example",))

    assert peer.shake_hands(b"Host: " + host, b"Origin: " + origin) == status


def test_a_page_cannot_name_two_hosts_or_two_origins():
    own = b"Origin: http://192.168.1.5"
    host = b"Host: 192.168.1.5"

    assert Peer().shake_hands(host, host, own) == 403
    assert Peer().shake_hands(host, own, own) == 400
