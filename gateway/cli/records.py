"""`readings`, `receipt` and `verify`: what was measured, and the proof of it."""

import argparse
from pathlib import Path

from gateway.app.receipts import make_proof, make_receipt
from gateway.cli.output import emit, home_of, table
from gateway.errors import SettingsError
from gateway.ledger_host.genesis import read_genesis
from gateway.model.observation import StoredReading
from gateway.pipeline.normalise import format_decimal
from gateway.readings.queries import ReadingsReader
from gateway.settings import write_atomic
from ledger.codec.text import format_address
from ledger.light import BrokenLink, VerifiedReading, verify_receipt
from ledger.types.reading import Quantity
from ledger.types.time_text import format_time_ms

LAST_MAX = 100_000  # what one command prints; more is a job for the database
RECEIPT_BYTES_MAX = 16 * 1024 * 1024  # twice the largest receipt that is valid


def readings(options: argparse.Namespace) -> int:
    """Print a device's newest readings."""
    if not 1 <= options.last <= LAST_MAX:
        raise SettingsError(f"--last {options.last}: from 1 to {LAST_MAX}")
    reader = ReadingsReader.open(home_of(options).readings)
    try:
        found = reader.last(options.device, options.last)
    finally:
        reader.close()
    rows = [
        (
            str(one.reading.sequence),
            format_time_ms(one.reading.gateway_time_ms),
            one.reading.clock.name.lower(),
            "  ".join(_in_words(quantity) for quantity in one.reading.quantities),
        )
        for one in found
    ]
    text = table(("SEQ", "TIME", "CLOCK", "VALUES"), rows) if rows else "no readings yet"
    emit(options, [_as_data(one) for one in found], text)
    return 0


def receipt(options: argparse.Namespace) -> int:
    """Write a reading's receipt to a file, or print it; or print its proof for a contract."""
    home = home_of(options)
    if options.proof:
        print("0x" + make_proof(home, options.device, options.sequence).hex())
        return 0
    text = make_receipt(home, options.device, options.sequence)
    if options.output is None:
        print(text, end="")
        return 0
    try:
        write_atomic(options.output, text.encode())
    except OSError as error:
        raise SettingsError(f"{options.output}: cannot be written: {error.strerror}") from None
    print(
        f"{options.output} is written; check it anywhere with "
        f"`smartshare verify {options.output} --genesis {home.genesis}`"
    )
    return 0


def verify(options: argparse.Namespace) -> int:
    """Verify a receipt with nothing but a genesis file."""
    genesis = read_genesis(options.genesis)
    result = verify_receipt(_read_receipt(options.file), genesis)
    if isinstance(result, BrokenLink):
        emit(
            options,
            {"valid": False, "link": result.link.value, "detail": result.detail},
            f"NOT VALID  {options.file}\n  broken link: {result}",
        )
        return 1
    emit(options, _verified_data(result), f"VALID  {options.file}\n{_verified_text(result)}")
    return 0


def _read_receipt(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(RECEIPT_BYTES_MAX)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None


def _verified_data(result: VerifiedReading) -> dict[str, object]:
    return {
        "valid": True,
        "device_id": result.reading.device_id.hex(),
        "sequence": result.reading.sequence,
        "time": format_time_ms(result.reading.gateway_time_ms),
        "clock": result.reading.clock.name.lower(),
        "values": {q.name: _decimal(q) for q in result.reading.quantities},
        "units": {q.name: q.unit for q in result.reading.quantities},
        "block_height": result.block_height,
        "block_time": format_time_ms(result.block_time_ms),
        "anchor": result.anchor_id.hex(),
        "metering_key": format_address(result.metering_key),
        "signers": [format_address(signer) for signer in result.signers],
    }


def _verified_text(result: VerifiedReading) -> str:
    reading = result.reading
    lines = [
        f"  device    {reading.device_id.hex()}",
        f"  reading   {reading.sequence}, {format_time_ms(reading.gateway_time_ms)} "
        f"(clock {reading.clock.name.lower()})",
        f"  anchored  block {result.block_height}, {format_time_ms(result.block_time_ms)}, "
        f"by {format_address(result.metering_key)}",
        f"  final by  {len(result.signers)} of the agents in the genesis",
    ]
    lines += [
        f"  {quantity.name:<20} {_decimal(quantity) or '-':>14} {quantity.unit}"
        for quantity in reading.quantities
    ]
    return "\n".join(lines)


def _as_data(stored: StoredReading) -> dict[str, object]:
    reading = stored.reading
    return {
        "sequence": reading.sequence,
        "time": format_time_ms(reading.gateway_time_ms),
        "source_time": (
            format_time_ms(reading.source_time_ms) if reading.source_time_ms is not None else None
        ),
        "clock": reading.clock.name.lower(),
        "values": {q.name: _decimal(q) for q in reading.quantities},
        "units": {q.name: q.unit for q in reading.quantities},
    }


def _decimal(quantity: Quantity) -> str | None:
    if quantity.value is None:
        return None
    return format_decimal(quantity.value, quantity.scale)


def _in_words(quantity: Quantity) -> str:
    return f"{quantity.name}={_decimal(quantity) or '-'} {quantity.unit}".rstrip()
