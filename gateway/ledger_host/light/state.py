"""The chain's state as a light node reads it: what is asked for is fetched, proven, and then at hand."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from gateway.errors import MessagingError
from gateway.ledger_host.light.chain import LightChain
from ledger.light.proofs import ProvenState
from ledger.network.light_messages import STATE_KEYS_MAX

ANSWER_TIMEOUT_S = 8.0  # a few peers in turn; less than commands wait

T = TypeVar("T")


class LoopCaller:
    """Runs what belongs to the event loop for threads that wait for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what `work` returns there; raises what it raises, and `MessagingError` when it takes too long."""
        return asyncio.run_coroutine_threadsafe(_in_time(work), self._loop).result(
            2 * ANSWER_TIMEOUT_S  # longer means that the loop is gone
        )


async def _in_time(work: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await work
    except TimeoutError:
        raise MessagingError(f"no full node answered within {ANSWER_TIMEOUT_S:g} s") from None


class FetchedState:
    """A `StateReader` for one request, on the request's thread; raises `MessagingError` where nobody proves it.

    Keys that are fetched together stand behind one block; others may stand behind a later one.
    """

    def __init__(self, chain: LightChain, caller: LoopCaller) -> None:
        self._chain = chain
        self._caller = caller
        self._values: dict[bytes, bytes | None] = {}

    def fetch(self, keys: Iterable[bytes], *, age_ms_max: int = 0) -> ProvenState:
        """Fetch one key or more, as many at once as may be asked for; return the last proof."""
        wanted = list(keys)
        while True:
            asked, wanted = wanted[:STATE_KEYS_MAX], wanted[STATE_KEYS_MAX:]
            proven = self._caller.wait(self._chain.read(asked, age_ms_max=age_ms_max))
            self._values.update(proven.values)
            if not wanted:
                return proven

    def get(self, key: bytes, /) -> bytes | None:
        """Return what stands under a key, or None."""
        if key not in self._values:
            self.fetch((key,))
        return self._values[key]
