"""The genesis file from disk, and one line with its path where it cannot be used."""

import pytest

from gateway.errors import SettingsError
from gateway.ledger_host import genesis as genesis_module
from gateway.ledger_host.genesis import load_genesis, read_genesis
from gateway.settings import Home
from ledger.errors import GenesisError
from ledger.types.genesis_file import format_genesis
from tests.support.ledger_lab import make_genesis


def test_what_was_written_is_read(tmp_path):
    home = Home(tmp_path)
    home.genesis.write_text(format_genesis(make_genesis()))

    assert load_genesis(home) == make_genesis()


def test_a_file_that_is_none_is_one_line(tmp_path):
    path = tmp_path / "genesis.json"
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        read_genesis(path)
    for content, words in (
        (b"\xff", "not UTF-8"),
        (b"{", "JSON"),
        (b"[" * 100_000, "nest too deep"),
    ):
        path.write_bytes(content)
        with pytest.raises(GenesisError, match=words) as raised:
            read_genesis(path)
        assert str(raised.value).startswith(f"{path}: ")
        assert "\n" not in str(raised.value)


def test_a_file_of_any_size_is_read_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(genesis_module, "GENESIS_BYTES_MAX", 10)
    path = tmp_path / "genesis.json"
    path.write_bytes(b" " * 11)

    with pytest.raises(GenesisError, match="more than 10 bytes"):
        read_genesis(path)
