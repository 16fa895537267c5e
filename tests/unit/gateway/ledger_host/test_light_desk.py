"""A full node answers light ones: each question once, not too many at a time, also where the chain cannot be read."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.ledger_host.light_desk import (
    COST_BURST,
    COST_MS,
    WAITING_PER_PEER_MAX,
    LightDesk,
)
from ledger.codec.canonical import Decoder
from ledger.errors import Reason, Rejected
from ledger.light.answers import OfferAnswer
from ledger.network.light_messages import (
    GetFinalBlock,
    GetInclusion,
    LightAnswer,
    LightQuestion,
    LightRequest,
    OfferTransaction,
)
from ledger.network.standing import Fault
from ledger.node.light_answers import LightAnswers
from tests.support.snapshot_lab import SnapshotLab

PEER, OTHER = bytes(32), b"o" * 32


class HeldAnswers(LightAnswers):
    """Answers only once it is let go."""

    def __init__(self, path: Path) -> None:
        self.go = threading.Event()
        self._path = path

    def answer(self, question: LightQuestion) -> bytes | None:
        self.go.wait()
        return b"answer"


class Heard:
    def __init__(self) -> None:
        self.answers: list[tuple[bytes, LightAnswer]] = []
        self.faults: list[tuple[bytes, Fault]] = []

    def send(self, peer: bytes, answer: LightAnswer) -> None:
        self.answers.append((peer, answer))

    def note_fault(self, peer: bytes, fault: Fault) -> None:
        self.faults.append((peer, fault))

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.answers) < count:  # noqa: ASYNC110 - a list tells nobody
                await asyncio.sleep(0.005)


async def made(desk: LightDesk) -> None:
    """Wait until every answer that was begun is given."""
    await asyncio.get_running_loop().run_in_executor(desk._pool, lambda: None)
    await asyncio.sleep(0)


class StillClock(SystemClock):
    """No time passes."""

    def monotonic_ns(self) -> int:
        return 0


def refuse(_raw: bytes) -> bytes | Rejected:
    return Rejected(Reason.BAD_NONCE, "nonce 7, the sender's next is 3")


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[tuple[HeldAnswers, Heard, LightDesk]]:
    answers, heard = HeldAnswers(tmp_path), Heard()
    desk = LightDesk(answers, refuse, heard.send, StillClock(), note_fault=heard.note_fault)
    yield answers, heard, desk
    answers.go.set()
    desk.close()


async def test_questions_of_one_peer_are_bounded_and_hold_nobody_else_up(held):
    answers, heard, desk = held
    for number in range(WAITING_PER_PEER_MAX + 5):
        desk.hear(PEER, LightRequest(number, GetFinalBlock(1)))
    desk.hear(OTHER, LightRequest(99, GetFinalBlock(1)))
    answers.go.set()
    await heard.until(WAITING_PER_PEER_MAX + 1)
    numbers = sorted(answer.number for _, answer in heard.answers)
    assert numbers == [*range(WAITING_PER_PEER_MAX), 99]
    desk.hear(PEER, LightRequest(100, GetFinalBlock(1)))
    await heard.until(WAITING_PER_PEER_MAX + 2)


async def test_one_peer_gets_no_more_than_its_share_of_work(held):
    answers, heard, desk = held
    answers.go.set()
    affordable = COST_BURST // COST_MS[GetInclusion]
    question = GetInclusion((bytes(32),))
    for number in range(affordable + 10):
        desk.hear(PEER, LightRequest(number, question))
        await made(desk)
    assert [answer.number for _, answer in heard.answers] == list(range(affordable))
    desk.hear(OTHER, LightRequest(9_999, question))
    await made(desk)
    assert heard.answers[-1][0] == OTHER


async def test_an_offer_is_answered_with_the_reason(held):
    _, heard, desk = held
    desk.hear(PEER, LightRequest(3, OfferTransaction(b"x")))
    ((_, answer),) = heard.answers
    assert answer.content is not None
    offer = Decoder(OfferAnswer).decode(answer.content)
    assert not offer.is_taken
    assert "the sender's next is 3" in offer.reason
    assert heard.faults == []


async def test_a_forged_offer_is_refused_and_costs_standing(tmp_path: Path):
    lab = SnapshotLab(tmp_path)
    node = lab.open_keeping()
    heard = Heard()
    desk = LightDesk(
        LightAnswers(lab.path, node.prover, lab.genesis),
        node.submit,
        heard.send,
        StillClock(),
        note_fault=heard.note_fault,
    )
    genuine = lab.transfer("alice", 0)
    forged = genuine[:-2] + b"\x00\xc0"
    desk.hear(PEER, LightRequest(3, OfferTransaction(forged)))
    desk.hear(OTHER, LightRequest(4, OfferTransaction(genuine)))
    desk.close()
    node.close()
    assert [(peer, answer.number) for peer, answer in heard.answers] == [(PEER, 3), (OTHER, 4)]
    assert heard.faults == [(PEER, Fault.FORGED)]


async def test_answers_that_nobody_asked_for_are_ignored(held):
    _, heard, desk = held
    desk.hear(PEER, LightAnswer(1, b"x"))
    assert heard.answers == []


async def test_a_chain_that_cannot_be_read_is_told_once(tmp_path: Path, caplog):
    lab = SnapshotLab(tmp_path)
    node = lab.open_keeping()
    heard = Heard()
    desk = LightDesk(
        LightAnswers(tmp_path / "none.db", node.prover, lab.genesis),
        refuse,
        heard.send,
        StillClock(),
        note_fault=heard.note_fault,
    )
    for number in range(3):
        desk.hear(PEER, LightRequest(number, GetFinalBlock(1)))
    await made(desk)
    desk.close()
    node.close()
    told = [one for one in caplog.records if "a light node is not answered" in one.getMessage()]
    assert len(told) == 1
    assert heard.answers == []
