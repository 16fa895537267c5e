"""Whether the disk fills up: told while there is still time."""

import shutil
from pathlib import Path

FREE_BYTES_MIN = 200 * 1024 * 1024  # below this a full disk is hours away


def describe_low_disk(folder: Path) -> str:
    """Return one line where the folder's disk is nearly full, else ""."""
    free = shutil.disk_usage(folder).free
    if free >= FREE_BYTES_MIN:
        return ""
    return f"{folder}: only {free // 1024**2} MiB free: make room before readings stop"
