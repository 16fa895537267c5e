"""What waits for the machine: peers' messages, and answers that become inputs when their turn comes."""

import asyncio
from collections import deque
from collections.abc import Callable

from ledger.consensus.inputs import Input, MessageReceived

MESSAGES_MAX = 4_096  # some seconds of 99 agents; what is above is lost, as on a bad network

Pending = Callable[[], Input]  # raises what the job behind it raised


class Inbox:
    """For the event loop's thread alone."""

    def __init__(self) -> None:
        self._waiting: deque[Input | Pending] = deque()
        self._messages = 0
        self.stirred = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, happened: Input | Pending) -> None:
        """Add what must not be lost."""
        self._waiting.append(happened)
        self.stirred.set()

    def put_message(self, received: MessageReceived) -> bool:
        """Add a peer's message, unless too many wait."""
        if self._messages >= MESSAGES_MAX:
            return False
        self._messages += 1
        self.put(received)
        return True

    def take(self) -> Input:
        """Return the oldest; raises what its job raised."""
        happened = self._waiting.popleft()
        if isinstance(happened, MessageReceived):
            self._messages -= 1
        return happened() if callable(happened) else happened
