"""Following the chain into an archive, beside the node: a slow or absent server delays no block."""

import asyncio
import logging
import os
from pathlib import Path

from gateway.errors import SettingsError
from gateway.settings import Settings
from ledger.archive.archive import Archive, follow
from ledger.errors import ArchiveError
from ledger.storage.reader import ChainReader

BLOCKS_A_ROUND = 200
WAIT_S = 1.0  # between looks for new blocks: an archive is for people, not for consensus
RETRY_FIRST_S = 1.0
RETRY_MAX_S = 60.0
URL_BYTES_MAX = 4_096
CREDENTIAL = "archive-url"  # systemd's LoadCredential name

_log = logging.getLogger(__name__)


def find_archive_url(settings: Settings) -> str | None:
    """Return the archive's URL from its credential file, or None where no archive is wanted.

    The file is named by `ledger.archive_url_file`, or is the systemd credential `archive-url`. Raises
    `SettingsError` where it cannot be read; the URL itself is in no message.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if settings.ledger.archive_url_file:
        path = Path(settings.ledger.archive_url_file)
    elif folder is not None and (Path(folder) / CREDENTIAL).exists():
        path = Path(folder) / CREDENTIAL
    else:
        return None
    try:
        with path.open("rb") as file:
            data = file.read(URL_BYTES_MAX + 1)
        url = data.decode().strip()
    except (OSError, UnicodeDecodeError):
        raise SettingsError(f"{path}: the archive's URL cannot be read from there") from None
    if len(data) > URL_BYTES_MAX or not url.startswith(("postgresql://", "postgres://")):
        raise SettingsError(f"{path}: write one line, postgresql://USER:PASSWORD@HOST/DATABASE")
    return url


class Archiver:
    """Keeps an archive up to the chain for as long as it runs."""

    def __init__(self, chain: Path, chain_id: bytes, url: str) -> None:
        self._chain = chain
        self._chain_id = chain_id
        self._url = url
        self._archive: Archive | None = None
        self.problem: str | None = None

    async def run(self) -> None:
        """Follow until cancelled; what goes wrong is said once and tried again."""
        delay_s = RETRY_FIRST_S
        try:
            while True:
                try:
                    copied = await asyncio.to_thread(self.copy_some)
                except ArchiveError as error:
                    self._note(str(error))
                    await asyncio.sleep(delay_s)
                    delay_s = min(2 * delay_s, RETRY_MAX_S)
                    continue
                self._note(None)
                delay_s = RETRY_FIRST_S
                if copied < BLOCKS_A_ROUND:
                    await asyncio.sleep(WAIT_S)
        finally:
            self._drop()

    def copy_some(self) -> int:
        """Copy some blocks that the archive lacks; return how many. Raises `ArchiveError`."""
        try:
            if self._archive is None:
                self._archive = Archive.open(self._url, self._chain_id)
            reader = ChainReader.open(self._chain)
            try:
                return follow(reader, self._archive, BLOCKS_A_ROUND)
            finally:
                reader.close()
        except ArchiveError:
            self._drop()
            raise

    def _drop(self) -> None:
        archive, self._archive = self._archive, None
        if archive is not None:
            archive.close()

    def _note(self, problem: str | None) -> None:
        if problem != self.problem:
            if problem is None:
                _log.info("the archive follows again")
            else:
                _log.warning("the archive waits: %s", problem)
        self.problem = problem
