"""The alarm: somebody else votes with our key. It outlives restarts; only a quarantine lifts it."""

from pathlib import Path

import msgspec

from gateway.errors import AgentError
from gateway.smart_agent.judge import VoteRequest
from gateway.smart_agent.private_files import read_private, write_private
from ledger.crypto.domains import VoteKind
from ledger.types.primitives import Hash

HOW_TO_CONTINUE = (
    "stop every copy of this node but one, then"
    " `smartshare agent guard quarantine --epoch CURRENT --home DIR`"
)

_FILE_BYTES_MAX = 4096


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: VoteKind
    epoch: int
    slot: int
    block_hash: Hash


class AlarmFile:
    """`alarm` in the agent's folder: there while the alarm stands, and what raised it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = self._load()

    @property
    def line(self) -> str | None:
        """What happened and how to continue, or None without an alarm."""
        return self._line

    def raise_for(self, vote: VoteRequest) -> None:
        """Raise the alarm, durably."""
        content = _Content(vote.kind, vote.epoch, vote.slot, vote.block_hash)
        self._line = _describe(content)  # it stands even where the disk fails
        write_private(self._path, msgspec.json.encode(content) + b"\n")

    @staticmethod
    def remove(path: Path) -> None:
        """End it. A crash before the folder is synced brings it back, which is safe."""
        path.unlink(missing_ok=True)

    def _load(self) -> str | None:
        if not self._path.exists():
            return None
        try:
            content = msgspec.json.decode(read_private(self._path, _FILE_BYTES_MAX), type=_Content)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise AgentError(
                f"{self._path} is damaged, and says there was an alarm: {HOW_TO_CONTINUE}"
            ) from None
        return _describe(content)


def _describe(content: _Content) -> str:
    return (
        f"another SmartAgent votes with this key: a {content.kind.name} vote in epoch"
        f" {content.epoch} slot {content.slot} is not ours; {HOW_TO_CONTINUE}"
    )
