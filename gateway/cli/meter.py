"""`meter`: signed measurement records of a device, and OCMF text of ours and of any maker."""

import argparse
from pathlib import Path

from gateway.app.metering import MeteringBook, Occasion
from gateway.app.metering_file import MeteringFile
from gateway.cli.output import emit, home_of, table
from gateway.errors import SettingsError
from gateway.metering.ecdsa import Curve
from gateway.metering.ocmf_text import TEXT_BYTES_MAX, OcmfText, parse_ocmf, parse_public_key
from gateway.metering.pages import decode_page, find_broken
from gateway.pipeline.normalise import format_decimal
from gateway.readings.queries import ReadingsReader
from gateway.settings import write_atomic
from gateway.smart_agent.client import AgentClient
from gateway.smart_agent.metering_client import MeteringClient
from ledger.types.metering import Mark, MeteringRecord
from ledger.types.reading import Reading
from ledger.types.time_text import format_time_ms


def record(options: argparse.Namespace) -> int:
    """Sign the device's newest reading as its meter's next page."""
    home = home_of(options)
    foreign = b"" if options.ocmf is None else _load_foreign(options)
    reading = _newest_reading(options)
    agent = AgentClient(home.agent_socket)
    book = MeteringBook(home, MeteringClient(agent), agent.describe())
    occasion = Occasion(
        Mark[options.mark.upper()], options.quantity, options.session, options.tariff, foreign
    )
    page = book.record(options.device, reading, occasion)
    emit(options, _as_data(page.record), _in_words(page.record))
    return 0


def list_records(options: argparse.Namespace) -> int:
    """List the device's pages."""
    records = _records(options)
    rows = [
        (
            str(one.page),
            format_time_ms(one.time_ms),
            one.clock.name.lower(),
            one.mark.name.lower(),
            _value(one),
            one.session,
            one.tariff,
        )
        for one in records
    ]
    headings = ("PAGE", "TIME", "CLOCK", "MARK", "VALUE", "SESSION", "TARIFF")
    text = table(headings, rows) if rows else "no pages yet"
    emit(options, [_as_data(one) for one in records], text)
    return 0


def check(options: argparse.Namespace) -> int:
    """Check signatures and numbers of every page; exit 1 and name the first that breaks."""
    pages = MeteringFile(home_of(options), options.device).pages()
    problem = find_broken(pages)
    emit(
        options,
        {"pages": len(pages), "problem": problem},
        f"{len(pages)} pages hold" if problem is None else f"BROKEN  {problem}",
    )
    return 0 if problem is None else 1


def export(options: argparse.Namespace) -> int:
    """Write a session's pages as one OCMF text; or give back what the meter signed on a page."""
    home = home_of(options)
    raws = MeteringFile(home, options.device).pages()
    if options.page is not None:
        return _write(options, _foreign_of(raws, options.page))
    if not raws:
        raise SettingsError(f"{options.device} has no pages: `smartshare meter record` makes one")
    session = options.session
    if session is None:
        session = decode_page(raws[-1])[0].record.session
    chosen = tuple(raw for raw in raws if decode_page(raw)[0].record.session == session)
    if not chosen:
        raise SettingsError(f"{options.device} has no pages of session {session!r}")
    agent = MeteringClient(AgentClient(home.agent_socket))
    return _write(options, agent.write_ocmf(chosen, Curve(options.curve)).encode())


def key(options: argparse.Namespace) -> int:
    """Print the public key with which our OCMF texts are verified."""
    agent = MeteringClient(AgentClient(home_of(options).agent_socket))
    public = agent.ocmf_key(Curve(options.curve)).hex()
    emit(options, {"curve": options.curve, "public_key": public}, public)
    return 0


def verify(options: argparse.Namespace) -> int:
    """Verify an OCMF text; exit 1 where its signature does not hold."""
    text = parse_ocmf(_read(options.file))
    public = text.embedded_key if options.key is None else parse_public_key(options.key)
    if public is None:
        raise SettingsError("with which key? add --key with the meter's public key")
    is_signed = text.is_signed_by(public)
    fields = text.fields
    summary = {
        "signature": "good" if is_signed else "bad: not this key's over this text",
        "curve": text.curve.value,
        "page": fields.get("PG"),
        "meter": fields.get("MS"),
        "readings": len(fields["RD"]),
    }
    words = "\n".join(f"{name:<10}{value}" for name, value in summary.items())
    emit(options, summary, words)
    return 0 if is_signed else 1


def _write(options: argparse.Namespace, raw: bytes) -> int:
    if options.output is not None:
        write_atomic(options.output, raw)
        emit(options, {"file": str(options.output)}, f"written to {options.output}")
        return 0
    emit(options, {"ocmf": raw.decode()}, raw.decode())
    return 0


def _load_foreign(options: argparse.Namespace) -> bytes:
    """Return a meter's own OCMF text; refused unless its signature holds."""
    text: OcmfText = parse_ocmf(_read(options.ocmf))
    public = text.embedded_key if options.ocmf_key is None else parse_public_key(options.ocmf_key)
    if public is None:
        raise SettingsError("the meter's own text needs its public key: add --ocmf-key")
    if not text.is_signed_by(public):
        raise SettingsError(f"{options.ocmf}: its signature is not this key's: it is not kept")
    return text.raw


def _foreign_of(raws: list[bytes], page: int) -> bytes:
    for raw in raws:
        record_ = decode_page(raw)[0].record
        if record_.page == page and record_.foreign:
            return record_.foreign
    raise SettingsError(f"page {page} holds nothing that the meter signed itself")


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(TEXT_BYTES_MAX + 1)


def _newest_reading(options: argparse.Namespace) -> Reading:
    reader = ReadingsReader.open(home_of(options).readings)
    try:
        found = reader.last(options.device, 1)
    finally:
        reader.close()
    if not found:
        raise SettingsError(f"{options.device} has no reading yet")
    return found[0].reading


def _records(options: argparse.Namespace) -> list[MeteringRecord]:
    raws = MeteringFile(home_of(options), options.device).pages()
    return [decode_page(raw)[0].record for raw in raws]


def _value(one: MeteringRecord) -> str:
    return "-" if one.value is None else f"{format_decimal(one.value, one.scale)} {one.unit}"


def _as_data(one: MeteringRecord) -> dict[str, object]:
    return {
        "page": one.page,
        "mark": one.mark.name.lower(),
        "time": format_time_ms(one.time_ms),
        "clock": one.clock.name.lower(),
        "quantity": one.quantity,
        "value": None if one.value is None else format_decimal(one.value, one.scale),
        "unit": one.unit,
        "sequence": one.sequence,
        "session": one.session,
        "tariff": one.tariff,
        "has_foreign": bool(one.foreign),
    }


def _in_words(one: MeteringRecord) -> str:
    return (
        f"page {one.page}: {one.mark.name.lower()}, {one.quantity} {_value(one)}, "
        f"{format_time_ms(one.time_ms)} (clock {one.clock.name.lower()})"
    )
