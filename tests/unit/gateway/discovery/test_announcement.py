import random
from dataclasses import asdict

import pytest

from gateway.discovery.announcement import (
    HEIGHT_MAX,
    INSTANCE_NAME_BYTES_MAX,
    VALUE_LENGTH_MAX,
    Announcement,
    format_instance_name,
    format_txt,
    network_fingerprint,
    node_fingerprint,
    parse_found,
)
from ledger.crypto.hashing import sha256

OURS = Announcement(
    name="cellar",
    node_id=b"n" * 32,
    chain_id=bytes(range(32)),
    role="agent",
    version="0.1.0",
    mqtt_port=1883,
    api_port=8080,
    peer_port=8884,
    height=42,
)


def as_heard(txt):
    return {key.encode(): value.encode() for key, value in txt.items()}


def test_what_is_announced_is_what_is_found():
    found = parse_found("cellar", ("192.0.2.7",), 1883, as_heard(format_txt(OURS)))

    assert found
    assert asdict(found) == {
        "name": "cellar",
        "addresses": ("192.0.2.7",),
        "port": 1883,
        "node": sha256(b"n" * 32).hex()[:16],
        "network": "0001020304050607",
        "role": "agent",
        "version": "0.1.0",
        "mqtt_port": 1883,
        "api_port": 8080,
        "peer_port": 8884,
        "height": 42,
    }


def test_every_txt_pair_fits_the_one_length_byte():
    assert format_txt(OURS)["txtvers"] == "1"
    assert all(len(key) + 1 + len(value) <= 255 for key, value in format_txt(OURS).items())


def test_fingerprints_are_sixteen_hexadecimal_digits():
    assert len(node_fingerprint(b"n" * 32)) == len(network_fingerprint(bytes(32))) == 16
    assert node_fingerprint(b"n" * 32) != node_fingerprint(b"m" * 32)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("cellar", "cellar"),
        ("Haus 3. Stock", "Haus 3- Stock"),
        ("a\x00b\nc", "a-b-c"),
        ("", "smartshare"),
        ("x" * 100, "x" * INSTANCE_NAME_BYTES_MAX),
        ("ü" * 100, "ü" * (INSTANCE_NAME_BYTES_MAX // 2)),
    ],
)
def test_an_instance_name_is_a_short_label_without_dots(name, label):
    assert format_instance_name(name) == label


@pytest.mark.parametrize("version", [b"", b"0", b"2", b"1\n", None])
def test_another_version_is_not_read(version):
    txt = as_heard(format_txt(OURS)) | {b"txtvers": version}

    found = parse_found("x", (), 1, txt)

    assert (found is None) == (version != b"1\n")  # a control character is cut off, like anywhere


def test_control_characters_and_length_are_cut():
    txt = as_heard(format_txt(OURS)) | {
        b"role": b"\x1b[31mred\x07\r\n" + b"x" * 250,
        b"ver": b"\xff\xfe\xe2\x80\xae1.0",
    }

    found = parse_found("evil\x1b]0;\x07\nname" + "y" * 300, (), 1, txt)

    assert found
    assert found.role == ("[31mred" + "x" * 250)[:VALUE_LENGTH_MAX]
    assert found.role.isprintable()
    assert found.version.isprintable()
    assert found.name.startswith("evil]0;name")
    assert len(found.name) == VALUE_LENGTH_MAX


@pytest.mark.parametrize(
    "raw", [b"-1", b"65536", b"9" * 200, b"1.5", b"0x10", "٣".encode(), b"", b" 7", None]
)
def test_a_number_that_is_none_is_zero(raw):
    found = parse_found(
        "x", (), 1, as_heard(format_txt(OURS)) | {b"mqtt": raw, b"api": raw, b"peer": raw}
    )

    assert found
    assert found.mqtt_port == found.api_port == found.peer_port == 0


def test_heights_have_a_limit():
    heard = as_heard(format_txt(OURS))
    highest = parse_found("x", (), 1, heard | {b"height": str(HEIGHT_MAX).encode()})
    over = parse_found("x", (), 1, heard | {b"height": str(HEIGHT_MAX + 1).encode()})

    assert highest
    assert over
    assert (highest.height, over.height) == (HEIGHT_MAX, 0)


@pytest.mark.parametrize("raw", [b"short", b"G" * 16, b"A" * 16, b"0" * 17, b"0" * 15 + b"\n"])
def test_a_fingerprint_that_is_none_is_empty(raw):
    found = parse_found("x", (), 1, as_heard(format_txt(OURS)) | {b"id": raw, b"net": raw})

    assert found
    assert found.node == found.network == ""


def test_random_records_never_raise_and_are_printable():
    chance = random.Random(3)
    keys = [
        b"txtvers",
        b"id",
        b"net",
        b"role",
        b"ver",
        b"mqtt",
        b"api",
        b"peer",
        b"height",
        b"other",
    ]
    for _ in range(2_000):
        txt = {key: chance.randbytes(chance.randrange(256)) for key in keys} | {b"txtvers": b"1"}
        found = parse_found(chance.randbytes(20).decode("latin-1"), (), 1, txt)
        assert found
        texts = (found.name, found.node, found.network, found.role, found.version)
        assert all(text.isprintable() and len(text) <= VALUE_LENGTH_MAX for text in texts)
