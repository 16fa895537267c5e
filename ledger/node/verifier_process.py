"""A verifier: a child process of the ledger that checks signatures, part after part, and knows no more.

Parts and answers are whole messages of one socket. It ends when that closes or stays silent for long.
"""

import contextlib
import socket
from pathlib import Path

from ledger.codec.canonical import OwnDecoder
from ledger.crypto.ed25519 import SignatureClaim, verify_strict

FRAME_BYTES_MAX = 64 * 1024  # one part of work; below every default of a socket's buffer
READY, GENUINE, NOT_GENUINE = b"r", b"1", b"0"
IDLE_S = 60.0  # blocks come every few seconds while there is work; a gateway wants its memory back

_claims = OwnDecoder(list[SignatureClaim])


def main(file_descriptor: int) -> None:
    """Answer on an inherited socket, one byte for each part, until nobody asks any more."""
    with socket.socket(fileno=file_descriptor) as channel, contextlib.suppress(OSError):
        _volunteer_for_oom()
        channel.settimeout(IDLE_S)
        channel.send(READY)
        while frame := channel.recv(FRAME_BYTES_MAX):
            channel.send(GENUINE if are_genuine(_claims.decode(frame)) else NOT_GENUINE)


def are_genuine(claims: list[SignatureClaim]) -> bool:
    """Tell whether each of these signatures is its key's over its message."""
    return all(verify_strict(*claim) for claim in claims)


def _volunteer_for_oom() -> None:
    # When the machine runs out of memory, it can do without: the ledger then verifies by itself. Not
    # every container allows the choice, and nothing depends on it.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
