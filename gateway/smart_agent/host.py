"""On which machine, since which boot and from which folder the agent runs: what a copied card cannot take along.

A service without `/proc` gets the boot's id from its unit (`SMARTSHARE_BOOT_ID=%b`). Where something cannot be
read it is empty, and then counts for nothing.
"""

import os
from pathlib import Path

import msgspec

BOOT_ID_VARIABLE = "SMARTSHARE_BOOT_ID"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SERIAL = Path("/sys/firmware/devicetree/base/serial-number")  # a Raspberry Pi's own number
_TEXT_MAX = 128


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an instance runs."""

    boot_id: str
    hardware: str
    folder: str


def read_host(folder: Path) -> Host:
    """Return where this process runs with the agent's `folder`."""
    place = folder.stat()
    boot_id = os.environ.get(BOOT_ID_VARIABLE) or _read_text(_BOOT_ID)
    return Host(
        boot_id=boot_id.replace("-", "")[:_TEXT_MAX],
        hardware=_read_text(_SERIAL),
        folder=f"{place.st_dev}:{place.st_ino}",
    )


def is_same_machine(one: Host, other: Host) -> bool:
    """Tell whether both are one folder on one machine: of one boot, or of hardware with a number of its own."""
    if one.folder != other.folder or one.hardware != other.hardware:
        return False
    return bool(one.hardware) or (bool(one.boot_id) and one.boot_id == other.boot_id)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_TEXT_MAX).rstrip(b"\0\n ").decode("ascii", "replace")
    except OSError:
        return ""
