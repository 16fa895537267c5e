"""Marks of a contract session: a signed record when it begins, when its tariff changes, and when it ends.

What was marked is read from the records themselves, so a restart neither repeats a mark nor leaves one out.
A contract without terms that name a quantity has no marks: there is nothing that a bill would count.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from edge_contracts.errors import ContractError, ValueFormatError
from edge_contracts.values import decode_value
from gateway.app.ledger_link import LedgerLink
from gateway.app.metering import MeteringBook, Occasion, session_text
from gateway.app.registry import SessionBinding
from gateway.errors import GatewayError
from gateway.model.ledger_api import QueryReply
from ledger.errors import CodecError, Reason
from ledger.types.metering import Mark, MeteringRecord
from ledger.types.reading import Reading

logger = logging.getLogger(__name__)

ENDED = "settled"
_DAY_MINUTES = 1440
_ENDS = (Mark.END, Mark.ABORT)
_EMPTY_MAP = b"\x80"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a settlement's terms say of its measurement: the quantity, and the zones of the day."""

    quantity: str
    utc_offset_minutes: int
    zones: tuple[tuple[int, str], ...]  # (until minute, name), in order

    def zone_at(self, time_ms: int) -> str:
        """Return the tariff's zone at a time, by the tariff's own clock."""
        minute = (time_ms // 60_000 + self.utc_offset_minutes) % _DAY_MINUTES
        return next((name for until, name in self.zones if minute < until), "")


def parse_terms(value: object) -> Terms | None:
    """Return the terms in a contract's answer; None where they name no quantity."""
    if not isinstance(value, dict) or not isinstance(value.get("quantity"), str):
        return None
    tariff = value.get("tariff")
    tariff = tariff if isinstance(tariff, dict) else {}
    zones = tariff.get("zones")
    offset = tariff.get("utc_offset_minutes")
    return Terms(
        value["quantity"],
        offset if isinstance(offset, int) else 0,
        tuple(
            (zone["to_minute"], zone["name"])
            for zone in (zones if isinstance(zones, list) else ())
            if isinstance(zone, dict)
            and isinstance(zone.get("to_minute"), int)
            and isinstance(zone.get("name"), str)
        ),
    )


class SessionWitness:
    """Hears what is recorded in sessions; a mark that cannot be made now is made with the next reading."""

    def __init__(self, book: MeteringBook, ledger: LedgerLink) -> None:
        self._book = book
        self._ledger = ledger
        self._terms: dict[bytes, Terms | None] = {}
        self._newest: dict[tuple[str, str], MeteringRecord | None] = {}
        self.problem = ""

    async def recorded(
        self, device: str, binding: SessionBinding, readings: Sequence[Reading]
    ) -> None:
        """Mark the begin of a session and changes of its tariff; raises `MessagingError`."""
        terms = await self._find_terms(binding.contract)
        if terms is None:
            return
        name = session_text(binding.contract, binding.session)
        for reading in readings:
            await self._guarded(device, self._mark_reading(device, name, reading, terms))

    async def ended(self, device: str, binding: SessionBinding, last: Reading | None) -> None:
        """Mark the end of a session with the newest reading that was recorded in it."""
        terms = await self._find_terms(binding.contract)
        if terms is not None and last is not None:
            name = session_text(binding.contract, binding.session)
            await self._guarded(device, self._mark_end(device, name, last, terms))

    async def _guarded(self, device: str, marking: Coroutine[None, None, None]) -> None:
        """Let a record that cannot be made stop nothing else; it is told once."""
        try:
            await marking
        except GatewayError as error:
            if str(error) != self.problem:
                logger.warning("%s: no measurement record: %s", device, error)
            self.problem = str(error)
        else:
            self.problem = ""

    async def _mark_reading(self, device: str, name: str, reading: Reading, terms: Terms) -> None:
        zone = terms.zone_at(reading.gateway_time_ms)
        newest = await self._find_newest(device, name)
        if newest is None:
            mark = Mark.BEGIN
        elif newest.tariff != zone and newest.mark not in _ENDS:
            mark = Mark.TARIFF
        else:
            return
        await self._mark(device, name, reading, Occasion(mark, terms.quantity, name, zone))

    async def _mark_end(self, device: str, name: str, last: Reading, terms: Terms) -> None:
        newest = await self._find_newest(device, name)
        if newest is not None and newest.mark not in _ENDS:
            occasion = Occasion(Mark.END, terms.quantity, name, newest.tariff)
            await self._mark(device, name, last, occasion)

    async def _find_terms(self, contract: bytes) -> Terms | None:
        if contract not in self._terms:
            body = {"contract": contract.hex(), "method": "terms", "args": _EMPTY_MAP.hex()}
            reply = await self._ledger.call("query", body, QueryReply)
            if not reply.ok and reply.refusal.startswith(Reason.BUSY.value):
                return None  # asked again with the next readings
            self._terms[contract] = _read_terms(reply)
        return self._terms[contract]

    async def _find_newest(self, device: str, name: str) -> MeteringRecord | None:
        key = (device, name)
        if key not in self._newest:
            self._newest[key] = await asyncio.to_thread(self._book.newest_of, device, name)
        return self._newest[key]

    async def _mark(self, device: str, name: str, reading: Reading, occasion: Occasion) -> None:
        page = await asyncio.to_thread(self._book.record, device, reading, occasion)
        self._newest[device, name] = page.record
        logger.info("%s: page %d, %s", device, page.record.page, occasion.mark.name.lower())


def _read_terms(reply: QueryReply) -> Terms | None:
    if not reply.ok:
        return None
    try:
        return parse_terms(decode_value(bytes.fromhex(reply.result)))
    except (ContractError, ValueFormatError, CodecError, ValueError):
        return None
