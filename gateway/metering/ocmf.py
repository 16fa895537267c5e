"""OCMF text (Open Charge Metering Format 1.0) of our measurement records. Pure; one text for given records.

    OCMF|{payload}|{signature}

Rule 1: numbers are written from integers, exactly; the payload's bytes are what is signed.
Rule 2: the records are of one meter and one session, in the order of their pages, each the signer's.
Rule 3: only imported and exported energy in Wh or kWh has a code and a unit there.
Beside the standard fields, `ZP` lists our pages and `ZH` the hashes of our own records (Ed25519): keys that begin
with Z are the format's for such use.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.errors import SettingsError
from gateway.metering.ecdsa import Curve
from gateway.pipeline.normalise import format_decimal
from ledger.crypto.hashing import sha256
from ledger.types.metering import Mark, MeteringRecord, MeterState
from ledger.types.reading import ClockStatus
from ledger.types.time_text import format_time_ms

FORMAT_VERSION = "1.0"
GATEWAY_NAME = "Smartshare gateway"
RECORDS_MAX = 64
SEPARATOR = "|"
HEADER = "OCMF"

_CODES = {"energy_import_total": "01-00:01.08.00*FF", "energy_export_total": "01-00:02.08.00*FF"}
_UNITS = frozenset({"Wh", "kWh"})
_MARKS = {
    Mark.READING: "C",
    Mark.BEGIN: "B",
    Mark.TARIFF: "T",
    Mark.END: "E",
    Mark.ABORT: "A",
}
_STATES = {
    MeterState.OK: "G",
    MeterState.TIMEOUT: "T",
    MeterState.DISCONNECTED: "D",
    MeterState.READ_ERROR: "F",
    MeterState.SUBSTITUTE: "S",
}
_CLOCKS = {
    ClockStatus.UNSYNCHRONISED: "U",
    ClockStatus.SYNCHRONISED: "S",
    ClockStatus.SIMULATED: "I",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A record with the very bytes that were hashed and signed."""

    record: MeteringRecord
    payload: bytes


def build_payload(pages: Sequence[Page], version: str) -> bytes:
    """Return the payload of a text for these records; raises `SettingsError` where they have none."""
    _check(pages)
    first, last = pages[0].record, pages[-1].record
    meter = first.meter
    fields: list[tuple[str, object]] = [
        ("FV", FORMAT_VERSION),
        ("GI", GATEWAY_NAME),
        ("GS", first.signer.hex()),
        ("GV", version),
        ("PG", f"T{last.page}"),
        ("MV", meter.vendor),
        ("MM", meter.model),
        ("MS", meter.serial or meter.device_id.hex()),
        ("IS", False),
        ("IL", "NONE"),
        ("IF", []),
        ("IT", "NONE"),
        ("ID", ""),
        ("TT", last.tariff),
        ("ZP", [page.record.page for page in pages]),
        ("ZH", [sha256(page.payload).hex() for page in pages]),
    ]
    head = ",".join(f"{json.dumps(name)}:{_json(value)}" for name, value in fields)
    readings = ",".join(_reading(page.record) for page in pages)
    return f'{{{head},"RD":[{readings}]}}'.encode()


def build_text(payload: bytes, signature: bytes, curve: Curve) -> str:
    """Return the whole text of a payload and its DER signature."""
    fields = {
        "SA": f"ECDSA-{curve.value}-SHA256",
        "SE": "hex",
        "SM": "application/x-der",
        "SD": signature.hex(),
    }
    return SEPARATOR.join((HEADER, payload.decode(), _json(fields)))


def _check(pages: Sequence[Page]) -> None:
    if not 1 <= len(pages) <= RECORDS_MAX:
        raise SettingsError(f"{len(pages)} records: one OCMF text holds 1 to {RECORDS_MAX}")
    first = pages[0].record
    for page, before in zip(pages, (None, *pages[:-1]), strict=True):
        record = page.record
        if (record.meter, record.session, record.signer, record.quantity) != (
            first.meter,
            first.session,
            first.signer,
            first.quantity,
        ):
            raise SettingsError(f"page {record.page} is of another meter, session or quantity")
        if before is not None and record.page <= before.record.page:
            raise SettingsError(f"page {record.page} does not follow page {before.record.page}")
        if record.quantity not in _CODES or record.unit not in _UNITS:
            raise SettingsError(
                f"{record.quantity} in {record.unit or 'no unit'}: OCMF has imported and exported "
                "energy in Wh or kWh only"
            )
        _check_text(record)


def _check_text(record: MeteringRecord) -> None:
    texts = (record.meter.vendor, record.meter.model, record.meter.serial, record.tariff)
    if any(SEPARATOR in text for text in texts):
        raise SettingsError(f"page {record.page}: OCMF allows no {SEPARATOR!r} in its texts")


def _reading(record: MeteringRecord) -> str:
    fields = [
        ("TM", _json(_time(record))),
        ("TX", _json(_MARKS[record.mark])),
        *([("RV", format_decimal(record.value, record.scale))] if record.value is not None else []),
        ("RI", _json(_CODES[record.quantity])),
        ("RU", _json(record.unit)),
        ("RT", _json("AC")),
        ("EF", _json("" if record.value is not None else "E")),
        ("ST", _json(_STATES[record.state])),
    ]
    return "{" + ",".join(f'"{name}":{value}' for name, value in fields) + "}"


def _time(record: MeteringRecord) -> str:
    """Return for example `2026-01-31T12:00:00,000+0000 S`."""
    text = format_time_ms(record.time_ms).removesuffix("Z").replace(".", ",")
    return f"{text}+0000 {_CLOCKS[record.clock]}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
