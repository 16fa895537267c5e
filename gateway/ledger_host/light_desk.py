"""Answers light nodes from a full one's chain: on a thread of its own, a bounded number in the waiting.

Rule 1: whoever asks faster than answers are made is not answered and asks again; nobody's question waits
behind more than `WAITING_PER_PEER_MAX` of one other peer.
Rule 2: a peer has work done for it up to `COST_PER_S`, whatever it asks.
Rule 3: an offer with a false signature costs the peer standing, as one that a full peer passes on does.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from gateway.clock import Clock
from ledger.codec.canonical import encode
from ledger.errors import LedgerError, Reason, Rejected
from ledger.light.answers import OfferAnswer
from ledger.network.budget import TokenBucket
from ledger.network.light_messages import (
    GetFinalBlock,
    GetHeaders,
    GetInclusion,
    GetState,
    LightAnswer,
    LightMessage,
    LightQuestion,
    LightRequest,
    OfferTransaction,
)
from ledger.network.standing import Fault
from ledger.node.light_answers import LightAnswers
from ledger.params import REASON_LENGTH_MAX

_log = logging.getLogger(__name__)

WAITING_PER_PEER_MAX = 8  # of the twenty a second that a peer may ask
# What a question costs at most, in ms of a small computer: Merkle paths through blocks of 2,000 transactions.
COST_MS: Mapping[type[LightQuestion], int] = {
    GetHeaders: 30,
    GetState: 10,
    GetInclusion: 50,
    GetFinalBlock: 10,
}
COST_PER_S = 250  # a quarter of one core
COST_BURST = 3_000
BUCKETS_MAX = 256  # as many as there are connections; the peer heard of longest ago makes room
WAITING_MAX = 128  # each takes some milliseconds, most of them for Merkle paths

Send = Callable[[bytes, LightAnswer], None]
Submit = Callable[[bytes], bytes | Rejected]
NoteFault = Callable[[bytes, Fault], None]


class LightDesk:
    """Create it in a running event loop; `ask` never waits. `close` ends its thread."""

    def __init__(
        self,
        answers: LightAnswers,
        submit: Submit,
        send: Send,
        clock: Clock,
        *,
        note_fault: NoteFault,
    ) -> None:
        self._answers = answers
        self._submit = submit
        self._send = send
        self._clock = clock
        self._note_fault = note_fault
        self._waiting: Counter[bytes] = Counter()
        self._pool = ThreadPoolExecutor(1, "light-desk")
        self._buckets: OrderedDict[bytes, TokenBucket] = OrderedDict()
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
            self._take_offer(peer, message.number, question.raw)
            return
        waiting = self._waiting
        if waiting[peer] >= WAITING_PER_PEER_MAX or waiting.total() >= WAITING_MAX:
            return
        if not self._is_affordable(peer, COST_MS[type(question)]):
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

    def _is_affordable(self, peer: bytes, cost_ms: int) -> bool:
        now_ms = self._clock.monotonic_ns() // 1_000_000
        bucket = self._buckets.pop(peer, None) or TokenBucket(COST_PER_S, COST_BURST, now_ms)
        self._buckets[peer] = bucket
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(cost_ms, now_ms)

    def _take_offer(self, peer: bytes, number: int, raw: bytes) -> None:
        taken = self._submit(raw)
        if not isinstance(taken, Rejected):
            self._send(peer, LightAnswer(number, encode(OfferAnswer(is_taken=True, reason=""))))
            return
        answer = OfferAnswer(is_taken=False, reason=str(taken)[:REASON_LENGTH_MAX])
        self._send(peer, LightAnswer(number, encode(answer)))
        # A light node can check signatures before it offers, but not evidence: it keeps no agents' votes.
        if taken.reason is Reason.BAD_SIGNATURE:
            self._note_fault(peer, Fault.FORGED)
