"""Measurement records of a meter with a key in this process: for tests."""

import msgspec

from gateway.metering.ocmf import Page
from gateway.metering.pages import build_signed_record, hash_page
from ledger.codec.canonical import encode
from ledger.crypto.domains import NO_HASH, measurement_message
from ledger.crypto.ed25519 import sign
from ledger.types.metering import Mark, Meter, MeteringRecord, MeterState
from ledger.types.reading import ClockStatus
from tests.support.transactions import CHAIN_ID, Person

SIGNER = Person("metering")
START_MS = 1_800_000_000_123
METER = Meter(b"d" * 32, b"p" * 32, "Eastron", "SDM630", "12345")


def make_record(**changes: object) -> MeteringRecord:
    usual = MeteringRecord(
        chain_id=CHAIN_ID,
        signer=SIGNER.address,
        meter=METER,
        page=1,
        previous=NO_HASH,
        sequence=7,
        time_ms=START_MS,
        clock=ClockStatus.SYNCHRONISED,
        mark=Mark.BEGIN,
        state=MeterState.OK,
        quantity="energy_import_total",
        value=12_358_658,
        scale=-3,
        unit="kWh",
        session="car 1",
        tariff="day",
    )
    return msgspec.structs.replace(usual, **changes)


def sign_page(record: MeteringRecord, signer: Person = SIGNER) -> bytes:
    payload = encode(record)
    return build_signed_record(payload, sign(signer.seed, measurement_message(payload)))


def make_pages(*changes: dict[str, object]) -> list[MeteringRecord]:
    """Return records that follow each other."""
    records: list[MeteringRecord] = []
    previous = NO_HASH
    for number, change in enumerate(changes, 1):
        time_ms = START_MS + number * 60_000
        records.append(
            make_record(**({"page": number, "previous": previous, "time_ms": time_ms} | change))
        )
        previous = hash_page(encode(records[-1]))
    return records


def as_page(record: MeteringRecord) -> Page:
    return Page(record, encode(record))


SESSION = make_pages(
    {"mark": Mark.BEGIN},
    {"mark": Mark.TARIFF, "value": 12_360_000, "tariff": "night"},
    {"mark": Mark.END, "value": 12_361_001, "tariff": "night"},
)
