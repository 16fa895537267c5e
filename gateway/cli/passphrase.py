"""Passphrases come from a prompt or a private file: never from an argument, which others can read."""

import argparse
import getpass
import sys
from pathlib import Path

from gateway.errors import SettingsError
from gateway.smart_agent.private_files import read_private

PASSPHRASE_LENGTH_MIN = 12
_LENGTH_MAX = 1024


def passphrase_of(options: argparse.Namespace, what: str, *, is_new: bool = False) -> bytes:
    """Return the passphrase that seals `what`; a new one is asked for twice and must be long."""
    path: Path | None = options.passphrase_file
    if path is not None:
        text = read_private(path, _LENGTH_MAX).decode("utf-8", "replace").strip()
    else:
        text = _ask(f"Passphrase of {what}: ")
        if is_new and _ask("The same again: ") != text:
            raise SettingsError("the two passphrases differ: nothing was changed")
    if is_new and len(text) < PASSPHRASE_LENGTH_MIN:
        raise SettingsError(f"the passphrase is shorter than {PASSPHRASE_LENGTH_MIN} characters")
    if not text:
        raise SettingsError("the passphrase is empty")
    return text.encode()


def _ask(prompt: str) -> str:
    if not sys.stdin.isatty():
        raise SettingsError("there is no terminal to ask for a passphrase: use --passphrase-file")
    return getpass.getpass(prompt)
