"""What the agent commits to and reveals, and how fast: the newest two onions are kept ready.

The number of the newest onion is on disk before its commitment is told, so that a restarted agent knows
which one the chain may ask for. So is the number of the newest onion of which a layer was revealed: nobody may commit
to that one again, since its layers are known and with them the order of leaders.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.clock import Clock
from gateway.errors import AgentError
from gateway.smart_agent.messages import Refused, RefusedReason
from gateway.smart_agent.onion import GENERATION_MAX, LAYERS, Onion
from gateway.smart_agent.private_files import read_private, write_private
from gateway.smart_agent.rate_limit import RateLimit

BURST = 8  # a start asks again for what was revealed before it

_FILE_BYTES_MAX = 256
_NS_PER_MS = 1_000_000


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    generation: int
    opened: int = 0  # the newest generation of which a layer was revealed


class OnionDesk:
    """Serves commitments and reveals. A block reveals one layer, so one a block interval is enough."""

    def __init__(
        self,
        path: Path,
        secret: Callable[[], bytes],
        slot_ms: int,
        clock: Clock,
        layers: int = LAYERS,
    ) -> None:
        self._path = path
        self._secret = secret
        self._clock = clock
        self._layers = layers
        content = self._load()
        self._newest, self._newest_opened = content.generation, content.opened
        self._onions: dict[int, Onion] = {}
        self._opened: dict[int, int] = {}  # the deepest layer that this process revealed
        self._rate = RateLimit(interval_ns=slot_ms * _NS_PER_MS, burst=BURST)

    def commit(self, generation: int) -> bytes | Refused:
        """Return the commitment of an onion: one made before and not opened yet, or the next."""
        if not 1 <= generation <= min(self._newest + 1, GENERATION_MAX):
            detail = f"the next order commitment is number {self._newest + 1}"
            return Refused(RefusedReason.NOT_ALLOWED, detail)
        if generation <= self._newest_opened:
            detail = (
                f"order commitment {generation} was used already, and its values are known:"
                f" commit to number {self._newest_opened + 1}"
            )
            return Refused(RefusedReason.NOT_ALLOWED, detail)
        if generation > self._newest:
            self._save(generation, self._newest_opened)
        return self._onion(generation).commitment()

    def reveal(self, around: bytes) -> bytes | Refused:
        """Return the layer inside `around`, the value that the chain accepted last."""
        for generation in range(self._newest, max(self._newest - 2, 0), -1):
            onion = self._onion(generation)
            depth = onion.depth_of(around)
            if depth == 0:
                detail = "this order commitment is used up: commit to the next one"
                return Refused(RefusedReason.NOT_ALLOWED, detail)
            if depth is not None:
                return self._open(onion, depth - 1)
        detail = "not a value of this SmartAgent's newest order commitments"
        return Refused(RefusedReason.NOT_ALLOWED, detail)

    def make_some(self) -> bool:
        """Do a little of the hashing ahead of the first reveal; return whether there is more to do."""
        return self._newest > 0 and self._onion(self._newest).make_some()

    def _open(self, onion: Onion, depth: int) -> bytes | Refused:
        is_new = depth < self._opened.get(onion.generation, self._layers)
        if is_new and not self._rate.admit(self._clock.monotonic_ns()):
            return Refused(RefusedReason.RATE_LIMIT, "more reveals than this chain has blocks")
        if onion.generation > self._newest_opened:
            self._save(self._newest, onion.generation)
        if is_new:
            self._opened[onion.generation] = depth
        return onion.layer(depth)

    def _onion(self, generation: int) -> Onion:
        onion = self._onions.get(generation)
        if onion is None:
            onion = self._onions[generation] = Onion(self._secret(), generation, self._layers)
            for old in sorted(self._onions)[:-2]:
                del self._onions[old]
        return onion

    def _save(self, newest: int, newest_opened: int) -> None:
        """Make both numbers durable, then go by them."""
        write_private(self._path, msgspec.json.encode(_Content(newest, newest_opened)) + b"\n")
        self._newest, self._newest_opened = newest, newest_opened

    def _load(self) -> _Content:
        if not self._path.exists():
            return _Content(0)
        try:
            return msgspec.json.decode(read_private(self._path, _FILE_BYTES_MAX), type=_Content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise AgentError(f"{self._path} is damaged: restore it") from None
