"""What an agent folder says about itself: where its key is (a URI) and the one chain it serves.

The file is written last when an agent is made: without it the folder holds no agent.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.errors import AgentError
from gateway.smart_agent.messages import SLOT_MS_MAX, SLOT_MS_MIN
from gateway.smart_agent.private_files import read_private, write_private
from ledger.params import SLOT_MS

_FILE_BYTES_MAX = 4096


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    key: Annotated[str, Meta(max_length=1024)]
    chain_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")] | None
    slot_ms: Annotated[int, Meta(ge=SLOT_MS_MIN, le=SLOT_MS_MAX)] = SLOT_MS


class Binding:
    """`agent.json`. A chain is named once: votes of one key on two chains would share one guard."""

    def __init__(self, path: Path, content: _Content) -> None:
        self._path = path
        self._content = content

    @property
    def key_uri(self) -> str:
        """Where the key is, for example `file:sealed.key`."""
        return self._content.key

    @property
    def chain_id(self) -> bytes | None:
        """The chain's 32-byte id, or None before it is bound."""
        return None if self._content.chain_id is None else bytes.fromhex(self._content.chain_id)

    @property
    def slot_ms(self) -> int:
        """The chain's block interval."""
        return self._content.slot_ms

    def bind(self, chain_id: bytes, slot_ms: int = SLOT_MS) -> None:
        """Name the chain and its block interval, durably. May be called once."""
        assert self.chain_id is None
        content = _Content(1, self.key_uri, chain_id.hex(), slot_ms)
        _write(self._path, content)
        self._content = content


def create_binding(path: Path, key_uri: str) -> None:
    """Write the file of an agent that is not bound to a chain yet."""
    _write(path, _Content(version=1, key=key_uri, chain_id=None))


def open_binding(path: Path) -> Binding:
    """Read the file; raise `AgentError` when it is missing or malformed."""
    try:
        content = msgspec.json.decode(read_private(path, _FILE_BYTES_MAX), type=_Content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AgentError(f"{path} is damaged: {error}: restore it") from None
    return Binding(path, content)


def _write(path: Path, content: _Content) -> None:
    write_private(path, msgspec.json.format(msgspec.json.encode(content)) + b"\n")
