"""Makes an agent's folder, and opens it for one process at a time.

agent/  (0700)  unlock, sealed.key, guard, lock, agent.json  (all 0600)
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.agent import Agent
from gateway.smart_agent.binding import create_binding, open_binding
from gateway.smart_agent.file_keys import FileKeys
from gateway.smart_agent.guard import SignGuard, create_guard_file, read_guard_file
from gateway.smart_agent.judge import FIRST_RECORD, SignRecord
from gateway.smart_agent.keys import AgentKeys, KeyProvider, describe_keys
from gateway.smart_agent.private_files import make_private_folder
from gateway.smart_agent.sealed_key import (
    MODERATE,
    KdfLimits,
    create_sealed_key,
    open_sealed_key,
)
from gateway.smart_agent.unlock import UnlockSource, create_unlock, load_unlock

_KEY_FILE = "sealed.key"
_GUARD_FILE = "guard"
_BINDING_FILE = "agent.json"
_LOCK_FILE = "lock"


def create_agent(folder: Path, unlock: UnlockSource, limits: KdfLimits = MODERATE) -> AgentKeys:
    """Make a new agent in `folder` and return its public keys; never overwrites another one."""
    make_private_folder(folder)
    with _locked(folder):
        for name in (_BINDING_FILE, _KEY_FILE, _GUARD_FILE):
            if (folder / name).exists():
                raise AgentError(f"{folder} already holds a SmartAgent ({name}): keep it")
        create_unlock(unlock)
        root_secret = create_sealed_key(folder / _KEY_FILE, load_unlock(unlock), limits)
        create_guard_file(folder / _GUARD_FILE, FIRST_RECORD)
        create_binding(folder / _BINDING_FILE, f"file:{_KEY_FILE}")
    return describe_keys(FileKeys(root_secret), chain_id=None)


def is_agent_there(folder: Path) -> bool:
    """Tell whether a whole SmartAgent was made in `folder`: its last file is there."""
    return (folder / _BINDING_FILE).exists()


@contextmanager
def open_agent(folder: Path, unlock: UnlockSource) -> Iterator[Agent]:
    """Open an agent for as long as the block runs; raise `AgentError` when it cannot sign safely."""
    if not is_agent_there(folder):
        raise AgentError(f"there is no SmartAgent in {folder}: run `smartshare init` first")
    make_private_folder(folder)
    with _locked(folder):
        binding = open_binding(folder / _BINDING_FILE)
        with SignGuard(folder / _GUARD_FILE) as guard:
            yield Agent(_open_keys(binding.key_uri, folder, unlock), binding, guard)


def renew_guard(folder: Path, epoch: int, slot: int) -> None:
    """Replace a lost guard record: this key votes from (epoch, slot) on.

    For a person who knows that every earlier vote of the key was before that point, as after a
    restore from a backup. Raises `AgentError` when a readable record says otherwise.
    """
    path = folder / _GUARD_FILE
    with _locked(folder):
        if path.exists():
            record = read_guard_file(path).record
            if (epoch, slot) <= (record.epoch, record.slot):
                newest = f"epoch {record.epoch} slot {record.slot}"
                raise AgentError(f"{path} is at {newest}: it cannot be set back or kept")
        create_guard_file(path, SignRecord(epoch, slot))


def _open_keys(uri: str, folder: Path, unlock: UnlockSource) -> KeyProvider:
    scheme, _, name = uri.partition(":")
    if scheme != "file" or not name or Path(name).name != name:
        raise AgentError(f"{folder / _BINDING_FILE}: key {uri!r} is not `file:NAME`")
    return FileKeys(open_sealed_key(folder / name, load_unlock(unlock)))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the kernel lets go of it when the process ends."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(folder / _LOCK_FILE, flags, 0o600)
    except OSError as error:
        raise AgentError(f"cannot lock {folder}: {error.strerror}") from None
    try:
        _flock(folder, descriptor)
        yield
    finally:
        os.close(descriptor)


def _flock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise AgentError(f"another SmartAgent runs on {folder}: stop it first") from None
