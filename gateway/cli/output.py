"""What commands print: text for people, or one JSON document."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.errors import SettingsError
from gateway.model.ledger_api import LIGHT_REFUSAL
from gateway.settings import Home, load_settings


def emit(options: argparse.Namespace, data: object, text: str) -> None:
    """Print `data` as JSON with --json, else `text`."""
    if getattr(options, "json", False):
        print(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
    else:
        print(text)


def table(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return aligned columns with a heading line."""
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    lines = [headings, *rows]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in lines
    )


def home_of(options: argparse.Namespace) -> Home:
    """Return the home folder that was named; raises `SettingsError` when none was."""
    path: Path | None = options.home
    if path is None and os.environ.get("SMARTSHARE_HOME"):
        path = Path(os.environ["SMARTSHARE_HOME"])
    if path is None:
        raise SettingsError("which home folder? add --home DIR, or set SMARTSHARE_HOME")
    return Home(path.resolve())


def full_home_of(options: argparse.Namespace) -> Home:
    """Return the home of a node that has a chain; raises `SettingsError` for a light one, too."""
    home = home_of(options)
    if home.settings.exists() and load_settings(home).ledger.role == "light":
        raise SettingsError(LIGHT_REFUSAL)
    return home
