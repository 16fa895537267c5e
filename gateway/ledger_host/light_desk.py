"""Answers light nodes from a full one's chain: on a thread of its own, a bounded number in the waiting.

Rule: whoever asks faster than answers are made is not answered and asks again; nobody's question waits
behind more than `WAITING_PER_PEER_MAX` of one other peer.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ledger.codec.canonical import encode
from ledger.errors import LedgerError, Rejected
from ledger.light.answers import OfferAnswer
from ledger.network.light_messages import (
    LightAnswer,
    LightMessage,
    LightRequest,
    OfferTransaction,
)
from ledger.node.light_answers import LightAnswers
from ledger.params import REASON_LENGTH_MAX

_log = logging.getLogger(__name__)

WAITING_PER_PEER_MAX = 8  # of the twenty a second that a peer may ask
WAITING_MAX = 128  # each takes some milliseconds, most of them for Merkle paths

Send = Callable[[bytes, LightAnswer], None]
Submit = Callable[[bytes], bytes | Rejected]


class LightDesk:
    """Create it in a running event loop; `ask` never waits. `close` ends its thread."""

    def __init__(self, answers: LightAnswers, submit: Submit, send: Send) -> None:
        self._answers = answers
        self._submit = submit
        self._send = send
        self._waiting: Counter[bytes] = Counter()
        self._pool = ThreadPoolExecutor(1, "light-desk")
        self._is_told = False

    def close(self) -> None:
        """Drop what waits, and wait for the answer that is being made."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def hear(self, peer: bytes, message: LightMessage) -> None:
        """Answer a peer's question, unless too many of them wait; on the event loop."""
        if not isinstance(message, LightRequest):
            return  # an answer, and nobody here asked
        question = message.question
        if isinstance(question, OfferTransaction):
            self._send(peer, LightAnswer(message.number, self._take(question.raw)))
            return
        waiting = self._waiting
        if waiting[peer] >= WAITING_PER_PEER_MAX or waiting.total() >= WAITING_MAX:
            return
        waiting[peer] += 1
        loop = asyncio.get_running_loop()
        answering = loop.run_in_executor(self._pool, self._answers.answer, question)
        answering.add_done_callback(lambda done: self._answered(peer, message.number, done))

    def _answered(self, peer: bytes, number: int, done: asyncio.Future[bytes | None]) -> None:
        self._waiting[peer] -= 1
        if not self._waiting[peer]:
            del self._waiting[peer]
        if done.cancelled():
            return
        error = done.exception()
        if isinstance(error, LedgerError):
            if not self._is_told:
                _log.warning("a light node is not answered: %s", error)
            self._is_told = True
        elif error is not None:
            _log.error("a light node's question failed", exc_info=error)
        else:
            self._send(peer, LightAnswer(number, done.result()))

    def _take(self, raw: bytes) -> bytes:
        taken = self._submit(raw)
        if isinstance(taken, Rejected):
            return encode(OfferAnswer(is_taken=False, reason=str(taken)[:REASON_LENGTH_MAX]))
        return encode(OfferAnswer(is_taken=True, reason=""))
