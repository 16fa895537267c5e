"""A backup of the agent's keys, and a new folder from it. The sign guard's record is never in one.

So a restored agent has no record, refuses to start, and votes again only after a quarantine. The keys in a
backup stay sealed as they are on disk; the unlock secret is never in it and must be kept elsewhere.
"""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import AgentError
from gateway.smart_agent.private_files import (
    make_private_folder,
    read_private,
    write_private,
)
from gateway.smart_agent.provision import BINDING_FILE, PAGES_FILE, locked_binding
from gateway.smart_agent.spending.book import ACCOUNT_FILE, POLICY_FILE
from gateway.smart_agent.spending_desk import OWNER_FILE

# Everything a node needs but what ties it to one place and time: guard, alarm, instance, lock, audit log.
FILES = (
    "sealed.key",
    "wallet.key",
    "onion.key",
    "onion.json",
    OWNER_FILE,
    POLICY_FILE,  # a restored wallet keeps its limits
    ACCOUNT_FILE,
    PAGES_FILE,  # and its meters their page numbers
    BINDING_FILE,
)

_FILE_BYTES_MAX = 256 * 1024
_ARCHIVE_BYTES_MAX = 1024 * 1024


def make_backup(folder: Path, target: Path) -> list[str]:
    """Write a backup of the agent in `folder`, which must not be running; return what is in it."""
    if target.exists():
        raise AgentError(f"{target} is there: choose another name")
    with locked_binding(folder):
        files = {
            name: read_private(folder / name, _FILE_BYTES_MAX)
            for name in FILES
            if (folder / name).exists()
        }
    write_private(target, _pack(files))
    return list(files)


def restore_backup(source: Path, folder: Path) -> list[str]:
    """Make the agent's folder from a backup; never in place of another agent. It has no guard yet."""
    files = _unpack(source)
    make_private_folder(folder)
    found = sorted(path.name for path in folder.iterdir() if path.name not in {"unlock", "pin"})
    if found:
        raise AgentError(f"{folder} already holds {found[0]}: restore into an empty folder")
    for name in FILES:  # the binding last: without it the folder holds no agent
        if name in files:
            write_private(folder / name, files[name])
    return list(files)


def _pack(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _unpack(source: Path) -> dict[str, bytes]:
    data = read_private(source, _ARCHIVE_BYTES_MAX)
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or member.name not in FILES or member.size > _FILE_BYTES_MAX:
                    raise AgentError(f"{source}: {member.name!r} does not belong in a backup")
                files[member.name] = content.read()
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise AgentError(f"{source} is not a backup, or damaged: {error}") from None
    if BINDING_FILE not in files:
        raise AgentError(f"{source} is not a backup of a SmartAgent: {BINDING_FILE} is missing")
    return files
