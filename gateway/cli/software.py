"""`software`: the measurement of what runs here, and the chain's list of measurements."""

import argparse

from gateway.cli.issuer_key import send_signed
from gateway.cli.output import emit
from gateway.errors import SettingsError
from gateway.ledger_host.measurement import measure_software
from ledger.params import HASH_BYTES
from ledger.types.identity_bodies import ListSoftware


def measure(options: argparse.Namespace) -> int:
    """Print the measurement of the installed software."""
    measurement = measure_software().hex()
    emit(options, {"measurement": measurement}, measurement)
    return 0


def list_measurement(options: argparse.Namespace) -> int:
    """Put a measurement on the chain's list, as the foundation."""
    body = ListSoftware(_measurement(options.measurement), options.label, is_listed=True)
    return send_signed(options, body, "listed")


def unlist_measurement(options: argparse.Namespace) -> int:
    """Take a measurement off the chain's list, as the foundation."""
    body = ListSoftware(_measurement(options.measurement), "", is_listed=False)
    return send_signed(options, body, "taken off the list")


def _measurement(text: str) -> bytes:
    try:
        measurement = bytes.fromhex(text)
    except ValueError:
        measurement = b""
    if len(measurement) != HASH_BYTES:
        raise SettingsError(f"{text[:80]!r} is not a measurement of {2 * HASH_BYTES} hex digits")
    return measurement
