"""Malformed packets by the hundred: every packet cut at every byte, every byte replaced, and known attacks.

Each connection ends by itself after its end of file; a client beside it notices nothing; the log
holds no traceback.
"""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.spec.mqtt import wire
from tests.spec.mqtt.peer import WAIT_S, Peer, TcpStream
from tests.spec.mqtt.targets import Target
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Properties, Publish, Will
from tests.support.mqtt_brokers import broker_process

pytestmark = pytest.mark.integration

VERSIONS = [pytest.param(V311, id="v3.1.1"), pytest.param(V5, id="v5")]
REPLACED_BY = (0x00, 0x01, 0x7F, 0x80, 0xFF)


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    with broker_process() as target:
        yield target


@pytest.fixture
def healthy(target: Target) -> Iterator[Peer]:
    peer = Peer(TcpStream(target.tcp), V5).send(wire.connect(V5, "healthy"))
    assert peer.expect(Kind.CONNACK).reason == 0
    yield peer
    peer.ping()
    peer.close()


def packets(version: int) -> dict[str, bytes]:
    """One full packet of each kind that a client sends after CONNECT."""
    pairs: Properties = (
        [
            (Prop.PAYLOAD_FORMAT, 1),
            (Prop.MESSAGE_EXPIRY, 9),
            (Prop.CONTENT_TYPE, "text"),
            (Prop.RESPONSE_TOPIC, "r"),
            (Prop.CORRELATION_DATA, b"c"),
            (Prop.TOPIC_ALIAS, 1),
            (Prop.USER_PROPERTY, ("k", "v")),
        ]
        if version == V5
        else []
    )
    explained: Properties = [(Prop.REASON_STRING, "why"), (Prop.USER_PROPERTY, ("k", "v"))]
    found = {
        "PUBLISH": Publish("a/b", b"payload", 1, 1, properties=pairs).encode(version),
        "SUBSCRIBE": wire.subscribe(
            version,
            1,
            [("a/+", 1), ("b/#", 2)],
            [(Prop.SUBSCRIPTION_ID, 300), (Prop.USER_PROPERTY, ("k", "v"))],
        ),
        "UNSUBSCRIBE": wire.unsubscribe(version, 2, ["a/+", "b/#"]),
        "PINGREQ": wire.PINGREQ,
        "DISCONNECT": wire.disconnect(version, 4, explained if version == V5 else ()),
    }
    for kind in (Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP):
        found[kind.name] = wire.ack(version, kind, 1, 0x80, explained if version == V5 else ())
    return found


def full_connect(version: int) -> bytes:
    pairs: Properties = [
        (Prop.SESSION_EXPIRY, 1),
        (Prop.RECEIVE_MAXIMUM, 5),
        (Prop.MAXIMUM_PACKET_SIZE, 1_000),
        (Prop.USER_PROPERTY, ("k", "v")),
    ]
    will = Will("w", b"gone", 1, retain=False, properties=[(Prop.WILL_DELAY, 1)])
    return wire.connect(version, "mutant", Login(will=will, properties=pairs))


def variants(data: bytes) -> Iterator[bytes]:
    """The packet with its body cut at every byte, under a length that fits; with every byte replaced."""
    body = data[2:]
    for cut in range(len(body)):
        yield wire.frame(data[0], body[:cut])
    for index in range(len(data)):
        for value in REPLACED_BY:
            yield data[:index] + bytes((value,)) + data[index + 1 :]


def play(target: Target, data: bytes) -> None:
    """Send and half-close; the broker must close in its turn."""
    stream = TcpStream(target.tcp)
    with contextlib.closing(stream):
        try:
            stream.send(data)
            stream.socket.shutdown(socket.SHUT_WR)
        except OSError:  # closed before we were done
            return
        while stream.receive(WAIT_S):
            pass


@pytest.mark.parametrize("version", VERSIONS)
def test_every_packet_cut_and_changed_at_every_byte(target: Target, healthy: Peer, version):
    count = 0
    connect = wire.connect(version, "mutant")
    for data in packets(version).values():
        for variant in variants(data):
            play(target, connect + variant)
            count += 1
        healthy.ping()

    assert count >= 150


@pytest.mark.parametrize("version", VERSIONS)
def test_connect_cut_and_changed_at_every_byte(target: Target, healthy: Peer, version):
    count = 0
    for variant in variants(full_connect(version)):
        play(target, variant + wire.PINGREQ)
        count += 1
    healthy.ping()

    assert count >= 150


KNOWN = {
    "CVE-2021-34432: an empty topic": wire.connect(V311, "x") + Publish("", b"", 0).encode(V311),
    "CVE-2021-28166: a CONNACK from a client": wire.connect(V5, "x") + b"\x20\x03\x00\x00\x00",
    "CVE-2023-0809: a large packet before CONNECT": b"\x30\xff\xff\xff\x7f" + bytes(500_000),
    "an acknowledgement before CONNECT": wire.ack(V311, Kind.PUBACK, 1),
    "PUBREL before CONNECT": wire.ack(V311, Kind.PUBREL, 1),
    "acknowledgements of nothing": wire.connect(V5, "x")
    + b"".join(wire.ack(V5, Kind(kind), 9) for kind in (4, 5, 6, 7)),
    "a CONNECT of nothing but lengths": b"\x10\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    "a property length beyond the packet": wire.connect(V5, "x") + b"\x30\x05\x00\x01a\xff\x7f",
    "a subscription of length 65535": wire.connect(V311, "x") + b"\x82\x05\x00\x01\xff\xff\x00",
    "a second CONNECT with another version": wire.connect(V5, "x") + wire.connect(V311, "x"),
    "AUTH without a method": wire.connect(V5, "x") + b"\xf0\x02\x19\x00",
    "DISCONNECT, then more": wire.connect(V5, "x") + b"\xe0\x00" + b"\xc0\x00" * 1_000,
    "a topic of slashes": wire.connect(V311, "x") + Publish("/" * 60_000).encode(V311),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": bytes.fromhex("160301020001000001fc0303") + bytes(500),
    "zeros": bytes(10_000),
    "ones": b"\xff" * 10_000,
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_attacks(target: Target, healthy: Peer, name):
    for _ in range(3):
        play(target, KNOWN[name])

    healthy.ping()


def test_what_a_spoilt_packet_would_have_published_is_not_published(target: Target, healthy: Peer):
    """Half a message is no message, even when the connection ends in the middle of it."""
    healthy.subscribe("half/#")
    whole = Publish("half/x", b"whole", 1, 1).encode(V311)

    for cut in range(1, len(whole)):
        play(target, wire.connect(V311, "half") + whole[:cut])

    assert not healthy.messages()
    play(target, wire.connect(V311, "half") + whole)
    assert healthy.payloads() == [b"whole"]
