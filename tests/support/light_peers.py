"""Full nodes as a light one meets them, in one process: each answers from a chain of headers, or lies."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.clock import SystemClock
from gateway.ledger_host.light.asking import PeerAsker
from gateway.ledger_host.light.chain import LightChain
from gateway.ledger_host.light.keeping import open_follower
from gateway.ledger_host.peers.seams import NodeSide, PeerView, Traffic
from ledger.codec.canonical import encode
from ledger.crypto.hashing import sha256
from ledger.errors import LedgerError
from ledger.light.answers import OfferAnswer
from ledger.light.follower import VerifiedHeader
from ledger.light.snapshot import Checkpoint
from ledger.network import topics
from ledger.network.gatekeeper import Dropped, Gatekeeper
from ledger.network.light_messages import (
    GetFinalBlock,
    GetHeaders,
    GetInclusion,
    GetState,
    LightAnswer,
    LightQuestion,
    LightRequest,
    OfferTransaction,
)
from ledger.network.standing import Fault
from ledger.network.wire import NetworkMessage, PeerAddress, encode_message
from ledger.node.light_answers import LightAnswers
from ledger.storage.trail import TrailStore
from ledger.types.genesis import Genesis
from ledger.types.genesis_file import genesis_chain_id
from ledger.types.messages import Message
from tests.support.light_lab import START_MS, HeaderChain, agents_of, id_of

Answer = Callable[[LightQuestion], bytes | None]


class SilentError(Exception):
    """Raised by a peer that does not answer."""


class FullPeer:
    """Answers truly from a chain of headers up to `height`; `lie` may answer in its place."""

    def __init__(self, chain: HeaderChain, height: int) -> None:
        self.chain = chain
        self.height = height
        self.refusal = ""
        self.offered: list[bytes] = []
        self.asked: list[LightQuestion] = []
        self.lie: Answer | None = None

    def answer(self, question: LightQuestion) -> bytes | None:
        self.asked.append(question)
        if self.lie is not None:
            return self.lie(question)
        return self.tell(question)

    def tell(self, question: LightQuestion) -> bytes | None:
        match question:
            case GetHeaders(since_epoch, _):
                ended = range(since_epoch, self.chain.epoch_of(self.height))
                return self.chain.headers(list(ended), self.height)
            case GetState(keys):
                return self.chain.state(self.height, *keys)
            case GetInclusion(transactions):
                return self._include(transactions)
            case GetFinalBlock(height):
                return self.chain.block(height) if height <= self.height else None
            case OfferTransaction(raw):
                self.offered.append(raw)
                return encode(OfferAnswer(is_taken=not self.refusal, reason=self.refusal))

    def _include(self, wanted: tuple[bytes, ...]) -> bytes:
        for height in range(max(1, self.height - 2), self.height + 1):
            ids = [id_of(raw) for raw in self.chain.raws(height)]
            places = [place for place, one in enumerate(ids) if one in wanted]
            if places:
                return self.chain.inclusion(height, *places)
        return self.chain.inclusion(self.height)


class ChainPeer(FullPeer):
    """Answers from a real chain's database."""

    def __init__(self, answers: LightAnswers) -> None:
        super().__init__(HeaderChain([agents_of("nobody")]), 0)
        self._answers = answers

    def tell(self, question: LightQuestion) -> bytes | None:
        assert not isinstance(question, OfferTransaction)
        return self._answers.answer(question)


class Peers:
    """A `PeerNetwork` of such peers, who keep the budgets that real ones keep."""

    port = None

    def __init__(self, *peers: FullPeer) -> None:
        self.refusals: dict[bytes, str] = {}
        self.by_id = {sha256(b"peer%d" % number): one for number, one in enumerate(peers)}
        self.faults: list[tuple[FullPeer, Fault]] = []
        self.over_budget = 0
        self.bytes_ = 0
        self.asker: PeerAsker
        self._gates = {peer: Gatekeeper() for peer in self.by_id}
        self._clock = SystemClock()

    @property
    def connected(self) -> frozenset[bytes]:
        return frozenset(self.by_id)

    def send(self, peer: bytes, message: NetworkMessage) -> None:
        assert isinstance(message, LightRequest)
        raw, now_ms = encode_message(message), self._clock.monotonic_ns() // 1_000_000
        admitted = self._gates[peer].admit(b"us", topics.DIRECT, raw, now_ms)
        if isinstance(admitted, Dropped):
            self.over_budget += 1
            return
        try:
            content = self.by_id[peer].answer(message.question)
        except SilentError:
            return
        answer = LightAnswer(message.number, content)
        self.bytes_ += len(raw) + len(encode_message(answer))
        asyncio.get_running_loop().call_soon(self.asker.hear, peer, answer)

    def note_fault(self, peer: bytes, fault: Fault) -> None:
        self.faults.append((self.by_id[peer], fault))

    def broadcast(self, message: Message) -> None: ...

    def gossip(self, message: Message, count: int) -> None: ...

    def blame(self, peer: bytes) -> None: ...

    def relay(self, raw: bytes) -> None: ...

    def learn(self, address: PeerAddress) -> None: ...

    def views(self) -> tuple[PeerView, ...]:
        return ()

    def traffic(self) -> Traffic:
        return Traffic(0, 0, 0)

    async def run(self, node: NodeSide) -> None: ...


class ChainClock(SystemClock):
    """Real monotonic time; the wall shows a time of the chain's."""

    def __init__(self, wall_ms: int = START_MS) -> None:
        super().__init__()
        self.wall_ms = wall_ms

    def now_ms(self) -> int:
        return self.wall_ms


class LightLab:
    """A light chain over a file, and the peers that it asks."""

    def __init__(
        self,
        path: Path,
        peers: Peers,
        genesis: Genesis,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.clock = ChainClock()
        self.store = TrailStore.create_or_open(path, genesis_chain_id(genesis))
        self.peers = peers
        self.told: list[int] = []
        try:
            follower = open_follower(genesis, checkpoint, self.store)
        except LedgerError:
            self.store.close()
            raise
        asker = PeerAsker(peers, self.clock)
        peers.asker = asker
        self.chain = LightChain(
            follower,
            self.store,
            asker,
            self.clock,
            watch_interval_s=0.0,
            on_header=self._tell,
        )

    def close(self) -> None:
        self.store.close()

    def _tell(self, newest: VerifiedHeader) -> None:
        self.told.append(newest.header.height)
