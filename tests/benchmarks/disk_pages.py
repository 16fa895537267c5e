"""What the benchmarks of databases share that measure bytes for the disk by the size of pages."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psutil


def read_disk_bytes() -> int:
    """Return this process's `write_bytes`: pages of 4 KiB of the system's cache that became dirty."""
    count: int = psutil.Process().io_counters().write_bytes
    return count


def create_file(path: Path, page_bytes: int) -> None:
    """Make an empty database, which keeps its size of pages whoever opens it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size = {page_bytes}")
        connection.execute("PRAGMA journal_mode = WAL")
