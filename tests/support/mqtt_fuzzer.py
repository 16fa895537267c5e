"""Hostile MQTT sessions from a seed: valid packets of both versions by the grammar, then spoilt.

The same seed gives the same bytes. Nothing here opens a socket.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.spec.mqtt import wire
from tests.spec.mqtt.wire import V5, V311, Kind, Login, Prop, Properties, Publish, Will

PACKETS_MAX = 24
CLIENT_NAMES = 12  # few, so that sessions are resumed and taken over
CONNECTED = 0.95  # the share of sessions that begin with a CONNECT
SPOILT = 0.5  # the share of sessions in which something is spoilt
LEVELS = ("a", "b", "dev", "up", "", " ", "\u00e9", "$x", "x" * 40)
LENGTHS = (0, 1, 2, 3, 126, 127, 128, 255, 256, 16_383, 16_384, 65_535)
VARINTS = (b"\x00", b"\x80\x00", b"\x7f", b"\xff\x7f", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x01")


@dataclass(frozen=True, slots=True)
class Script:
    """What one client sends: `chunks` as they go to the socket, `packets` of them before spoiling."""

    seed: int
    is_websocket: bool
    chunks: tuple[bytes, ...]
    packets: int
    ending: str  # "eof": half-close and read to the end; "abort": just go


class Grammar:
    """Writes packets that a client could send."""

    def __init__(self, chance: random.Random, username: str | None, password: bytes | None) -> None:
        self._chance = chance
        self._username = username
        self._password = password
        self.version = chance.choice((V311, V5))

    def session(self) -> list[bytes]:
        packets = [self.connect()] if self._chance.random() < CONNECTED else []
        makers: tuple[Callable[[], bytes], ...] = (
            *(self.publish,) * 5,
            *(self.subscribe,) * 3,
            self.unsubscribe,
            self.acknowledgement,
            self.acknowledgement,
            self.ping,
        )
        count = self._chance.randrange(1, PACKETS_MAX)
        packets += [self._chance.choice(makers)() for _ in range(count)]
        if self._chance.random() < 0.3:
            packets.append(self.disconnect())
        if self._chance.random() < 0.05:
            packets.append(wire.frame(0xF0, self._bytes(8)))
        return packets

    def connect(self) -> bytes:
        chance = self._chance
        will = None
        if chance.random() < 0.4:
            will = Will(
                self._topic(),
                self._bytes(20),
                chance.randrange(3),
                chance.random() < 0.3,
                self._properties(Prop.WILL_DELAY, Prop.MESSAGE_EXPIRY, Prop.USER_PROPERTY),
            )
        login = Login(
            chance.random() < 0.7,
            chance.choice((0, 0, 1, 30, 65_535)),
            will,
            self._username,
            self._password,
            self._properties(
                Prop.SESSION_EXPIRY,
                Prop.RECEIVE_MAXIMUM,
                Prop.MAXIMUM_PACKET_SIZE,
                Prop.TOPIC_ALIAS_MAXIMUM,
                Prop.REQUEST_PROBLEM_INFO,
                Prop.USER_PROPERTY,
            ),
        )
        return wire.connect(self.version, f"fuzz{chance.randrange(CLIENT_NAMES)}", login)

    def publish(self) -> bytes:
        chance = self._chance
        return Publish(
            "" if chance.random() < 0.1 else self._topic(),
            self._bytes(chance.choice((0, 5, 200, 3_000))),
            chance.randrange(3),
            chance.choice((1, 2, 3, 65_535)),
            chance.random() < 0.2,
            chance.random() < 0.2,
            self._properties(
                Prop.PAYLOAD_FORMAT,
                Prop.MESSAGE_EXPIRY,
                Prop.TOPIC_ALIAS,
                Prop.RESPONSE_TOPIC,
                Prop.CORRELATION_DATA,
                Prop.CONTENT_TYPE,
                Prop.USER_PROPERTY,
            ),
        ).encode(self.version)

    def subscribe(self) -> bytes:
        chance = self._chance
        options = [0, 1, 2]
        if self.version == V5:
            options += [0x04, 0x08, 0x11, 0x22, 0x2E]
        asked = [(self._filter(), chance.choice(options)) for _ in range(chance.randrange(1, 6))]
        pairs = self._properties(Prop.SUBSCRIPTION_ID, Prop.USER_PROPERTY)
        return wire.subscribe(self.version, chance.randrange(1, 5), asked, pairs)

    def unsubscribe(self) -> bytes:
        filters = [self._filter() for _ in range(self._chance.randrange(1, 4))]
        return wire.unsubscribe(self.version, self._chance.randrange(1, 5), filters)

    def acknowledgement(self) -> bytes:
        kind = self._chance.choice((Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP))
        reason = self._chance.choice((0, 0, 0x80, 0x92))
        return wire.ack(self.version, kind, self._chance.randrange(1, 6), reason)

    def ping(self) -> bytes:
        return wire.PINGREQ

    def disconnect(self) -> bytes:
        reason = self._chance.choice((0, 0, 4, 0x80))
        return wire.disconnect(self.version, reason, self._properties(Prop.SESSION_EXPIRY))

    def _topic(self) -> str:
        count = self._chance.randrange(1, 5)
        return "/".join(self._chance.choice(LEVELS) for _ in range(count)) or "a"

    def _filter(self) -> str:
        levels = [self._chance.choice((*LEVELS, "+", "+")) for _ in range(4)]
        levels = levels[: self._chance.randrange(1, 5)]
        if self._chance.random() < 0.3:
            levels.append("#")
        if self._chance.random() < 0.15:
            levels = ["$share", self._chance.choice("gh"), *levels]
        return "/".join(levels) or "#"

    def _bytes(self, count: int) -> bytes:
        return self._chance.randbytes(count)

    def _properties(self, *allowed: Prop) -> Properties:
        if self.version == V311:
            return ()
        chosen = [prop for prop in allowed if self._chance.random() < 0.25]
        return [(prop, self._value(prop)) for prop in chosen]

    def _value(self, prop: Prop) -> wire.Value:
        chance = self._chance
        match prop:
            case Prop.USER_PROPERTY:
                return chance.choice(LEVELS), chance.choice(LEVELS)
            case Prop.CORRELATION_DATA:
                return self._bytes(chance.randrange(20))
            case Prop.CONTENT_TYPE:
                return chance.choice(LEVELS)
            case Prop.RESPONSE_TOPIC:
                return self._topic()
            case Prop.PAYLOAD_FORMAT | Prop.REQUEST_PROBLEM_INFO:
                return chance.randrange(2)
            case Prop.SESSION_EXPIRY | Prop.WILL_DELAY | Prop.MESSAGE_EXPIRY:
                return chance.choice((0, 1, 2, 3))
            case _:
                return chance.choice((1, 2, 10, 1_000))


class Spoiler:
    """Spoils packets and their order."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def spoil(self, packets: list[bytes]) -> list[bytes]:
        packets = list(packets)
        ways = (
            self._flip,
            self._insert,
            self._delete,
            self._repeat,
            self._swap,
            self._cut,
            self._length,
            self._word,
            self._splice,
            self._noise,
        )
        for _ in range(self._chance.randrange(1, 5)):
            self._chance.choice(ways)(packets)
        return packets

    def _index(self, packets: list[bytes]) -> int:
        return self._chance.randrange(len(packets))

    def _flip(self, packets: list[bytes]) -> None:
        index = self._index(packets)
        data = bytearray(packets[index])
        for _ in range(self._chance.randrange(1, 4)):
            if data:
                data[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        packets[index] = bytes(data)

    def _insert(self, packets: list[bytes]) -> None:
        index = self._index(packets)
        at = self._chance.randrange(len(packets[index]) + 1)
        extra = self._chance.choice((b"\0", b"\xff", b"+", b"#", b"/", b"\xed\xa0\x80", b"\xc0"))
        packets[index] = packets[index][:at] + extra + packets[index][at:]

    def _delete(self, packets: list[bytes]) -> None:
        index = self._index(packets)
        at = self._chance.randrange(len(packets[index]) + 1)
        packets[index] = packets[index][:at] + packets[index][at + 1 :]

    def _repeat(self, packets: list[bytes]) -> None:
        index = self._index(packets)
        packets[index:index] = [packets[index]] * self._chance.choice((1, 2, 30))

    def _swap(self, packets: list[bytes]) -> None:
        first, second = self._index(packets), self._index(packets)
        packets[first], packets[second] = packets[second], packets[first]

    def _cut(self, packets: list[bytes]) -> None:
        index = self._index(packets)
        packets[index] = packets[index][: self._chance.randrange(len(packets[index]) + 1)]

    def _length(self, packets: list[bytes]) -> None:
        """Another remaining length over the same body."""
        index = self._index(packets)
        packets[index] = packets[index][:1] + self._chance.choice(VARINTS) + packets[index][2:]

    def _word(self, packets: list[bytes]) -> None:
        """Another length of a field."""
        index = self._index(packets)
        at = self._chance.randrange(len(packets[index]) + 1)
        field = wire.word(self._chance.choice(LENGTHS))
        packets[index] = packets[index][:at] + field + packets[index][at + 2 :]

    def _splice(self, packets: list[bytes]) -> None:
        """The head of one packet on the tail of another, with a length that fits."""
        first, second = self._index(packets), self._index(packets)
        head, tail = packets[first][2:], packets[second][2:]
        body = head[: self._chance.randrange(len(head) + 1)]
        body += tail[self._chance.randrange(len(tail) + 1) :]
        kind = packets[first][:1] or b"\x30"
        packets[first] = kind + wire.varint(len(body)) + body

    def _noise(self, packets: list[bytes]) -> None:
        packets.insert(self._index(packets), self._chance.randbytes(self._chance.randrange(1, 64)))


def make_script(seed: int, username: str | None = None, password: bytes | None = None) -> Script:
    """Return what the client of this seed sends."""
    chance = random.Random(seed)
    packets = Grammar(chance, username, password).session()
    count = len(packets)
    is_spoilt = chance.random() < SPOILT
    if is_spoilt:
        packets = Spoiler(chance).spoil(packets)
    is_websocket = chance.random() < 0.3
    chunks = _cut_apart(chance, b"".join(packets))
    if is_websocket:
        chunks = _websocket_chunks(chance, chunks, is_spoilt=is_spoilt)
    ending = chance.choice(("eof", "eof", "eof", "abort"))
    return Script(seed, is_websocket, tuple(chunks), count, ending)


def _cut_apart(chance: random.Random, data: bytes) -> list[bytes]:
    """Cut where no packet cares: mostly whole, at times into a few pieces or single bytes."""
    style = chance.random()
    if style < 0.6 or len(data) < 2:
        return [data]
    if style < 0.9:
        cuts = sorted(chance.randrange(1, len(data)) for _ in range(chance.randrange(1, 5)))
        return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]
    head = [data[index : index + 1] for index in range(min(30, len(data)))]
    return [*head, data[30:]]


_HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def _websocket_chunks(
    chance: random.Random, chunks: list[bytes], *, is_spoilt: bool
) -> list[bytes]:
    framed = [_HANDSHAKE, *(_frame(chance, 2, chunk) for chunk in chunks)]
    if not is_spoilt or chance.random() < 0.6:
        return framed
    way = chance.randrange(6)
    index = chance.randrange(len(framed))
    if way == 0:  # text, reserved opcodes, close, ping with too much in it
        framed.insert(index, _frame(chance, chance.randrange(16), chance.randbytes(150)))
    elif way == 1:  # a length that never comes
        framed.insert(index, b"\x82\xff" + b"\x7f" * 8)
    elif way == 2:  # not masked
        framed.append(b"\x82\x02\xc0\x00")
    elif way == 3:
        framed[index] = framed[index][: chance.randrange(len(framed[index]) + 1)]
    elif way == 4:
        data = bytearray(framed[index])
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        framed[index] = bytes(data)
    else:  # a fragment that is never finished, and another message within it
        framed.append(_frame(chance, 2, b"\xc0", is_final=False))
        framed.append(_frame(chance, 2, b"\xc0\0"))
    return framed


def _frame(chance: random.Random, opcode: int, data: bytes, *, is_final: bool = True) -> bytes:
    mask = chance.randbytes(4)
    first = (0x80 if is_final else 0) | opcode
    if len(data) < 126:
        head = bytes((first, 0x80 | len(data)))
    else:
        head = bytes((first, 0xFE)) + min(len(data), 65_535).to_bytes(2, "big")
    return head + mask + bytes(byte ^ mask[index & 3] for index, byte in enumerate(data))
