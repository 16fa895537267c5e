"""Where the archive's URL comes from."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.ledger_host.archiving import find_archive_url
from gateway.settings import LedgerSection, Settings

URL = "postgresql://archive:secret@db.example/chain"


def settings(path: Path | None) -> Settings:
    section = LedgerSection(archive_url_file="" if path is None else str(path))
    return Settings(name="test", ledger=section)


def test_no_archive_is_wanted_unless_a_file_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert find_archive_url(settings(None)) is None
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert find_archive_url(settings(None)) is None


def test_the_url_is_read_from_a_file_or_a_systemd_credential(monkeypatch, tmp_path):
    (tmp_path / "archive-url").write_text(URL + "\n")
    assert find_archive_url(settings(tmp_path / "archive-url")) == URL
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert find_archive_url(settings(None)) == URL


@pytest.mark.parametrize("content", [b"mysql://u:secret@h/d", b"\xff", b"", b"postgresql://" * 999])
def test_what_is_no_url_is_refused_without_showing_it(tmp_path, content):
    path = tmp_path / "url"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        find_archive_url(settings(path))
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read from there"):
        find_archive_url(settings(tmp_path / "nothing"))
