"""The chain as a light node has it: headers that are followed, and proofs that are fetched when they are needed.

Rule 1: what is handed on was verified against a header that a quorum made final.
Rule 2: what our own transactions did is seen: no proof counts from before the newest of them.
Rule 3: an idle node asks seldom; while something waits for its block it asks each slot.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.clock import Clock
from gateway.errors import MessagingError
from gateway.ledger_host.light.asking import PeerAsker
from gateway.ledger_host.light.keeping import decode_end, encode_end
from gateway.ledger_host.light.pool import PendingPool
from ledger.codec.canonical import Decoder, encode
from ledger.errors import CodecError, Reason, Rejected
from ledger.light import SetChange
from ledger.light.answers import OfferAnswer
from ledger.light.follower import HeaderFollower, VerifiedHeader
from ledger.light.proofs import (
    ProvenBlock,
    ProvenInclusions,
    ProvenState,
    ProvenTransaction,
    check_block,
    check_inclusion,
    check_state,
)
from ledger.network.light_messages import (
    TRANSACTIONS_ASKED_MAX,
    GetFinalBlock,
    GetInclusion,
    GetState,
    OfferTransaction,
)
from ledger.state.admission import check_transaction
from ledger.storage.trail import TrailStore
from ledger.types.transaction import Anchor

_log = logging.getLogger(__name__)

REFRESH_S = 600.0  # without a question: 144 headers and certificates a day
RETRY_S = 2.0  # until the first header is there, and while nobody answers
LOOK_AGAIN_MS = 5_000  # for people who look at the chain
SAVE_INTERVAL_MS = 600_000  # spares the card; a restart begins with a header that is no older
WATCH_INTERVAL_S_MIN = 1.0
OFFERED_TO_MAX = 3  # one honest peer is enough: it passes the transaction on to all
FINALS_KEPT = 512
RECENT_MAX = 64  # proofs that may be used again: hardly more than the node's own identity
BEHIND_TRIES = 4  # for a peer that has not yet the block we know of
BEHIND_WAIT_S = 0.3

T = TypeVar("T")

_offers = Decoder(OfferAnswer)


class LightChain:
    """Follows, asks, and remembers. Create it in a running event loop; all of it runs there."""

    def __init__(
        self,
        follower: HeaderFollower,
        store: TrailStore,
        asker: PeerAsker,
        clock: Clock,
        *,
        watch_interval_s: float,
        on_header: Callable[[VerifiedHeader], None],
    ) -> None:
        self.follower = follower
        self.pool = PendingPool()
        self.problem = ""
        self.verified_ms = 0  # monotonic: when a peer last gave something that held
        self._store = store
        self._asker = asker
        self._clock = clock
        self._watch_interval_s = max(WATCH_INTERVAL_S_MIN, watch_interval_s)
        self._on_header = on_header
        self._told_height = 0
        self._saved_ms = -SAVE_INTERVAL_MS
        self._floor = 0  # the height of our newest transaction that is final
        self._finals: OrderedDict[bytes, ProvenTransaction] = OrderedDict()
        self._recent: dict[tuple[bytes, ...], tuple[int, ProvenState]] = {}
        self._wake = asyncio.Event()
        self._refreshing = asyncio.Lock()

    async def run(self) -> None:
        """Follow until cancelled. Raises `StorageError` where what was learned cannot be kept."""
        refresh_at_s = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            if loop.time() >= refresh_at_s:
                is_done = await self._try_to(self.refresh())
                refresh_at_s = loop.time() + (REFRESH_S if is_done else RETRY_S)
            if self.pool:
                await self._try_to(self._watch())
            wait_s = self._watch_interval_s if self.pool else refresh_at_s - loop.time()
            try:
                async with asyncio.timeout(max(0.0, wait_s)):
                    await (asyncio.sleep(wait_s) if self.pool else self._wake.wait())
            except TimeoutError:
                pass

    async def refresh(self) -> VerifiedHeader:
        """Ask for end blocks and the newest header; raises `MessagingError` where nobody has one."""
        async with self._refreshing:
            refused = ""
            for peer in self._asker.in_turn():
                found = await self._follow(peer)
                if isinstance(found, VerifiedHeader):
                    return found
                refused = f"; the last answer was not used: {found}" if found else refused
            raise MessagingError(self._asker.describe_silence() + refused)

    async def read(self, keys: Sequence[bytes], *, age_ms_max: int = 0) -> ProvenState:
        """Return what stands under keys, all behind one block, proven now or at most so long ago.

        An older proof counts until a transaction of ours that is no anchor is final.

        Raises `MessagingError` where nobody proves it.
        """
        await self._ready()
        asked = tuple(keys)
        at_ms, known = self._recent.get(asked, (0, None))
        if known is not None and self._now_ms() - at_ms <= age_ms_max:
            return known
        question = GetState(asked)
        for _ in range(BEHIND_TRIES):
            state = await self._asker.ask_in_turn(
                question,
                lambda peer, content: self._judge(
                    peer, lambda: check_state(self.follower, asked, content)
                ),
            )
            if state.at.header.height >= self._floor:
                self._note_verified()
                if age_ms_max:
                    self._keep_recent(asked, state)
                return state
            await asyncio.sleep(BEHIND_WAIT_S)
        raise MessagingError(f"no full node has block {self._floor} yet: ask again")

    async def transaction(self, transaction_id: bytes) -> ProvenTransaction | None:
        """Return a final transaction; None where it waits, or every peer that is as far as we are knows none.

        Raises `MessagingError` where nobody can tell.
        """
        found = self._finals.get(transaction_id)
        if found is not None or transaction_id in self.pool:
            return found
        await self._ready()
        answered = False
        for peer in self._asker.in_turn():
            inclusions = await self._find_included((transaction_id,), peer)
            if inclusions is None:
                continue
            if inclusions.found:
                return inclusions.found[0]
            assert self.follower.newest is not None
            answered = answered or inclusions.height >= self.follower.newest.header.height
        if not answered:
            raise MessagingError(self._asker.describe_silence())
        return None

    async def block(self, height: int) -> ProvenBlock:
        """Return a final block; raises `MessagingError` where nobody gives it."""
        await self._ready()
        block = await self._asker.ask_in_turn(
            GetFinalBlock(height),
            lambda peer, content: self._judge(
                peer, lambda: check_block(self.follower, height, content)
            ),
        )
        self._note_verified()
        return block

    async def submit(self, raw: bytes) -> bytes | Rejected:
        """Offer a transaction to some peers; return its id once one of them took it, or why none did.

        Raises `MessagingError` where none answers.
        """
        checked = check_transaction(raw, self.follower.chain_id)
        if isinstance(checked, Rejected):
            return checked
        if checked.id in self.pool or checked.id in self._finals:
            return checked.id
        full = self.pool.check_room()
        if full is not None:
            return full
        peers = self._asker.in_turn()[:OFFERED_TO_MAX]
        offers = await asyncio.gather(*(self._offer(peer, raw) for peer in peers))
        answers = [offer for offer in offers if offer is not None]
        if any(answer.is_taken for answer in answers):
            self.pool.add(checked)
            self._wake.set()
            return checked.id
        if not answers:
            raise MessagingError(self._asker.describe_silence())
        return Rejected(Reason.NOT_RUN, f"full nodes do not take it: {answers[0].reason!a}")

    def set_changes(self, before_epoch: int) -> tuple[SetChange, ...]:
        """Return the end blocks that lead from the genesis to the agents of an epoch."""
        return tuple(decode_end(end) for end in self._store.ends(before_epoch=before_epoch))

    async def look(self) -> None:
        """Ask for the newest header, unless something was verified a moment ago; what fails is a problem."""
        if not self.verified_ms or self._now_ms() - self.verified_ms >= LOOK_AGAIN_MS:
            await self._try_to(self.refresh())

    def describe(self) -> str:
        """Return in one line how far the headers are known."""
        if not self.verified_ms:
            return "no header yet"
        return f"headers, the newest verified {(self._now_ms() - self.verified_ms) // 1_000} s ago"

    async def _ready(self) -> None:
        if not self.follower.is_ready:
            await self.refresh()
        refusal = self.follower.check_trust(self._clock.now_ms())
        if refusal is not None:
            raise MessagingError(str(refusal))

    async def _try_to(self, work: Awaitable[object]) -> bool:
        try:
            await work
        except MessagingError as error:
            if str(error) != self.problem:
                _log.warning("headers are not followed: %s", error)
            self.problem = str(error)
            return False
        if self.problem:
            _log.info("headers are followed")
        self.problem = self.follower.fork
        return True

    async def _judge(self, peer: bytes, check: Callable[[], T | Rejected]) -> T | Rejected:
        """Return what an answer proves; where its header is not final, agents may have changed meanwhile."""
        found = check()
        if isinstance(found, Rejected) and found.reason is Reason.BAD_SIGNATURE:
            followed = await self._follow(peer)
            if isinstance(followed, VerifiedHeader):
                return check()
        return found

    async def _follow(self, peer: bytes) -> VerifiedHeader | Rejected | None:
        """Take all that one peer has; None where it does not answer."""
        follower = self.follower
        follower.forget_unkept()
        question = follower.question()
        while True:
            refusal = follower.check_trust(self._clock.now_ms())
            if refusal is not None:
                raise MessagingError(str(refusal))
            content = await self._asker.ask(peer, question)
            if content is None:
                return None
            taken = follower.take_headers(content, self._clock.now_ms())
            if isinstance(taken, Rejected):
                again = follower.question_again()
                if question == again:
                    self._asker.blame(peer, taken)
                    return taken
                question = again
                continue
            self._note_verified(taken.ends)
            if taken.is_complete:
                assert follower.newest is not None, "a complete answer ends with a header"
                return follower.newest
            question = follower.question()

    async def _watch(self) -> None:
        """See which of our transactions have become final."""
        ids = self.pool.ids()
        for first in range(0, len(ids), TRANSACTIONS_ASKED_MAX):
            asked = ids[first : first + TRANSACTIONS_ASKED_MAX]
            for peer in self._asker.in_turn()[:2]:
                if await self._find_included(asked, peer) is not None:
                    break
            else:
                raise MessagingError(self._asker.describe_silence())
        if self.follower.newest is not None:
            self.pool.drop_expired(self.follower.newest.header.height)

    async def _find_included(
        self, asked: tuple[bytes, ...], peer: bytes
    ) -> ProvenInclusions | None:
        """Return what a peer proves of transactions; None where it says nothing that holds."""
        content = await self._asker.ask(peer, GetInclusion(asked))
        if content is None:
            return None
        answer = content
        inclusions = await self._judge(peer, lambda: check_inclusion(self.follower, asked, answer))
        if isinstance(inclusions, Rejected):
            self._asker.blame(peer, inclusions)
            return None
        for one in inclusions.found:
            ours = self.pool.remove(one.id)
            self._finals[one.id] = one
            self._floor = max(self._floor, one.at.header.height)
            if ours is None or not isinstance(ours.transaction.body, Anchor):
                self._recent.clear()  # anchors are many, and change nobody's lease
            if ours is not None and inclusions.height >= one.at.header.height:
                self.pool.drop_used(ours.transaction.sender, ours.transaction.nonce)
        while len(self._finals) > FINALS_KEPT:
            self._finals.popitem(last=False)
        if inclusions.found:
            self._note_verified()
        return inclusions

    async def _offer(self, peer: bytes, raw: bytes) -> OfferAnswer | None:
        content = await self._asker.ask(peer, OfferTransaction(raw))
        if content is None:
            return None
        try:
            return _offers.decode(content)
        except CodecError as error:
            self._asker.blame(peer, Rejected(Reason.MALFORMED, f"an offer's answer {error}"))
            return None

    def _keep_recent(self, asked: tuple[bytes, ...], state: ProvenState) -> None:
        if len(self._recent) >= RECENT_MAX:
            self._recent.clear()
        self._recent[asked] = (self._now_ms(), state)

    def _note_verified(self, ends: tuple[SetChange, ...] = ()) -> None:
        """Keep what was learned, and tell of a newer header."""
        self.verified_ms = now_ms = self._now_ms()
        newest = self.follower.newest if self.follower.is_ready else None
        if ends or (newest is not None and now_ms - self._saved_ms >= SAVE_INTERVAL_MS):
            encoded = None if newest is None else encode(newest.final)
            self._store.save([encode_end(end) for end in ends], encoded, self.follower.met)
            self._saved_ms = now_ms
        if newest is not None and newest.header.height > self._told_height:
            self._told_height = newest.header.height
            self._on_header(newest)

    def _now_ms(self) -> int:
        return self._clock.monotonic_ns() // 1_000_000
