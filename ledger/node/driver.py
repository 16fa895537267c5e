"""The driver of the consensus machine: one inbox, one consumer, effects in order, stop at a failure."""

import asyncio
from collections import deque

from ledger.consensus.inputs import Input, MessageReceived, Now, PeerConnected, Started, Ticked
from ledger.consensus.machine import Machine
from ledger.consensus.parents import find_parent
from ledger.consensus.state import Rules, State
from ledger.node.inbox import Inbox
from ledger.node.parts import OnFinalBlock, Parts
from ledger.node.performer import TRANSACTIONS_BYTES_MAX, Performer
from ledger.node.worker import Worker
from ledger.ports import Clock
from ledger.types.messages import Message


class NoPeers:
    """The way to nobody: of an agent that is alone."""

    def send(self, peer: bytes, message: Message) -> None:
        """There is nobody."""

    def broadcast(self, message: Message) -> None:
        """There is nobody."""

    def gossip(self, message: Message, peers: int) -> None:
        """There is nobody."""

    def blame(self, peer: bytes) -> None:
        """There is nobody."""

    def relay(self, raw: bytes) -> None:
        """There is nobody."""


class Driver:
    """Feeds the machine and has its effects performed."""

    def __init__(self, rules: Rules, parts: Parts, clock: Clock) -> None:
        self._rules = rules
        self._parts = parts
        self._clock = clock
        self._inbox = Inbox()
        self._has_new_work = False
        self._machine = self._make_machine()

    @property
    def state(self) -> State:
        """What the machine knows."""
        return self._machine.state

    def wake(self) -> None:
        """Tell that a transaction came. Call it on the event loop."""
        self._has_new_work = True
        self._inbox.stirred.set()

    def deliver(self, peer: bytes, message: Message) -> bool:
        """Take a peer's message; False where too many wait. Call it on the event loop."""
        return self._inbox.put_message(MessageReceived(peer, message))

    def connect(self, peer: bytes) -> None:
        """Tell that a peer can be reached, perhaps again. Call it on the event loop."""
        self._inbox.put(PeerConnected(peer))

    async def run(self, on_final_block: OnFinalBlock) -> None:
        """Extend the chain until cancelled; `on_final_block` hears of each block once it is on disk.

        Raises `StorageError` or `SignerError` when nothing safe is left to do.
        """
        async with Worker() as worker:
            performer = Performer(self._parts, worker, self._inbox, on_final_block)
            proposals, certificates = await worker.run(self._parts.chain.recover)
            self._machine = self._make_machine()
            await self._feed(Started(proposals, certificates), performer)
            while True:
                await self._wait(performer.wake_at_ms)
                await asyncio.sleep(0)  # others have their turn, whatever the machine wants
                for _ in range(len(self._inbox)):
                    await self._feed(self._inbox.take(), performer)
                if self._has_new_work or self._now().monotonic_ms >= performer.wake_at_ms:
                    self._has_new_work = False
                    await self._feed(Ticked(self._has_work()), performer)

    def _make_machine(self) -> Machine:
        chain = self._parts.chain
        return Machine(self._rules, chain.final.load_epoch(), chain.final.load_place(chain.tip))

    async def _feed(self, first: Input, performer: Performer) -> None:
        """Give the machine an input, and every answer that must come before the next one."""
        inputs = deque([first])
        while inputs:
            for effect in self._machine.handle(inputs.popleft(), self._now()):
                answer = await performer.perform(effect, self._machine.state.epoch)
                if answer is not None:
                    inputs.append(answer)

    async def _wait(self, wake_at_ms: int) -> None:
        """Sleep until the machine's wake time, or until something came."""
        delay_ms = wake_at_ms - self._now().monotonic_ms
        if delay_ms > 0 and not self._inbox:
            try:
                async with asyncio.timeout(delay_ms / 1000):
                    await self._inbox.stirred.wait()
            except TimeoutError:
                pass
        self._inbox.stirred.clear()

    def _has_work(self) -> bool:
        """Tell whether a block would hold anything; asked exactly only when a block is due."""
        parts, state = self._parts, self._machine.state
        if not parts.mempool or self._now().monotonic_ms < state.pace.due_ms:
            return len(parts.mempool) > 0
        parent = find_parent(state)
        view = (
            parts.view
            if parent is None
            else parts.chain.pending.view_at(parts.view, parent.tip.hash)
        )
        return bool(parts.mempool.take(TRANSACTIONS_BYTES_MAX, 1, view))

    def _now(self) -> Now:
        clock = self._clock
        return Now(clock.now_ms(), clock.monotonic_ns() // 1_000_000, clock.is_synchronised())
