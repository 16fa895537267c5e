"""Text addresses against a slow reference written from BIP-173 and BIP-350."""

import pytest
from hypothesis import given, strategies as st

from ledger.codec.text import format_address, parse_address
from ledger.errors import CodecError

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
BECH32M = 0x2BC830A3
addresses = st.binary(min_size=32, max_size=32)
SAMPLE = format_address(bytes(range(32)))


# The checksum as polynomial division over GF(32), coefficient by coefficient. BIP-173: the field
# is GF(2)[a]/(a^5 + a^3 + 1), the generator is
# x^6 + 29 x^5 + 22 x^4 + 20 x^3 + 21 x^2 + 29 x + 18.
GENERATOR = (29, 22, 20, 21, 29, 18)


def multiply(first: int, second: int) -> int:
    product = 0
    for bit in range(5):
        if second >> bit & 1:
            product ^= first << bit
    for bit in range(8, 4, -1):
        if product >> bit & 1:
            product ^= 0b101001 << bit - 5
    return product


def remainder(coefficients: list[int]) -> list[int]:
    """Of 1 followed by the coefficients, divided by the generator."""
    rest = [0, 0, 0, 0, 0, 1]
    for coefficient in coefficients:
        lead, rest = rest[0], [*rest[1:], coefficient]
        rest = [r ^ multiply(lead, g) for r, g in zip(rest, GENERATOR, strict=True)]
    return rest


def reference_format(prefix: str, data: bytes, constant: int) -> str:
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    symbols = [int(bits[i : i + 5], 2) for i in range(0, len(bits), 5)]
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    rest = remainder(expanded + symbols + [0] * 6)
    wanted = [constant >> 5 * (5 - i) & 31 for i in range(6)]
    checksum = [r ^ w for r, w in zip(rest, wanted, strict=True)]
    return prefix + "1" + "".join(ALPHABET[symbol] for symbol in symbols + checksum)


def test_the_reference_knows_the_examples_of_the_standards():
    # BIP-173 (constant 1) and BIP-350 (bech32m): text parts without data.
    assert reference_format("a", b"", 1) == "a12uel5l"
    assert reference_format("a", b"", BECH32M) == "a1lqfn3a"


@given(addresses)
def test_addresses_are_bech32m_and_come_back(address):
    text = format_address(address)
    assert text == reference_format("ssp", address, BECH32M)
    assert len(text) == 62
    assert parse_address(text) == address


@pytest.mark.parametrize("position", range(62))
def test_every_single_substitution_is_refused(position):
    for char in ALPHABET + "bio1 A":
        if char != SAMPLE[position]:
            with pytest.raises(CodecError):
                parse_address(SAMPLE[:position] + char + SAMPLE[position + 1 :])


@given(
    address=addresses,
    changes=st.dictionaries(st.integers(4, 61), st.sampled_from(ALPHABET), min_size=1, max_size=4),
)
def test_up_to_four_typing_errors_are_refused(address, changes):
    text = format_address(address)
    typed = "".join(changes.get(position, char) for position, char in enumerate(text))
    if typed != text:
        with pytest.raises(CodecError):
            parse_address(typed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not start"),
        ("ssp", "does not start"),
        (SAMPLE.upper(), "does not start"),
        ("btc" + SAMPLE[3:], "does not start"),
        (SAMPLE + "q", "63 characters instead of 62"),
        (SAMPLE[:-1], "61 characters instead of 62"),
        (SAMPLE + "\n", "no address contains"),
        (" " + SAMPLE, "does not start"),
        (reference_format("ssp", bytes(32), 1), "checksum"),
        (reference_format("ssp", bytes(31), BECH32M), "60 characters instead of 62"),
        (reference_format("ssp", bytes(33), BECH32M), "64 characters|63 characters"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text, message):
    with pytest.raises(CodecError, match=message) as error:
        parse_address(text)
    assert "\n" not in str(error.value)


def test_padding_bits_are_zero_so_an_address_has_one_text():
    symbols = [ALPHABET.index(char) for char in SAMPLE[4:56]]
    for padding in range(1, 16):
        data = [*symbols[:-1], symbols[-1] | padding]
        prefix = [ord(c) >> 5 for c in "ssp"] + [0] + [ord(c) & 31 for c in "ssp"]
        rest = remainder(prefix + data + [0] * 6)
        checksum = [r ^ (BECH32M >> 5 * (5 - i) & 31) for i, r in enumerate(rest)]
        text = "ssp1" + "".join(ALPHABET[symbol] for symbol in data + checksum)
        with pytest.raises(CodecError, match="padded"):
            parse_address(text)
