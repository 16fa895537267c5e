"""A packet network with named faults, each of which a run can switch on and off.

loss · late · duplicate · partition (any number of sides) · one-way cut · flapping (a cut that comes
and goes)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random  # noqa: TID251 - the type only: the seeded generator is handed in

from gateway.lab.clockwork import Clockwork
from ledger.codec.canonical import encode
from ledger.types.messages import Message

Deliver = Callable[[bytes, bytes, Message], None]


@dataclass(frozen=True, slots=True)
class LinkFaults:
    """How every link behaves; probabilities in thousandths, times in ms (inclusive ranges)."""

    latency_ms: tuple[int, int] = (20, 200)
    loss: int = 0
    late: int = 0
    late_ms: tuple[int, int] = (200, 8_000)
    duplicate: int = 0


class PacketNetwork:
    """Carries messages between nodes, which it knows by their ids."""

    def __init__(self, clockwork: Clockwork, random: Random, deliver: Deliver) -> None:
        self._clockwork = clockwork
        self._random = random
        self._deliver = deliver
        self._sides: dict[bytes, int] = {}
        self._cuts: set[tuple[bytes, bytes]] = set()
        self.faults = LinkFaults()
        self.reachable: set[bytes] | None = None  # who is up, where that matters to the counts
        self.counted_messages = 0
        self.counted_bytes = 0
        self._is_counting = False

    def send(self, source: bytes, targets: Sequence[bytes], message: Message) -> None:
        """Send a message to each of the targets."""
        if self._is_counting:
            self._count(targets, message)
        for target in targets:
            if not self._is_cut(source, target):
                self._carry(source, target, message)

    def start_counting(self) -> None:
        """Count from now on what is sent to nodes that are up."""
        self._is_counting = True

    def _count(self, targets: Sequence[bytes], message: Message) -> None:
        up = self.reachable
        arriving = len(targets) if up is None else sum(target in up for target in targets)
        self.counted_messages += arriving
        self.counted_bytes += arriving * len(encode(message))

    def partition(self, sides: dict[bytes, int]) -> None:
        """Cut the network into sides; a node that is not named is on side 0."""
        self._sides = sides

    def cut_one_way(self, source: bytes, target: bytes) -> None:
        """Let nothing through from `source` to `target`."""
        self._cuts.add((source, target))

    def mend_one_way(self, source: bytes, target: bytes) -> None:
        """End a one-way cut."""
        self._cuts.discard((source, target))

    def flap(self, pair: tuple[bytes, bytes], period_ms: int, until_ms: int) -> None:
        """Cut a link both ways and mend it again each half period."""
        now_ms = self._clockwork.now_ms
        is_down = self._is_cut(*pair)
        if now_ms >= until_ms:
            self._set_link(pair, is_down=False)
            return
        self._set_link(pair, is_down=not is_down)
        self._clockwork.at(now_ms + period_ms // 2, self.flap, pair, period_ms, until_ms)

    def heal(self) -> None:
        """Mend every partition and cut."""
        self._sides = {}
        self._cuts.clear()

    def _set_link(self, pair: tuple[bytes, bytes], *, is_down: bool) -> None:
        for link in (pair, (pair[1], pair[0])):
            if is_down:
                self._cuts.add(link)
            else:
                self._cuts.discard(link)

    def _is_cut(self, source: bytes, target: bytes) -> bool:
        if self._sides and self._sides.get(source, 0) != self._sides.get(target, 0):
            return True
        return bool(self._cuts) and (source, target) in self._cuts

    def _carry(self, source: bytes, target: bytes, message: Message) -> None:
        faults, random = self.faults, self._random
        if faults.loss and random.random() * 1_000 < faults.loss:
            return
        is_late = faults.late and random.random() * 1_000 < faults.late
        self._arrive_in(faults.late_ms if is_late else faults.latency_ms, source, target, message)
        if faults.duplicate and random.random() * 1_000 < faults.duplicate:
            self._arrive_in(faults.late_ms, source, target, message)

    def _arrive_in(
        self, delay_ms: tuple[int, int], source: bytes, target: bytes, message: Message
    ) -> None:
        low, high = delay_ms
        delay = low + int(self._random.random() * (high - low + 1))
        time_ms = self._clockwork.now_ms + delay
        self._clockwork.at(time_ms, self._deliver, source, target, message)
