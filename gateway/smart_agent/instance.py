"""Which running instance of the identity this agent is: a random name, kept with the machine it belongs to.

Rule 1: the name goes on after a crash of the process, and after a reboot of hardware that has a number of
its own; everywhere else, so on the machine of a copied card, a new name is made.
Rule 2: renewals count up durably before they are signed, so two agents with one name are noticed on the chain.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.errors import AgentError
from gateway.smart_agent.host import Host, is_same_machine
from gateway.smart_agent.private_files import read_private, write_private

_FILE_BYTES_MAX = 4096
_NAME_BYTES = 32


class Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file's content."""

    version: Literal[1]
    instance: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    renewal: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    host: Host


def choose_instance(stored: Stored | None, host: Host, fresh: bytes) -> Stored:
    """Return the instance that runs on `host`: the stored one, or a new one named `fresh`."""
    if stored is not None and is_same_machine(stored.host, host):
        return msgspec.structs.replace(stored, host=host)
    return Stored(1, fresh.hex(), 0, host)


class InstanceFile:
    """`agent/instance`: opened once when the agent starts."""

    def __init__(self, path: Path, host: Host) -> None:
        self._path = path
        self._stored = choose_instance(_load(path), host, os.urandom(_NAME_BYTES))
        _save(path, self._stored)

    @property
    def name(self) -> bytes:
        """The instance's 32-byte name."""
        return bytes.fromhex(self._stored.instance)

    @property
    def renewal(self) -> int:
        """The newest renewal that may have been signed."""
        return self._stored.renewal

    def take_renewal(self, renewal: int) -> None:
        """Make a renewal the newest one, durably; raises `AgentError` where that fails."""
        assert renewal > self._stored.renewal
        stored = msgspec.structs.replace(self._stored, renewal=renewal)
        _save(self._path, stored)
        self._stored = stored


def _load(path: Path) -> Stored | None:
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(read_private(path, _FILE_BYTES_MAX), type=Stored)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # A new name is always safe: it only has to wait until the old one's lease has ended.
        return None


def _save(path: Path, stored: Stored) -> None:
    try:
        write_private(path, msgspec.json.format(msgspec.json.encode(stored)) + b"\n")
    except AgentError as error:
        raise AgentError(f"the instance of this identity cannot be kept: {error}") from None
