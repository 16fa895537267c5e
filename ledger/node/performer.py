"""Performs the machine's effects on the real chain, signer and network.

Rule 1: what must be durable before something else (write-ahead, guard, commit) is awaited in place;
building, executing and verifying run beside the loop and come back through the inbox.
Rule 2: the mempool and its view belong to the event loop's thread; the chain, the disk and the
signer's socket to the worker's.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from ledger.consensus.blocks import Proposal
from ledger.consensus.certificate import extract_vote, verify_certificate, verify_vote
from ledger.consensus.effects import (
    Broadcast,
    BuildBlock,
    CommitBlock,
    Effect,
    Gossip,
    Halt,
    OpenEpoch,
    PersistCertificate,
    PersistProposal,
    ReportEvidence,
    Send,
    ServeBlock,
    ServeChain,
    SignVote,
    ValidateBlock,
    VerifySignatures,
    WakeAt,
)
from ledger.consensus.epoch import Epoch
from ledger.consensus.inputs import (
    BlockBuilt,
    BlockRefused,
    BlockValidated,
    BuildPostponed,
    EpochOpened,
    Input,
    SignaturesVerified,
    SignerUnavailable,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.serving import cut_piece
from ledger.errors import ExecutorError, OutdatedError, Rejected, SignerError, VoteRefusedError
from ledger.mempool.mempool import Mempool
from ledger.node.chain import Chain
from ledger.node.failures import FailedTransactions
from ledger.node.inbox import Inbox
from ledger.node.views import BuiltBlock, FinalBlock
from ledger.node.worker import Worker
from ledger.params import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX
from ledger.ports import PeerLink, VoteSigner
from ledger.state.overlay import StateReader
from ledger.types.block import Vote
from ledger.types.messages import BlockMessage

OnFinalBlock = Callable[[FinalBlock], None]
OnEvidence = Callable[[Vote, Vote], None]
OnOwnVote = Callable[[Vote], None]

# What is left for transactions: a header is below 1 KiB, each transaction's length takes 5 bytes.
TRANSACTIONS_BYTES_MAX = BLOCK_BYTES_MAX - 1_024 - 5 * BLOCK_TRANSACTIONS_MAX

VALIDATION_RETRY_FIRST_S = 0.5  # a worker that was killed is back by then
VALIDATION_RETRY_MAX_S = 30  # and one that lacks memory or files may take its time

SEEN_BLOCKS_MAX = 256  # the consensus window several times over
OWN_VOTES_MAX = 64 * 3  # of the open slots

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the effects move. `view` reads the newest final state, on the event loop's thread."""

    chain: Chain
    mempool: Mempool
    failed: FailedTransactions
    view: StateReader
    signer: VoteSigner
    peers: PeerLink
    on_evidence: OnEvidence
    on_own_vote: (
        OnOwnVote  # a genuine vote of our seat that was not given since this process started
    )


class OwnVotes:
    """The newest votes of our seat that are accounted for: peers pass them on all the time."""

    def __init__(self) -> None:
        self._signatures: deque[bytes] = deque(maxlen=OWN_VOTES_MAX)

    def note(self, vote: Vote) -> None:
        """Remember a vote that the signer gave."""
        self._signatures.append(vote.signature)

    def is_news(self, vote: Vote) -> bool:
        """Tell, once, that a vote is none of those."""
        if vote.signature in self._signatures:
            return False
        self.note(vote)
        return True


