"""Requests to the ledger process as JSON, and replies in its words; what full and light nodes share."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gateway.errors import MessagingError
from gateway.messaging.server import Handler
from gateway.model.ledger_api import DeviceReply, EventReply, TransactionReply
from gateway.settings import explain
from ledger.params import HASH_BYTES
from ledger.types.outcome import Outcome, OutcomeStatus
from ledger.types.records import Device

HEIGHT_MAX = 2**63 - 1  # what a database can count to


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """A request about one thing; each verb uses one of the fields."""

    id: str = ""
    address: str = ""
    device_id: str = ""
    raw: str = ""
    height: Annotated[int, Meta(ge=0, le=HEIGHT_MAX)] = 0
    contract: str = ""
    method: str = ""
    args: str = ""
    fresh: bool = False  # of a light node: ask for the newest header first


def build_transaction_reply(height: int, outcome: Outcome) -> TransactionReply:
    """Return what a final transaction did in the words of the reply."""
    return TransactionReply(
        status="final",
        height=height,
        applied=outcome.status is OutcomeStatus.APPLIED,
        reason=outcome.reason,
        gas_used=outcome.gas_used,
        fee_paid=outcome.fee_paid,
        result=outcome.result.hex(),
        events=tuple(
            EventReply(event.contract.hex(), event.name, event.data.hex())
            for event in outcome.events
        ),
    )


def build_device_reply(device: Device | None) -> DeviceReply:
    """Return a device's record in the words of the reply."""
    if device is None:
        return DeviceReply(registered=False)
    return DeviceReply(
        registered=True,
        next_sequence=device.next_sequence,
        last_anchor=device.last_anchor.hex(),
        profile_hash=device.profile_hash.hex(),
    )


def make_handler(answer: Callable[[Request], msgspec.Struct]) -> Handler:
    """Return the handler that reads a request, has it answered, and writes the reply."""

    def handle(body: dict[str, Any]) -> dict[str, Any]:
        try:
            request = msgspec.convert(body, Request)
        except msgspec.ValidationError as error:
            raise MessagingError(f"malformed request: {explain(error)}") from None
        reply: dict[str, Any] = msgspec.to_builtins(answer(request))
        return reply

    return handle


def parse_hex(text: str, field: str) -> bytes:
    """Return a field's bytes; raises `MessagingError`."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise MessagingError(f"{field}: not hexadecimal text") from None


def parse_bytes(text: str, field: str) -> bytes:
    """Return the bytes of an address, id or hash; raises `MessagingError`."""
    value = parse_hex(text, field)
    if len(value) != HASH_BYTES:
        raise MessagingError(f"{field}: {len(value)} bytes instead of {HASH_BYTES}")
    return value
