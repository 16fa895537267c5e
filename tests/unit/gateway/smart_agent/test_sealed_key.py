import struct

import pytest
from nacl.pwhash import argon2id

from gateway.errors import AgentError
from gateway.smart_agent.sealed_key import (
    LEAST,
    MODERATE,
    KdfLimits,
    create_sealed_key,
    open_sealed_key,
    reseal,
)
from tests.support.sealed_files import limits_of

UNLOCK = b"5f" * 32


@pytest.fixture
def sealed(tmp_path, cheap_limits):
    path = tmp_path / "sealed.key"
    root_secret = create_sealed_key(path, UNLOCK, cheap_limits)
    return path, root_secret


def test_a_sealed_key_opens_with_its_secret_and_does_not_show_it(sealed):
    path, root_secret = sealed

    assert open_sealed_key(path, UNLOCK) == root_secret
    assert len(root_secret) == 32
    assert root_secret not in path.read_bytes()
    assert path.stat().st_size == 109


def test_two_keys_from_one_unlock_secret_have_nothing_in_common(tmp_path, cheap_limits):
    one = create_sealed_key(tmp_path / "1", UNLOCK, cheap_limits)
    other = create_sealed_key(tmp_path / "2", UNLOCK, cheap_limits)

    assert one != other
    assert (tmp_path / "1").read_bytes()[21:] != (tmp_path / "2").read_bytes()[21:]


def test_the_default_limits_are_argon2s_moderate_ones(tmp_path):
    assert (MODERATE.ops, MODERATE.memory_bytes) == (3, 256 * 2**20)


def test_a_secret_that_was_drawn_needs_the_least_that_argon2_does():
    assert (LEAST.ops, LEAST.memory_bytes) == (1, 8192)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_key_that_is_sealed_anew_gets_the_work_of_its_new_secret(tmp_path, before, after):
    path = tmp_path / "key"
    root_secret = create_sealed_key(path, UNLOCK, KdfLimits(before, 8192))
    reseal(path, UNLOCK, b"another", KdfLimits(after, 16_384))

    assert limits_of(path) == KdfLimits(after, 16_384)
    assert open_sealed_key(path, b"another") == root_secret


def test_the_limits_in_the_file_are_used_to_open_it(tmp_path, cheap_limits):
    path = tmp_path / "key"
    root_secret = create_sealed_key(path, UNLOCK, type(cheap_limits)(2, 16_384))

    assert struct.unpack_from(">IQ", path.read_bytes(), 9) == (2, 16_384)
    assert open_sealed_key(path, UNLOCK) == root_secret


def test_the_wrong_secret_is_one_clear_line(sealed):
    path, _ = sealed

    with pytest.raises(AgentError, match=f"cannot unseal {path}.*unlock secret") as caught:
        open_sealed_key(path, b"wrong")

    assert "\n" not in str(caught.value)


def test_a_change_of_any_byte_is_noticed(sealed):
    path, _ = sealed
    original = path.read_bytes()

    for place in [*range(9), *range(21, len(original))]:  # between them: the limits, tested below
        path.write_bytes(original[:place] + bytes([original[place] ^ 1]) + original[place + 1 :])
        with pytest.raises(AgentError):
            open_sealed_key(path, UNLOCK)


@pytest.mark.parametrize("length", [0, 1, 37, 108, 110])
def test_a_file_of_another_length_is_damaged(sealed, length):
    path, _ = sealed
    path.write_bytes((path.read_bytes() + b"x")[:length])

    with pytest.raises(AgentError, match=r"damaged|larger"):
        open_sealed_key(path, UNLOCK)


@pytest.mark.parametrize(
    ("ops", "memory_bytes"),
    [
        (0, 8192),
        (17, 8192),
        (1, 8191),
        (1, argon2id.MEMLIMIT_SENSITIVE + 1),
        (2**32 - 1, 2**64 - 1),
    ],
)
def test_impossible_limits_are_refused_before_any_work(sealed, ops, memory_bytes):
    path, _ = sealed
    data = bytearray(path.read_bytes())
    struct.pack_into(">IQ", data, 9, ops, memory_bytes)
    path.write_bytes(data)

    with pytest.raises(AgentError, match="impossible Argon2id limits"):
        open_sealed_key(path, UNLOCK)


def test_another_format_version_says_so(sealed):
    path, _ = sealed
    data = bytearray(path.read_bytes())
    data[8] = 2
    path.write_bytes(data)

    with pytest.raises(AgentError, match="format 2, this version reads 1"):
        open_sealed_key(path, UNLOCK)
