"""The receipt as a file: JSON with one exact text for each content, so any changed byte is seen.

The `summary` repeats the reading for people; it proves nothing and must agree with the reading.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from ledger.codec.canonical import Decoder, encode
from ledger.errors import CodecError
from ledger.light.evidence import SET_CHANGES_MAX, AnchorEvidence, SetChange
from ledger.light.sided_path import (
    SidedPath,
    compute_sided_path,
    format_sided_path,
    parse_sided_path,
)
from ledger.params import HASH_BYTES, PROOF_HEADERS_MAX
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.reading import Quantity, Reading
from ledger.types.time_text import format_time_ms

# A reading of 8 KiB, an anchor below 1 KiB, a certificate of 99 signatures and the longest way to it,
# as hexadecimal, take 512 KiB; the rest is for about 250 changes among 99 agents.
RECEIPT_BYTES_MAX = 8 * 1024 * 1024
FORMAT: Final = "smartshare-receipt/1"

_PATH_STEPS_MAX = 64
_ERROR_CHARS_MAX = 160  # what a hostile file may bring onto a screen

_readings = Decoder(Reading)
_changes = Decoder(SetChange)


class QuantitySummary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measured value as people write it; None where the device gave no valid value."""

    name: str
    value: str | None
    unit: str


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The reading in words."""

    device_id: str
    sequence: int
    gateway_time: str
    source_time: str | None
    clock: str
    quantities: tuple[QuantitySummary, ...]


_Steps = Annotated[tuple[str, ...], Meta(max_length=_PATH_STEPS_MAX)]


class _ReceiptText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["smartshare-receipt/1"]
    chain_id: str
    summary: Summary
    reading: str
    leaf_index: int
    leaf_count: int
    leaf_path: _Steps
    anchor_transaction: str
    transaction_path: _Steps
    outcome: str
    outcome_path: _Steps
    header: str
    descendants: Annotated[tuple[str, ...], Meta(max_length=PROOF_HEADERS_MAX)]
    certificate: str
    agent_sets: Annotated[tuple[str, ...], Meta(max_length=SET_CHANGES_MAX)]


class Receipt(msgspec.Struct, frozen=True):
    """A receipt's content: canonical bytes and paths; `summary` as it stands in the file."""

    chain_id: bytes
    summary: Summary
    reading: bytes
    leaf_index: int
    leaf_count: int
    leaf_path: tuple[bytes, ...]
    anchor_transaction: bytes
    transaction_path: SidedPath
    outcome: bytes
    outcome_path: SidedPath
    header: bytes
    descendants: tuple[bytes, ...]
    certificate: bytes
    set_changes: tuple[SetChange, ...]


def build_receipt(  # noqa: PLR0917 - a leaf's proof and its anchor's evidence
    genesis: Genesis,
    reading_encoded: bytes,
    leaf_index: int,
    leaf_count: int,
    leaf_path: Sequence[bytes],
    evidence: AnchorEvidence,
) -> str:
    """Return the receipt of a reading (canonical bytes) whose anchor is final.

    `leaf_path` is the RFC 9162 audit path of leaf `leaf_index` of `leaf_count` in the anchor. Only
    the reading is decoded here, which raises `CodecError`; `verify_receipt` judges the rest.
    """
    position, count = evidence.position, evidence.count
    receipt = Receipt(
        chain_id=genesis_chain_id(genesis),
        summary=summarise(_readings.decode(reading_encoded)),
        reading=reading_encoded,
        leaf_index=leaf_index,
        leaf_count=leaf_count,
        leaf_path=tuple(leaf_path),
        anchor_transaction=evidence.transaction,
        transaction_path=compute_sided_path(position, count, evidence.transaction_path),
        outcome=evidence.outcome,
        outcome_path=compute_sided_path(position, count, evidence.outcome_path),
        header=evidence.header,
        descendants=evidence.descendants,
        certificate=evidence.certificate,
        set_changes=evidence.set_changes,
    )
    return format_receipt(receipt)


