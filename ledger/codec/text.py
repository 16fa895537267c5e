"""Addresses as people see them: bech32m (BIP-350) with the prefix `ssp`.

The checksum catches every typing error of up to four characters, so a payment cannot go astray.
"""

from ledger.errors import CodecError
from ledger.params import PUBLIC_KEY_BYTES

PREFIX = "ssp"
_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M = 0x2BC830A3
_CHECKSUM_SYMBOLS = 6


def _polymod(values: list[int]) -> int:
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                checksum ^= generator
    return checksum


def _expanded_prefix() -> list[int]:
    return [ord(char) >> 5 for char in PREFIX] + [0] + [ord(char) & 31 for char in PREFIX]


def format_address(address: bytes) -> str:
    """Return the text form of a 32-byte address, for example `ssp1qy3...`."""
    assert len(address) == PUBLIC_KEY_BYTES
    # 256 bits in 5-bit symbols: 52 symbols, the last padded with four zero bits.
    number = int.from_bytes(address, "big") << 4
    data = [number >> shift & 31 for shift in range(255, -1, -5)]
    residue = _polymod(_expanded_prefix() + data + [0] * _CHECKSUM_SYMBOLS) ^ _BECH32M
    checksum = [residue >> 5 * (5 - i) & 31 for i in range(_CHECKSUM_SYMBOLS)]
    return PREFIX + "1" + "".join(_ALPHABET[symbol] for symbol in data + checksum)


def parse_address(text: str) -> bytes:
    """Return the 32 bytes of a text address; raise `CodecError` saying what is wrong with it."""
    if not text.startswith(PREFIX + "1"):
        raise CodecError(f"address {text[:12]!r} does not start with {PREFIX}1")
    symbols = [_ALPHABET.find(char) for char in text[len(PREFIX) + 1 :]]
    if -1 in symbols:
        raise CodecError(f"address {text[:12]}... has a character that no address contains")
    if len(symbols) != 52 + _CHECKSUM_SYMBOLS:
        raise CodecError(f"address {text[:12]}... has {len(text)} characters instead of 62")
    if _polymod(_expanded_prefix() + symbols) != _BECH32M:
        raise CodecError(f"address {text[:12]}... has a wrong checksum: a character is mistyped")
    number = 0
    for symbol in symbols[:-_CHECKSUM_SYMBOLS]:
        number = number << 5 | symbol
    if number & 15:
        raise CodecError(f"address {text[:12]}... is padded wrongly")
    return (number >> 4).to_bytes(PUBLIC_KEY_BYTES, "big")
