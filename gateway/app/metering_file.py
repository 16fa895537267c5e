"""A device's measurement records on disk: an append-only file, one writer at a time.

Each frame is a kind, a length and its bytes. What is to be signed is appended before the agent is asked, so a
page whose signature was lost in a crash is signed again in the very same bytes: pages never have a gap.
"""

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from gateway.errors import SettingsError
from gateway.metering.pages import build_signed_record, decode_page, decode_record, hash_page
from gateway.model import topics
from gateway.settings import Home
from gateway.smart_agent.metering_client import MeteringClient
from gateway.smart_agent.metering_messages import NewestPage
from gateway.smart_agent.private_files import give_to_owner_of, make_private_folder
from ledger.codec.canonical import encode
from ledger.types.metering import RECORD_BYTES_MAX, MeteringRecord

PENDING, SIGNED = b"P", b"S"
_HEADER = struct.Struct(">cI")


class MeteringFile:
    """`gateway/metering/<device>.records` of a home folder."""

    def __init__(self, home: Home, device: str) -> None:
        if not topics.is_name(device):
            raise SettingsError(f"{device[:60]!r} is not a device name: use {topics.NAME_RULE}")
        self._folder = home.readings.parent / "metering"
        self.path = self._folder / f"{device}.records"

    def pages(self) -> list[bytes]:
        """Return all signed records, oldest first; raises `SettingsError` where the file is damaged."""
        if not self.path.exists():
            return []
        try:
            with self.path.open("rb") as file:
                return [data for kind, data in _frames(file, self.path) if kind == SIGNED]
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be read: {error.strerror}") from None

    def append(self, record: MeteringRecord, agent: MeteringClient) -> bytes:
        """Sign a record as its meter's next page and return it; page and previous are filled in here.

        Raises `SettingsError` or `AgentError`; what was begun is ended by the next call.
        """
        with self._writing() as file:
            last = self._finish_pending(file, agent)
            newest = agent.newest_page(record.meter.device_id)
            if last is not None and _is_behind(newest, last, record.meter.device_id):
                newest = agent.note_page(last)
            page = msgspec.structs.replace(record, page=newest.page + 1, previous=newest.hash)
            payload = encode(page)
            _write(file, PENDING, payload)
            return self._sign(file, payload, agent)

    @contextmanager
    def _writing(self) -> Iterator[BinaryIO]:
        try:
            make_private_folder(self._folder)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            give_to_owner_of(self._folder, descriptor)
            with os.fdopen(descriptor, "r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield file
        except OSError as error:
            raise SettingsError(f"{self.path}: cannot be written: {error.strerror}") from None

    def _finish_pending(self, file: BinaryIO, agent: MeteringClient) -> bytes | None:
        """Cut off a torn end, sign what was to be signed when the process ended, return the last page."""
        end, pending, last = 0, None, None
        for kind, data in _frames(file, self.path):
            end = file.tell()
            pending = data if kind == PENDING else None
            last = data if kind == SIGNED else last
        file.truncate(end)
        file.seek(end)
        if pending is None:
            return last
        record = decode_record(pending)
        newest = agent.newest_page(record.meter.device_id)
        if newest.hash in (hash_page(pending), record.previous):
            return self._sign(file, pending, agent)
        return last

    def _sign(self, file: BinaryIO, payload: bytes, agent: MeteringClient) -> bytes:
        signed = build_signed_record(payload, agent.sign(payload))
        _write(file, SIGNED, signed)
        return signed


def _is_behind(newest: NewestPage, last: bytes, device_id: bytes) -> bool:
    """Tell whether the agent has forgotten the last page here, as after a restore from a backup."""
    record = decode_page(last)[0].record
    return record.meter.device_id == device_id and record.page > newest.page


def _frames(file: BinaryIO, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of every whole frame; a torn one at the end is none."""
    file.seek(0)
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        kind, length = _HEADER.unpack(header)
        if kind not in (PENDING, SIGNED) or length > RECORD_BYTES_MAX + 128:
            raise SettingsError(f"{path}: damaged at byte {file.tell()}: restore it")
        data = file.read(length)
        if len(data) < length:
            return
        yield kind, data


def _write(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(_HEADER.pack(kind, len(data)) + data)
    file.flush()
    os.fsync(file.fileno())