def format_receipt(receipt: Receipt) -> str:
    """Return the one text of a receipt."""
    text = _ReceiptText(
        format=FORMAT,
        chain_id=receipt.chain_id.hex(),
        summary=receipt.summary,
        reading=receipt.reading.hex(),
        leaf_index=receipt.leaf_index,
        leaf_count=receipt.leaf_count,
        leaf_path=tuple(sibling.hex() for sibling in receipt.leaf_path),
        anchor_transaction=receipt.anchor_transaction.hex(),
        transaction_path=format_sided_path(receipt.transaction_path),
        outcome=receipt.outcome.hex(),
        outcome_path=format_sided_path(receipt.outcome_path),
        header=receipt.header.hex(),
        descendants=tuple(header.hex() for header in receipt.descendants),
        certificate=receipt.certificate.hex(),
        agent_sets=tuple(encode(change).hex() for change in receipt.set_changes),
    )
    return msgspec.json.format(msgspec.json.encode(text), indent=2).decode() + "\n"


def parse_receipt(data: bytes) -> Receipt:
    """Return the content of a receipt's bytes; raise `CodecError` unless they are its one text."""
    if len(data) > RECEIPT_BYTES_MAX:
        raise CodecError(f"longer than {RECEIPT_BYTES_MAX} bytes")
    try:
        text = msgspec.json.decode(data, type=_ReceiptText)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CodecError(f"not a receipt: {str(error)[:_ERROR_CHARS_MAX]!a}") from None
    receipt = Receipt(
        chain_id=_parse_hash("chain_id", text.chain_id),
        summary=text.summary,
        reading=_parse_hex("reading", text.reading),
        leaf_index=text.leaf_index,
        leaf_count=text.leaf_count,
        leaf_path=tuple(_parse_hash("leaf_path", step) for step in text.leaf_path),
        anchor_transaction=_parse_hex("anchor_transaction", text.anchor_transaction),
        transaction_path=parse_sided_path(text.transaction_path),
        outcome=_parse_hex("outcome", text.outcome),
        outcome_path=parse_sided_path(text.outcome_path),
        header=_parse_hex("header", text.header),
        descendants=tuple(_parse_hex("descendants", header) for header in text.descendants),
        certificate=_parse_hex("certificate", text.certificate),
        set_changes=tuple(
            _changes.decode(_parse_hex("agent_sets", change)) for change in text.agent_sets
        ),
    )
    if format_receipt(receipt).encode() != data:
        raise CodecError("not byte for byte what the program writes: the file was edited")
    return receipt


def summarise(reading: Reading) -> Summary:
    """Return a reading in words."""
    source = reading.source_time_ms
    return Summary(
        device_id=reading.device_id.hex(),
        sequence=reading.sequence,
        gateway_time=format_time_ms(reading.gateway_time_ms),
        source_time=None if source is None else format_time_ms(source),
        clock=reading.clock.name.lower(),
        quantities=tuple(_summarise_quantity(quantity) for quantity in reading.quantities),
    )


def format_decimal(value: int, scale: int) -> str:
    """Return `value * 10**scale` in plain digits, for example 231.5; exact, all digits kept."""
    if scale >= 0:
        return str(value * 10**scale)
    digits = f"{abs(value):0{1 - scale}}"
    return f"{'-' if value < 0 else ''}{digits[:scale]}.{digits[scale:]}"


def _summarise_quantity(quantity: Quantity) -> QuantitySummary:
    value = None if quantity.value is None else format_decimal(quantity.value, quantity.scale)
    return QuantitySummary(quantity.name, value, quantity.unit)


def _parse_hex(field: str, digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise CodecError(f"{field} is not hexadecimal") from None


def _parse_hash(field: str, digits: str) -> bytes:
    parsed = _parse_hex(field, digits)
    if len(parsed) != HASH_BYTES:
        raise CodecError(f"{field} is not a hash of 64 hexadecimal digits")
    return parsed
