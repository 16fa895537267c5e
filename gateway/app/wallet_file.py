"""The wallet's queue on disk: one private JSON file, replaced as a whole under a lock."""

import fcntl
import os
from collections.abc import Callable

import msgspec

from gateway.app.wallet_queue import Queue
from gateway.errors import SettingsError
from gateway.settings import Home, write_private
from gateway.smart_agent.private_files import make_private_folder

_BYTES_MAX = (
    32 * 1024 * 1024
)  # 48 of the largest transactions, as hexadecimal text, and the settled ones


class WalletFile:
    """`wallet/queue.json` of a home folder."""

    def __init__(self, home: Home) -> None:
        self._folder = home.path / "wallet"
        self.path = self._folder / "queue.json"

    def load(self) -> Queue:
        """Return the queue; an empty one where there is no file. Raises `SettingsError`."""
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be read: {error.strerror}") from None
        if not data:
            return Queue()
        try:
            return msgspec.json.decode(data[:_BYTES_MAX], type=Queue)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.path}: damaged: {error}; restore it") from None

    def edit(self, change: Callable[[Queue], Queue]) -> Queue:
        """Apply a change to what is on disk now, durably, and return the result."""
        make_private_folder(self._folder)
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            before = self.load()
            after = change(before)
            if after != before:
                write_private(self.path, msgspec.json.format(msgspec.json.encode(after)) + b"\n")
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be written: {error.strerror}") from None
        finally:
            os.close(descriptor)
        return after
