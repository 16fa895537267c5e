"""The ledger's verifiers: child processes that check signatures while the ledger executes.

Threads would not do: whoever runs Python keeps the interpreter for up to 5 ms, a hundred times as long
as one verification, and a thread needs the interpreter again behind each of them.
Rule 1: nobody waits for a verifier. What it has not answered when an answer is needed, its owner
verifies itself, so a verifier that is slow, stopped or dead costs time and nothing else.
Rule 2: they start when there is much to verify and end by themselves when there is nothing for long.
All methods return at once; they are for one thread at a time.
"""

import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path

from ledger.codec.canonical import encode
from ledger.crypto.ed25519 import SignatureClaim
from ledger.node.verifier_process import (
    FRAME_BYTES_MAX,
    GENUINE,
    NOT_GENUINE,
    READY,
    are_genuine,
)

IN_FLIGHT_MIN = 2  # one part in work and one that waits: more might be waited for at the end
FAILURES_MAX = (
    3  # verifiers in a row that ended without any answer: this machine does not want them
)
EXIT_TIMEOUT_S = 5.0

# A verifier gets this process's own import path, however the package was installed.
_BOOT = (
    "import sys; sys.path[:] = sys.argv[2].splitlines(); "
    "from ledger.node.verifier_process import main; main(int(sys.argv[1]))"
)

_log = logging.getLogger(__name__)


class Part:
    """Some signatures that are verified together; `is_genuine` is None until somebody has."""

    __slots__ = ("claims", "is_genuine", "is_sent")

    def __init__(self, claims: list[SignatureClaim]) -> None:
        self.claims = claims
        self.is_genuine: bool | None = None
        self.is_sent = False

    def verify(self) -> None:
        """Verify here and now."""
        self.is_genuine = are_genuine(self.claims)

    def encode(self) -> bytes:
        """Return what a verifier is sent."""
        return encode(self.claims)


class Verifier:
    """One running process, and the parts that it was given and has not answered."""

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        self.is_ready = False
        self.is_useful = False  # it has answered
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    _command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={"LC_ALL": "C"},
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,  # Ctrl-C is for the ledger, which then lets go of it
                )
        except OSError:
            self._channel.close()
            raise

    @property
    def process_id(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def in_flight(self) -> int:
        """How many parts wait for an answer."""
        return len(self._parts)

    def send(self, part: Part) -> bool:
        """Hand a part over; False where it does not fit. Raises `OSError` when the process has ended."""
        frame = part.encode()
        if len(frame) > FRAME_BYTES_MAX:
            return False
        try:
            self._channel.send(frame)
        except BlockingIOError:
            return False
        part.is_sent = True
        self._parts.append(part)
        return True

    def collect(self) -> None:
        """Take the answers that are there. Raises `OSError` when the process has ended."""
        while True:
            try:
                answer = self._channel.recv(1)
            except BlockingIOError:
                return
            if answer == READY:
                self.is_ready = True
            elif answer in (GENUINE, NOT_GENUINE) and self._parts:
                self._parts.popleft().is_genuine = answer == GENUINE
                self.is_useful = True
            else:
                raise BrokenPipeError("the verifier has ended")

    def close(self) -> None:
        """End the process."""
        self._channel.close()
        self._process.kill()
        self._process.wait(EXIT_TIMEOUT_S)


class Verifiers:
    """At most `count` processes, and the parts that wait for one of them."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._running: list[Verifier] = []
        self._waiting: deque[Part] = deque()
        self._failures = 0

    @property
    def running(self) -> Sequence[Verifier]:
        """The processes that run, or have only just ended."""
        return self._running

    def start(self) -> None:
        """Start those that do not run; where that is not possible, go on without."""
        while len(self._running) < self._count and self._failures < FAILURES_MAX:
            try:
                self._running.append(Verifier())
            except OSError as error:
                self._note_failure(str(error))

    def submit(self, parts: Iterable[Part], share: int) -> None:
        """Give the first `share` of some parts to the verifiers at once, the others as they ask for more."""
        self.exchange()
        waiting = deque(parts)
        ready = [verifier for verifier in self._running if verifier.is_ready]
        for number in range(min(share, len(waiting)) if ready else 0):
            if not self._send(ready[number % len(ready)], waiting[0]):
                break
            waiting.popleft()
        self._waiting.extend(waiting)

    def exchange(self) -> None:
        """Take answers, and give each verifier that has little left to do some of what waits."""
        for verifier in tuple(self._running):
            try:
                verifier.collect()
            except OSError:
                self._drop(verifier)
                continue
            while verifier.is_ready and verifier.in_flight < IN_FLIGHT_MIN and self._waiting:
                part = self._waiting.popleft()
                if part.is_genuine is None and not self._send(verifier, part):
                    break  # its owner verifies it

    def finish(self, parts: Sequence[Part]) -> None:
        """Have all of these verified: beside the verifiers, and then in their place."""
        for part in reversed(parts):
            if part.is_genuine is None and not part.is_sent:
                part.verify()
                self.exchange()
        self.exchange()
        for part in reversed(parts):
            if part.is_genuine is None:
                part.verify()
                self.exchange()

    def close(self) -> None:
        """End all processes."""
        self._waiting.clear()
        while self._running:
            self._running.pop().close()

    def _send(self, verifier: Verifier, part: Part) -> bool:
        try:
            return verifier.send(part)
        except OSError:
            self._drop(verifier)
            return False

    def _drop(self, verifier: Verifier) -> None:
        if verifier not in self._running:
            return
        self._running.remove(verifier)
        verifier.close()
        if verifier.is_useful:
            self._failures = 0
        else:
            self._note_failure("it ended without an answer")

    def _note_failure(self, detail: str) -> None:
        self._failures += 1
        if self._failures == FAILURES_MAX:
            _log.warning(
                "signatures are verified without processes of their own, none starts: %s", detail
            )


def _command(file_descriptor: int) -> list[str]:
    paths = [str(Path(entry).resolve()) for entry in sys.path]
    arguments = [_BOOT, str(file_descriptor), "\n".join(paths)]
    return [sys.executable, "-I", "-S", "-c", *arguments]
