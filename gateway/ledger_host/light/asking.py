"""Questions to full peers, one peer after the other, until one gives an answer that holds.

Rule 1: a false answer is named in one log line, costs that peer standing, and it is left out for a while.
Rule 2: no peer is asked faster than it answers: what is over its budget it would drop, and hold against us.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.clock import Clock
from gateway.errors import MessagingError
from gateway.ledger_host.peers.seams import PeerNetwork
from ledger.errors import Reason, Rejected
from ledger.network.budget import TokenBucket
from ledger.network.light_messages import (
    LightAnswer,
    LightMessage,
    LightQuestion,
    LightRequest,
)
from ledger.network.standing import Fault

_log = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = (
    1.2  # half a megabyte takes half of it; two peers within what our own askers wait
)
ASKED_MAX = 6  # peers, for one answer: whoever waits for it does not wait for ever
SILENT_MS = 30_000  # whoever did not answer is asked last for so long
FALSE_MS = 60_000  # whoever said something false is not asked for so long
# Below the 20 a second and 60 at once that a peer takes, of which consensus has no share here.
REQUESTS_PER_S = 15
REQUESTS_BURST = 40
TURN_S = 0.07

T = TypeVar("T")
Judge = Callable[[bytes, bytes], Awaitable[T | Rejected]]  # peer, content

_OLD = (Reason.TOO_LATE, Reason.BUSY)  # an honest peer may be behind


class PeerAsker:
    """Asks the connected peers. All of it runs on the event loop."""

    def __init__(self, network: PeerNetwork, clock: Clock) -> None:
        self._network = network
        self._clock = clock
        self._numbers = itertools.count(1)
        self._awaited: dict[int, tuple[bytes, asyncio.Future[bytes | None]]] = {}
        self._buckets: dict[bytes, TokenBucket] = {}
        self._silent_until_ms: dict[bytes, int] = {}
        self._false_until_ms: dict[bytes, int] = {}
        self._turn = 0

    def hear(self, peer: bytes, message: LightMessage) -> None:
        """Take what a peer answers; a question that somebody asks of us is not answered."""
        if not isinstance(message, LightAnswer):
            return
        asked, answer = self._awaited.get(message.number, (b"", None))
        if answer is not None and asked == peer and not answer.done():
            answer.set_result(message.content)

    def in_turn(self) -> list[bytes]:
        """Return the peers to ask, a different one first each time, so that each is compared with others."""
        now_ms = self._now_ms()
        peers = [
            peer
            for peer in sorted(self._network.connected)
            if self._false_until_ms.get(peer, 0) <= now_ms
        ]
        self._turn += 1
        first = self._turn % len(peers) if peers else 0
        turned = peers[first:] + peers[:first]
        turned.sort(key=lambda peer: self._silent_until_ms.get(peer, 0) > now_ms)
        return turned[:ASKED_MAX]

    async def ask(self, peer: bytes, question: LightQuestion) -> bytes | None:
        """Return a peer's answer; None where it has none or did not answer in time."""
        await self._wait_for_budget(peer)
        number = next(self._numbers)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._awaited[number] = (peer, answer)
        self._network.send(peer, LightRequest(number, question))
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await answer
        except TimeoutError:
            self._silent_until_ms[peer] = self._now_ms() + SILENT_MS
            return None
        finally:
            del self._awaited[number]

    async def ask_in_turn(self, question: LightQuestion, judge: Judge[T]) -> T:
        """Return what the first answer that holds proves; raises `MessagingError` where there is none."""
        refused = ""
        for peer in self.in_turn():
            content = await self.ask(peer, question)
            if content is None:
                continue
            found = await judge(peer, content)
            if not isinstance(found, Rejected):
                return found
            self.blame(peer, found)
            refused = f"; the last answer was not used: {found}"
        raise MessagingError(self.describe_silence() + refused)

    def blame(self, peer: bytes, refusal: Rejected) -> None:
        """Hold a false or old answer against a peer."""
        is_old = refusal.reason in _OLD
        _log.warning("the answer of peer %s is not used: %s", peer.hex()[:16], refusal)
        self._false_until_ms[peer] = self._now_ms() + FALSE_MS
        self._network.note_fault(peer, Fault.UNWANTED if is_old else Fault.FORGED)

    def describe_silence(self) -> str:
        """Return the line for when nobody answered."""
        if not self._network.connected:
            return "no full node is connected: see `smartshare chain peers`"
        return "no full node has an answer now: ask again"

    async def _wait_for_budget(self, peer: bytes) -> None:
        bucket = self._buckets.setdefault(
            peer, TokenBucket(REQUESTS_PER_S, REQUESTS_BURST, self._now_ms())
        )
        while not bucket.take(1, self._now_ms()):  # noqa: ASYNC110 - time alone fills it
            await asyncio.sleep(TURN_S)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
