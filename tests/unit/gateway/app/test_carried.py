"""Signed transactions in files: what was written is read; anything else is one line."""

import pytest
from hypothesis import given, strategies as st

from gateway.app.carried import PREFIX, read_carried, write_carried
from gateway.errors import SettingsError
from ledger.params import TRANSACTION_BYTES_MAX


@given(raw=st.binary(max_size=300))
def test_what_was_written_is_read(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("carried") / "appeal.tx"
    write_carried(path, raw)
    assert read_carried(path) == raw


def test_the_largest_transaction_fits(tmp_path):
    raw = bytes(TRANSACTION_BYTES_MAX)
    write_carried(tmp_path / "large.tx", raw)
    assert read_carried(tmp_path / "large.tx") == raw


def test_no_file_is_overwritten(tmp_path):
    path = tmp_path / "appeal.tx"
    path.write_text("something else")
    with pytest.raises(SettingsError, match="name another file"):
        write_carried(path, b"x")
    assert path.read_text() == "something else"
    with pytest.raises(SettingsError, match="cannot be written"):
        write_carried(tmp_path / "nowhere" / "appeal.tx", b"x")


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"sspgrant1:AAAA", PREFIX.encode() + b"!", PREFIX.encode() + b"A"),
        PREFIX.encode() + b"A" * (3 * TRANSACTION_BYTES_MAX),
        bytes(range(256)),
    ],
)
def test_what_is_no_transaction_is_refused_by_name(tmp_path, content):
    path = tmp_path / "appeal.tx"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"appeal\.tx: not a signed transaction"):
        read_carried(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_carried(tmp_path / "appeal.tx")
