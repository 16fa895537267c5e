"""The driver of the slot machine: one consumer, effects in order, stop at the first failure.

The mempool and its view belong to the event loop's thread. Everything that blocks (execution, disk,
the signer's socket) runs in the worker's thread, so the loop stays responsive.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import assert_never

from ledger.consensus.certificate import verify_vote
from ledger.consensus.effects import (
    BuildBlock,
    CommitBlock,
    Effect,
    Halt,
    PersistCertificate,
    PersistProposal,
    SignVote,
    ValidateBlock,
    WakeAt,
)
from ledger.consensus.inputs import (
    BlockBuilt,
    BlockCommitted,
    BlockRefused,
    BlockValidated,
    Input,
    Now,
    SignerUnavailable,
    Started,
    Ticked,
    VoteRefused,
    VoteSigned,
)
from ledger.consensus.machine import apply, initial_state
from ledger.consensus.state import Proposal, Rules
from ledger.errors import ExecutorError, SignerError, VoteRefusedError
from ledger.mempool.mempool import Mempool
from ledger.node.chain import Chain
from ledger.node.failures import FailedTransactions
from ledger.node.views import FinalBlock
from ledger.node.worker import Worker
from ledger.params import BLOCK_BYTES_MAX, BLOCK_TRANSACTIONS_MAX
from ledger.ports import Clock, VoteSigner
from ledger.state.overlay import StateReader
from ledger.types.block import Certificate, Vote

OnFinalBlock = Callable[[FinalBlock], None]

# What is left for transactions: a header is below 1 KiB, each transaction's length takes 5 bytes.
TRANSACTIONS_BYTES_MAX = BLOCK_BYTES_MAX - 1_024 - 5 * BLOCK_TRANSACTIONS_MAX

VALIDATION_RETRY_FIRST_S = 0.5  # a worker that was killed is back by then
VALIDATION_RETRY_MAX_S = 30  # and one that lacks memory or files may take its time

_log = logging.getLogger(__name__)


class Driver:
    """Feeds the machine and performs its effects."""

    def __init__(  # noqa: PLR0913 - the parts it moves
        self,
        rules: Rules,
        *,
        chain: Chain,
        mempool: Mempool,
        failed: FailedTransactions,
        view: StateReader,
        signer: VoteSigner,
        clock: Clock,
    ) -> None:
        self._rules = rules
        self._chain = chain
        self._mempool = mempool
        self._failed = failed
        self._view = view
        self._signer = signer
        self._clock = clock
        self._wake_at_ms = 0
        self._work_arrived = asyncio.Event()
        self._is_signer_lost = False
        self.state = initial_state(rules, chain.tip)

    def wake(self) -> None:
        """Tell that a transaction came. Call it on the event loop."""
        self._work_arrived.set()

    async def run(self, on_final_block: OnFinalBlock) -> None:
        """Extend the chain until cancelled; `on_final_block` hears of each block once it is on disk.

        Raises `StorageError` or `SignerError` when nothing safe is left to do.
        """
        with Worker() as worker:
            proposals, certificates = await worker.run(self._chain.recover)
            self.state = initial_state(self._rules, self._chain.tip)
            happened: Input = Started(proposals, certificates, self._now())
            while True:
                await self._feed(happened, worker, on_final_block)
                await self._wait()
                now = self._now()
                happened = Ticked(self._has_work(now), now)

    async def _feed(self, first: Input, worker: Worker, on_final_block: OnFinalBlock) -> None:
        """Apply an input and every input that its effects lead to."""
        inputs = deque([first])
        while inputs:
            self.state, effects = apply(self.state, inputs.popleft())
            for effect in effects:
                answer = await self._perform(effect, worker, on_final_block)
                if answer is not None:
                    inputs.append(answer)

    async def _perform(
        self, effect: Effect, worker: Worker, on_final_block: OnFinalBlock
    ) -> Input | None:
        match effect:
            case WakeAt(monotonic_ms):
                self._wake_at_ms = monotonic_ms
                return None
            case BuildBlock():
                return await self._build(effect, worker)
            case ValidateBlock(proposal):
                return await self._validate(proposal, worker)
            case CommitBlock(proposal, certificate):
                return await self._commit(proposal, certificate, worker, on_final_block)
            case Halt(detail):
                raise SignerError(detail)
            case _:
                return await worker.run(lambda: self._perform_blocking(effect))

    def _perform_blocking(
        self, effect: PersistProposal | PersistCertificate | SignVote
    ) -> Input | None:
        match effect:
            case PersistProposal(proposal):
                self._chain.persist_proposal(proposal)
                return None
            case PersistCertificate(certificate):
                self._chain.persist_certificate(certificate)
                return None
            case SignVote():
                return self._sign(effect)
            case _:
                assert_never(effect)

    async def _build(self, effect: BuildBlock, worker: Worker) -> BlockBuilt:
        transactions = self._mempool.take(
            TRANSACTIONS_BYTES_MAX, BLOCK_TRANSACTIONS_MAX, self._view
        )
        built = await worker.run(
            lambda: self._chain.build(effect.slot, effect.time_ms, transactions)
        )
        for checked, refusal in built.failed:
            self._mempool.remove(checked.id)
            self._failed.remember(checked.id, self._chain.tip.height + 1, refusal.detail)
            _log.warning("transaction %s dropped, not run: %s", checked.id.hex(), refusal.detail)
        return BlockBuilt(built.proposal)

    async def _validate(self, proposal: Proposal, worker: Worker) -> BlockValidated | BlockRefused:
        """Execute a block again until that gives a verdict.

        A worker that fails says nothing about the block. It may be one that is voted for already, so
        giving it up could leave no vote that the sign guard still allows.
        """
        delay_s = VALIDATION_RETRY_FIRST_S
        while True:
            try:
                refusal = await worker.run(lambda: self._chain.validate(proposal))
            except ExecutorError as error:
                line = "block %d of slot %d cannot be executed yet, again in %g s: %s"
                _log.warning(line, *_place(proposal), delay_s, error)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, VALIDATION_RETRY_MAX_S)
                continue
            if refusal is None:
                return BlockValidated(proposal.hash)
            _log.warning("block %d of slot %d is given up: %s", *_place(proposal), refusal)
            return BlockRefused(proposal.hash, str(refusal))

    def _sign(self, effect: SignVote) -> VoteSigned | VoteRefused | SignerUnavailable:
        subject = (effect.kind, effect.epoch, effect.slot, effect.block_hash)
        try:
            signature = self._signer.sign_vote(*subject)
        except VoteRefusedError as error:
            _log.warning("slot %d: %s vote refused: %s", effect.slot, effect.kind.name, error)
            return VoteRefused(effect.slot, str(error))
        except SignerError as error:
            if not self._is_signer_lost:
                _log.warning("waiting for the SmartAgent: %s", error)
            self._is_signer_lost = True
            return SignerUnavailable(self._now())
        if self._is_signer_lost:
            _log.info("the SmartAgent signs again")
            self._is_signer_lost = False
        vote = Vote(*subject, voter=self._rules.our_index, signature=signature)
        refusal = verify_vote(vote, self._rules.chain_id, self._rules.agent_keys)
        if refusal is not None:
            raise SignerError(f"the SmartAgent's vote is not valid on this chain: {refusal}")
        return VoteSigned(vote, self._now())

    async def _commit(
        self,
        proposal: Proposal,
        certificate: Certificate,
        worker: Worker,
        on_final_block: OnFinalBlock,
    ) -> BlockCommitted:
        final = await worker.run(lambda: self._chain.commit(proposal, certificate))
        tip = self._chain.tip
        self._mempool.prune(final.transactions, self._view, tip.height)
        _log.debug("block %d is final with %d transactions", tip.height, len(final.outcomes))
        on_final_block(final)
        return BlockCommitted(tip, self._now())

    async def _wait(self) -> None:
        """Sleep until the machine's wake time, or until a transaction comes."""
        delay_ms = self._wake_at_ms - self._now().monotonic_ms
        if delay_ms > 0:
            try:
                async with asyncio.timeout(delay_ms / 1000):
                    await self._work_arrived.wait()
            except TimeoutError:
                pass
        self._work_arrived.clear()

    def _has_work(self, now: Now) -> bool:
        """Tell whether a block would hold anything; asked exactly only when a block is due."""
        if now.monotonic_ms < self.state.due_with_work_ms:
            return len(self._mempool) > 0
        return bool(self._mempool.take(TRANSACTIONS_BYTES_MAX, 1, self._view))

    def _now(self) -> Now:
        return Now(self._clock.now_ms(), self._clock.monotonic_ns() // 1_000_000)


def _place(proposal: Proposal) -> tuple[int, int]:
    return proposal.header.height, proposal.header.slot
