"""`chain checkpoint` and `chain snapshot`: what a new node needs to start near the tip."""

import argparse

from gateway.cli.output import emit, full_home_of
from gateway.errors import SettingsError
from gateway.ledger_host.snapshot_files import find_snapshot, load_checkpoint
from gateway.settings import write_atomic


def checkpoint(options: argparse.Namespace) -> int:
    """Print the newest epoch's end."""
    found = load_checkpoint(full_home_of(options))
    emit(options, {"epoch": found.epoch, "hash": found.hash.hex()}, str(found))
    return 0


def snapshot(options: argparse.Namespace) -> int:
    """Write the newest snapshot to a file."""
    kept = find_snapshot(full_home_of(options))
    try:
        data = kept.read_bytes()
        write_atomic(options.output, data)
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}") from None
    emit(
        options,
        {"file": str(options.output), "epoch": int(kept.stem), "bytes": len(data)},
        f"{options.output}: the state at the end of epoch {kept.stem}, {len(data)} bytes. A new node starts\n"
        f"from it: smartshare init --join GENESIS --checkpoint EPOCH:HASH --snapshot {options.output}\n"
        "where EPOCH:HASH is what `smartshare chain checkpoint` prints on a node that you trust.",
    )
    return 0
