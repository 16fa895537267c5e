"""The log's files: `audit/NNNN.log`, named by their first entry, and what a whole one looks like.

Header, 56 bytes: magic 8 | first sequence u64 | hash of the entry before it 32 | its checksum 8.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.audit.entry import Broken, Entry, Head, read_entry
from gateway.smart_agent.private_files import read_private
from ledger.crypto.hashing import sha256

SEGMENT_BYTES_MAX = (
    4 * 1024 * 1024
)  # about 33,000 entries, read at a start in a fraction of a second
SEGMENTS_MAX = 32  # 128 MiB of an SD card; what is older is covered by its anchored heads

_MAGIC = b"ssp-aud\0"
_LAYOUT = struct.Struct(">8sQ32s8s")
HEADER_BYTES = _LAYOUT.size


def encode_header(before: Head) -> bytes:
    """Return the header of a segment that goes on after `before`."""
    head = _LAYOUT.pack(_MAGIC, before.sequence + 1, before.hash, bytes(8))[:-8]
    return head + sha256(head)[:8]


def decode_header(data: bytes) -> Head | None:
    """Return the head before a segment's first entry, or None when its header is damaged."""
    if len(data) < HEADER_BYTES:
        return None
    _, first, previous, _ = _LAYOUT.unpack_from(data)
    if first == 0:
        return None
    before = Head(first - 1, previous)
    return before if encode_header(before) == data[:HEADER_BYTES] else None


def segment_path(folder: Path, before: Head) -> Path:
    """Return where the segment that goes on after `before` lies."""
    return folder / f"{before.sequence + 1:020d}.log"


def list_segments(folder: Path) -> list[Path]:
    """Return the segments, oldest first."""
    return sorted(path for path in folder.glob("*.log") if path.stem.isdigit())


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment in memory: the head before its first entry, and all its bytes."""

    path: Path
    before: Head
    data: bytes

    def entries(self) -> Iterator[tuple[Entry, Head, int] | Broken]:
        """Yield entries in order with the head after each and where it ends; a `Broken` is the last."""
        head, offset = self.before, HEADER_BYTES
        while offset < len(self.data):
            read = read_entry(self.data, offset, head)
            yield read
            if isinstance(read, Broken):
                return
            _, head, offset = read


def load_segment(path: Path) -> Segment | None:
    """Return a segment, or None when its header is damaged; raise `AgentError` if it cannot be read."""
    data = read_private(path, 2 * SEGMENT_BYTES_MAX)
    before = decode_header(data)
    if before is None or path != segment_path(path.parent, before):
        return None
    return Segment(path, before, data)


def check_folder(folder: Path) -> None:
    """Raise `AgentError` when there is no log."""
    if not folder.is_dir():
        raise AgentError(f"there is no audit log in {folder}: the SmartAgent has not run yet")