class Performer:
    """The shell's hands."""

    def __init__(
        self, parts: Parts, worker: Worker, inbox: Inbox, on_final_block: OnFinalBlock
    ) -> None:
        self._parts = parts
        self._worker = worker
        self._inbox = inbox
        self._on_final_block = on_final_block
        self._is_signer_lost = False
        self._own_votes = OwnVotes()
        self._first_seen_s: dict[bytes, float] = {}  # of blocks that are not final yet
        self.wake_at_ms = 0

    async def perform(self, effect: Effect, epoch: Epoch) -> Input | None:
        """Perform one effect; return its answer if that must come before any other input."""
        match effect:
            case Send() | Broadcast() | Gossip():
                self._send(effect)
            case WakeAt(monotonic_ms):
                self.wake_at_ms = monotonic_ms
            case VerifySignatures():
                self._worker.start_verifying(
                    partial(self._verify, effect), partial(self._take_verified, effect)
                )
            case SignVote():
                return await self._worker.run(partial(self._sign, effect, epoch))
            case PersistProposal() | PersistCertificate() | CommitBlock() | OpenEpoch():
                return await self._perform_on_chain(effect)
            case _:
                self._perform_apart(effect)
        return None

    def _perform_apart(
        self, effect: BuildBlock | ValidateBlock | ServeBlock | ServeChain | ReportEvidence | Halt
    ) -> None:
        match effect:
            case BuildBlock():
                self._start_building(effect)
            case ValidateBlock(proposal):
                self._start_validating(proposal, VALIDATION_RETRY_FIRST_S)
            case ServeBlock() | ServeChain():
                self._worker.start(partial(self._serve, effect), self._send_later)
            case ReportEvidence(first, second):
                self._parts.on_evidence(first, second)
            case Halt(detail):
                raise SignerError(detail)

    async def _perform_on_chain(
        self, effect: PersistProposal | PersistCertificate | CommitBlock | OpenEpoch
    ) -> Input | None:
        chain, run = self._parts.chain, self._worker.run
        match effect:
            case PersistProposal(proposal):
                await run(lambda: chain.persist_proposal(proposal))
            case PersistCertificate(certificate):
                await run(lambda: chain.persist_certificate(certificate))
            case CommitBlock():
                await self._commit(effect)
            case OpenEpoch(number, root):
                return EpochOpened(await run(lambda: chain.open_epoch(number, root)))
        return None

    def _take_verified(
        self, wanted: VerifySignatures, future: asyncio.Future[SignaturesVerified]
    ) -> None:
        if future.cancelled():
            return
        self._inbox.put(future.result)
        if future.exception() is not None:
            return
        genuine = future.result()
        asked = len(wanted.votes) + len(wanted.certificates)
        if len(genuine.votes) + len(genuine.certificates) < asked:
            self._parts.peers.blame(wanted.peer)
        seat = wanted.epoch.our_seat
        for vote in _votes_of(seat, genuine):
            if self._own_votes.is_news(vote):
                self._parts.on_own_vote(vote)

    def _verify(self, wanted: VerifySignatures) -> SignaturesVerified:
        chain_id, keys = self._parts.chain.chain_id, wanted.epoch.keys
        votes = tuple(v for v in wanted.votes if verify_vote(v, chain_id, keys) is None)
        certificates = tuple(
            c for c in wanted.certificates if verify_certificate(c, chain_id, keys) is None
        )
        return SignaturesVerified(wanted.peer, votes, certificates, wanted.message)

    def _start_building(self, wanted: BuildBlock) -> None:
        parts = self._parts
        view = parts.chain.view_at(parts.view, wanted.parent.hash)
        transactions = parts.mempool.take(TRANSACTIONS_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, view)

        def done(future: asyncio.Future[BuiltBlock]) -> None:
            if future.cancelled() or isinstance(future.exception(), OutdatedError):
                return
            if isinstance(error := future.exception(), SignerError):
                self._note_lost_signer(error)
                self._inbox.put(BuildPostponed(wanted.slot))
            else:
                self._inbox.put(lambda: self._take_built(future.result()))

        self._worker.start(lambda: parts.chain.build(wanted, transactions), done)

    def _take_built(self, built: BuiltBlock) -> BlockBuilt:
        for checked, refusal in built.failed:
            self._parts.mempool.remove(checked.id)
            height = built.proposal.header.height
            self._parts.failed.remember(checked.id, height, refusal.detail)
            _log.warning("transaction %s dropped, not run: %s", checked.id.hex(), refusal.detail)
        self._note_seen(built.proposal.hash)
        return BlockBuilt(built.proposal)

    def _start_validating(self, proposal: Proposal, delay_s: float) -> None:
        """Execute a block, again and again until that gives a verdict.

        A worker that fails says nothing about the block. It may be one that is voted for already, so
        giving it up could leave no vote that the sign guard still allows.
        """

        def done(future: asyncio.Future[Rejected | None]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if not isinstance(error, ExecutorError):
                self._inbox.put(lambda: _judge(proposal, future.result()))
                return
            line = "block %d of slot %d cannot be executed yet, again in %g s: %s"
            _log.warning(line, *_place(proposal), delay_s, error)
            again = min(2 * delay_s, VALIDATION_RETRY_MAX_S)
            loop = asyncio.get_running_loop()
            loop.call_later(delay_s, self._validate_again, proposal, again)

        self._note_seen(proposal.hash)
        chain = self._parts.chain
        self._worker.start(lambda: chain.validate(proposal), done)

    def _validate_again(self, proposal: Proposal, delay_s: float) -> None:
        if not self._worker.is_closed:
            self._start_validating(proposal, delay_s)

    def _sign(self, effect: SignVote, epoch: Epoch) -> VoteSigned | VoteRefused | SignerUnavailable:
        subject = (effect.kind, effect.epoch, effect.slot, effect.block_hash)
        try:
            signature = self._parts.signer.sign_vote(*subject)
        except VoteRefusedError as error:
            _log.warning("slot %d: %s vote refused: %s", effect.slot, effect.kind.name, error)
            return VoteRefused(effect.kind, effect.slot, str(error))
        except SignerError as error:
            self._note_lost_signer(error)
            return SignerUnavailable(*subject)
        if self._is_signer_lost:
            _log.info("the SmartAgent signs again")
            self._is_signer_lost = False
        assert epoch.our_seat is not None, "only a member of the set votes"
        vote = Vote(*subject, voter=epoch.our_seat, signature=signature)
        refusal = verify_vote(vote, self._parts.chain.chain_id, epoch.keys)
        if refusal is not None:
            raise SignerError(f"the SmartAgent's vote is not valid on this chain: {refusal}")
        self._own_votes.note(vote)
        return VoteSigned(vote)

    def _note_lost_signer(self, error: SignerError) -> None:
        if not self._is_signer_lost:
            _log.warning("waiting for the SmartAgent: %s", error)
        self._is_signer_lost = True

    async def _commit(self, effect: CommitBlock) -> None:
        parts = self._parts
        final = await self._worker.run(lambda: parts.chain.commit(effect.proposal, effect.proof))
        height = final.header.height
        parts.mempool.prune(final.transactions, parts.view, height)
        _log.debug("block %d is final with %d transactions", height, len(final.outcomes))
        self._on_final_block(replace(final, finality_ms=self._finality_ms(final.hash)))

    def _note_seen(self, block_hash: bytes) -> None:
        self._first_seen_s.setdefault(block_hash, asyncio.get_running_loop().time())
        if len(self._first_seen_s) > SEEN_BLOCKS_MAX:
            del self._first_seen_s[next(iter(self._first_seen_s))]

    def _finality_ms(self, block_hash: bytes) -> int:
        now_s = asyncio.get_running_loop().time()
        return int(1_000 * (now_s - self._first_seen_s.pop(block_hash, now_s)))

    def _serve(self, effect: ServeBlock | ServeChain) -> Send | None:
        chain = self._parts.chain
        match effect:
            case ServeBlock(peer, block_hash):
                block = chain.find_recent(block_hash)
                return None if block is None else Send(peer, BlockMessage(block))
            case ServeChain(peer, height):
                piece = cut_piece(chain.read_final, height)
                return None if piece is None else Send(peer, piece)

    def _send_later(self, future: asyncio.Future[Send | None]) -> None:
        """Send what was read. A store that cannot be read ends the node where it writes next."""
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            _log.warning("a peer's question cannot be answered: %s", error)
            return
        answer = future.result()
        if answer is not None:
            self._send(answer)

    def _send(self, effect: Send | Broadcast | Gossip) -> None:
        match effect:
            case Send(peer, message):
                self._parts.peers.send(peer, message)
            case Broadcast(message):
                self._parts.peers.broadcast(message)
            case Gossip(message, peers):
                self._parts.peers.gossip(message, peers)


def _judge(proposal: Proposal, refusal: Rejected | None) -> BlockValidated | BlockRefused:
    if refusal is None:
        return BlockValidated(proposal.hash)
    _log.warning("block %d of slot %d is given up: %s", *_place(proposal), refusal)
    return BlockRefused(proposal.hash, str(refusal))


def _place(proposal: Proposal) -> tuple[int, int]:
    return proposal.header.height, proposal.header.slot


def _votes_of(seat: int | None, genuine: SignaturesVerified) -> list[Vote]:
    """Return a seat's votes, those inside certificates too: a restored node hears of its past from these."""
    if seat is None:
        return []
    certified = (extract_vote(certificate, seat) for certificate in genuine.certificates)
    return [
        *(vote for vote in genuine.votes if vote.voter == seat),
        *(vote for vote in certified if vote is not None),
    ]
