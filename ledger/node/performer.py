"""Performs the machine's effects on the real chain, signer and network.

Rule 1: what must be durable before something else (write-ahead, guard, commit) is awaited in place;
building, executing and verifying run beside the loop and come back through the inbox.
Rule 2: the mempool and its view belong to the event loop's thread; the chain, the disk and the
signer's socket to the worker's.
"""

import asyncio
import logging
from dataclasses import replace
from functools import partial

from ledger.consensus.certificate import verify_certificate, verify_vote
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
    BuildPostponed,
    EpochOpened,
    Input,
    SignaturesVerified,
)
from ledger.consensus.serving import cut_piece
from ledger.errors import OutdatedError, SignerError
from ledger.node.inbox import Inbox
from ledger.node.parts import OnFinalBlock, Parts
from ledger.node.validating import Validator
from ledger.node.views import BuiltBlock
from ledger.node.voting import OwnVotes
from ledger.node.worker import Worker
from ledger.params import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX
from ledger.types.messages import BlockMessage, ChainMessage

# What is left for transactions: a header is below 1 KiB, each transaction's length takes 5 bytes.
TRANSACTIONS_BYTES_MAX = BLOCK_BYTES_MAX - 1_024 - 5 * BLOCK_TRANSACTIONS_MAX

SEEN_BLOCKS_MAX = 256  # the consensus window several times over

_log = logging.getLogger(__name__)


class Performer:
    """The shell's hands."""

    def __init__(
        self, parts: Parts, worker: Worker, inbox: Inbox, on_final_block: OnFinalBlock
    ) -> None:
        self._parts = parts
        self._worker = worker
        self._inbox = inbox
        self._on_final_block = on_final_block
        self._own_votes = OwnVotes(parts)
        self._validator = Validator(parts.chain, worker, inbox)
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
                return await self._worker.run(partial(self._own_votes.sign, effect, epoch))
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
                self._note_seen(proposal.hash)
                self._validator.start(proposal)
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
                return EpochOpened(await run(lambda: chain.final.open_epoch(number, root)))
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
        self._own_votes.look_for_own(wanted.epoch.our_seat, genuine)
        if isinstance(genuine.message, ChainMessage) and genuine.certificates:
            self._validator.expect(genuine.message.blocks)

    def _verify(self, wanted: VerifySignatures) -> SignaturesVerified:
        chain_id, keys = self._parts.chain.chain_id, wanted.epoch.keys
        votes = tuple(v for v in wanted.votes if verify_vote(v, chain_id, keys) is None)
        certificates = tuple(
            c for c in wanted.certificates if verify_certificate(c, chain_id, keys) is None
        )
        return SignaturesVerified(wanted.peer, votes, certificates, wanted.message)

    def _start_building(self, wanted: BuildBlock) -> None:
        parts = self._parts
        view = parts.chain.pending.view_at(parts.view, wanted.parent.hash)
        transactions = parts.mempool.take(TRANSACTIONS_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, view)

        def done(future: asyncio.Future[BuiltBlock]) -> None:
            if future.cancelled() or isinstance(future.exception(), OutdatedError):
                return
            if isinstance(error := future.exception(), SignerError):
                self._own_votes.note_lost_signer(error)
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

    async def _commit(self, effect: CommitBlock) -> None:
        parts = self._parts
        final = await self._worker.run(lambda: parts.chain.commit(effect.proposal, effect.proof))
        height = final.header.height
        parts.mempool.prune(final.transactions, parts.view, height, final.header.time_ms)
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
                block = chain.final.find_recent(block_hash, chain.tip.height)
                return None if block is None else Send(peer, BlockMessage(block))
            case ServeChain(peer, height):
                piece = cut_piece(chain.final.read, height)
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
