"""Marks of a session: begin, tariff changes and end, each once, whatever restarts in between."""

from typing import Any, cast

import msgspec
import pytest

from edge_contracts.values import encode_value
from gateway.app.ledger_link import LedgerLink
from gateway.app.metering import MeteringBook, Occasion, session_text
from gateway.app.metering_witness import SessionWitness, Terms, parse_terms
from gateway.app.registry import SessionBinding
from gateway.errors import AgentError, SettingsError
from gateway.metering.ocmf import Page
from gateway.model.ledger_api import QueryReply
from ledger.types.metering import Mark, MeteringRecord
from ledger.types.reading import Reading
from tests.support.ledger_lab import make_reading
from tests.support.metering import as_page, make_record

HOUR_MS = 3_600_000
BINDING = SessionBinding(b"c" * 32, "car 1", 60_000)
TERMS = {
    "quantity": "energy",
    "unit": "kWh",
    "tariff": {
        "name": "two zones",
        "utc_offset_minutes": 60,
        "zones": [
            {"name": "night", "from_minute": 0, "to_minute": 360},
            {"name": "day", "from_minute": 360, "to_minute": 1440},
        ],
    },
}


def at_hour(hour: int, sequence: int = 1) -> Reading:
    """A reading at this hour of the tariff's own clock."""
    return msgspec.structs.replace(make_reading(sequence), gateway_time_ms=(hour + 23) * HOUR_MS)


class Book:
    """Keeps occasions instead of signing them; may refuse."""

    def __init__(self) -> None:
        self.made: list[tuple[Mark, int, str]] = []
        self.newest: MeteringRecord | None = None
        self.refusal = ""

    def newest_of(self, _device: str, session: str) -> MeteringRecord | None:
        assert session == session_text(BINDING.contract, "car 1")
        return self.newest

    def record(self, _device: str, reading: Reading, occasion: Occasion) -> Page:
        if self.refusal:
            raise AgentError(self.refusal)
        assert occasion.quantity == "energy"
        self.made.append((occasion.mark, reading.sequence, occasion.tariff))
        self.newest = make_record(mark=occasion.mark, tariff=occasion.tariff)
        return as_page(self.newest)


class Ledger:
    def __init__(self, terms: Any) -> None:
        self.terms = terms
        self.refusal = "no such method"
        self.asked = 0

    async def call(self, verb: str, body: dict[str, Any], _reply: Any) -> QueryReply:
        self.asked += 1
        assert (verb, body["method"]) == ("query", "terms")
        if self.terms is None:
            return QueryReply(ok=False, refusal=self.refusal)
        return QueryReply(ok=True, result=encode_value(self.terms).hex())


@pytest.fixture
def book():
    return Book()


def make(book: Book, terms: Any = TERMS) -> tuple[SessionWitness, Ledger]:
    ledger = Ledger(terms)
    return SessionWitness(cast("MeteringBook", book), cast("LedgerLink", ledger)), ledger


async def test_a_session_has_its_marks(book):
    witness, ledger = make(book)
    hours = [4, 5, 5, 6, 7, 12]
    readings = [at_hour(hour, n) for n, hour in enumerate(hours, 1)]
    await witness.recorded("meter", BINDING, readings[:3])
    await witness.recorded("meter", BINDING, readings[3:])
    await witness.ended("meter", BINDING, readings[-1])
    await witness.ended("meter", BINDING, readings[-1])
    assert book.made == [(Mark.BEGIN, 1, "night"), (Mark.TARIFF, 4, "day"), (Mark.END, 6, "day")]
    assert ledger.asked == 1


async def test_a_restart_repeats_nothing(book):
    for hour, number in ((4, 1), (5, 2), (6, 3), (7, 4)):
        witness, _ = make(book)
        await witness.recorded("meter", BINDING, [at_hour(hour, number)])
    for _ in range(2):
        witness, _ = make(book)
        await witness.ended("meter", BINDING, at_hour(8, 5))
    assert [mark for mark, _, _ in book.made] == [Mark.BEGIN, Mark.TARIFF, Mark.END]


async def test_what_could_not_be_signed_is_marked_with_the_next_reading(book):
    witness, _ = make(book)
    book.refusal = "identity-not-held"
    await witness.recorded("meter", BINDING, [at_hour(4, 1)])
    assert "identity-not-held" in witness.problem
    book.refusal = ""
    await witness.recorded("meter", BINDING, [at_hour(5, 2)])
    assert book.made == [(Mark.BEGIN, 2, "night")]
    assert witness.problem == ""


async def test_records_that_cannot_be_read_stop_nothing_else(book):
    witness, _ = make(book)

    def damaged(_device: str, _session: str) -> MeteringRecord | None:
        raise SettingsError("meter.records: damaged")

    book.newest_of = damaged
    await witness.recorded("meter", BINDING, [at_hour(4)])
    await witness.ended("meter", BINDING, at_hour(4))
    assert book.made == []
    assert "damaged" in witness.problem


async def test_a_contract_that_is_busy_is_asked_again(book):
    witness, ledger = make(book, None)
    ledger.refusal = "busy: another question to a contract is being answered"
    await witness.recorded("meter", BINDING, [at_hour(4)])
    ledger.terms = TERMS
    await witness.recorded("meter", BINDING, [at_hour(5, 2)])
    assert book.made == [(Mark.BEGIN, 2, "night")]


async def test_a_session_of_which_nothing_was_recorded_has_no_end(book):
    witness, _ = make(book)
    await witness.ended("meter", BINDING, at_hour(4))
    await witness.ended("meter", BINDING, None)
    assert book.made == []


@pytest.mark.parametrize("terms", [None, {}, {"quantity": 7}, [1], "text"])
async def test_a_contract_without_terms_has_no_marks(book, terms):
    witness, ledger = make(book, terms)
    for _ in range(3):
        await witness.recorded("meter", BINDING, [at_hour(4)])
        await witness.ended("meter", BINDING, at_hour(4))
    assert book.made == []
    assert ledger.asked == 1


def test_zones_follow_the_tariffs_own_clock():
    terms = parse_terms(TERMS)
    assert terms == Terms("energy", 60, ((360, "night"), (1440, "day")))
    assert terms.zone_at(0) == "night", "midnight UTC is one o'clock there"
    assert terms.zone_at(5 * HOUR_MS) == "day"
    assert terms.zone_at(23 * HOUR_MS) == "night"


@pytest.mark.parametrize(
    "tariff", [None, 7, {"zones": 7}, {"zones": [7, {"name": 1}, {"name": "x"}]}]
)
def test_a_tariff_of_another_shape_has_no_zones(tariff):
    terms = parse_terms({"quantity": "energy", "tariff": tariff})
    assert terms is not None
    assert terms.zone_at(0) == ""
