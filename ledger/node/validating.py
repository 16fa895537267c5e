"""Executes other leaders' blocks beside the loop, again and again until there is a verdict.

Rule: a worker that fails says nothing about the block. It may be one that is voted for already, so giving
it up could leave no vote that the sign guard still allows.
"""

import asyncio
import logging
from collections.abc import Sequence

from ledger.consensus.blocks import Proposal
from ledger.consensus.inputs import BlockRefused, BlockValidated
from ledger.errors import ExecutorError, Rejected
from ledger.node.chain import Chain
from ledger.node.inbox import Inbox
from ledger.node.worker import Worker
from ledger.types.block import Block

RETRY_FIRST_S = 0.5  # a worker that was killed is back by then
RETRY_MAX_S = 30  # and one that lacks memory or files may take its time

_log = logging.getLogger(__name__)


class Validator:
    """Verdicts come through the inbox."""

    def __init__(self, chain: Chain, worker: Worker, inbox: Inbox) -> None:
        self._chain = chain
        self._worker = worker
        self._inbox = inbox

    def expect(self, blocks: Sequence[Block]) -> None:
        """Let the transactions of a piece of the chain be checked ahead of their turn."""

        def done(future: asyncio.Future[None]) -> None:
            if not future.cancelled():
                future.result()

        self._worker.start(lambda: self._chain.expect(blocks), done)

    def start(self, proposal: Proposal) -> None:
        """Begin with a block; it is executed behind what was begun before."""
        self._start(proposal, RETRY_FIRST_S)

    def _start(self, proposal: Proposal, delay_s: float) -> None:
        def done(future: asyncio.Future[Rejected | None]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if not isinstance(error, ExecutorError):
                self._inbox.put(lambda: _judge(proposal, future.result()))
                return
            line = "block %d of slot %d cannot be executed yet, again in %g s: %s"
            _log.warning(line, *_place(proposal), delay_s, error)
            again = min(2 * delay_s, RETRY_MAX_S)
            loop = asyncio.get_running_loop()
            loop.call_later(delay_s, self._start_again, proposal, again)

        self._worker.start(lambda: self._chain.validate(proposal), done)

    def _start_again(self, proposal: Proposal, delay_s: float) -> None:
        if not self._worker.is_closed:
            self._start(proposal, delay_s)


def _judge(proposal: Proposal, refusal: Rejected | None) -> BlockValidated | BlockRefused:
    if refusal is None:
        return BlockValidated(proposal.hash)
    _log.warning("block %d of slot %d is given up: %s", *_place(proposal), refusal)
    return BlockRefused(proposal.hash, str(refusal))


def _place(proposal: Proposal) -> tuple[int, int]:
    return proposal.header.height, proposal.header.slot
