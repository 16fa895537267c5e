"""A meter's signed pages, checked as a whole: signatures, numbers without a gap, each naming the one before.

So a page that was taken out, changed or put in is named. Pure.
"""

from collections.abc import Iterable

from gateway.metering.ocmf import Page
from ledger.codec.canonical import Decoder, encode
from ledger.crypto.domains import NO_HASH, measurement_message
from ledger.crypto.ed25519 import verify_strict
from ledger.crypto.hashing import sha256
from ledger.errors import CodecError
from ledger.types.metering import MeteringRecord, SignedRecord

_signed = Decoder(SignedRecord)
_records = Decoder(MeteringRecord)


def build_signed_record(payload: bytes, signature: bytes) -> bytes:
    """Return the canonical bytes of a signed record."""
    return encode(SignedRecord(payload, signature))


def hash_page(payload: bytes) -> bytes:
    """Return what the next page names as the one before it."""
    return sha256(payload)


def decode_page(raw: bytes) -> tuple[Page, bytes]:
    """Return a page and its signature; raises `CodecError`. The signature is not judged."""
    signed = _signed.decode(raw)
    return Page(_records.decode(signed.payload), signed.payload), signed.signature


def decode_record(payload: bytes) -> MeteringRecord:
    """Return a record of its canonical bytes; raises `CodecError`."""
    return _records.decode(payload)


def find_broken(pages: Iterable[bytes]) -> str | None:
    """Return which page of one meter breaks the sequence and how, or None where all hold.

    The first page given may be any; from there on nothing may be missing.
    """
    before: Page | None = None
    for position, raw in enumerate(pages):
        try:
            page, signature = decode_page(raw)
        except CodecError as error:
            return f"entry {position}: {error}"
        problem = _find_problem(page, signature, before)
        if problem is not None:
            return f"page {page.record.page}: {problem}"
        before = page
    return None


def _find_problem(page: Page, signature: bytes, before: Page | None) -> str | None:
    record = page.record
    if not verify_strict(record.signer, measurement_message(page.payload), signature):
        return "not signed by the key that it names"
    if before is None:
        is_first = record.page == 1
        return (
            "the first page names one before it"
            if is_first and record.previous != NO_HASH
            else None
        )
    if record.meter.device_id != before.record.meter.device_id:
        return "of another meter"
    if record.page != before.record.page + 1:
        return f"it does not follow page {before.record.page}"
    if record.previous != hash_page(before.payload):
        return f"it names another page {before.record.page} than the one here"
    return None
