"""Text for people, JSON for programs, and the home folder that a command works on."""

import argparse
from pathlib import Path

import msgspec
import pytest

from gateway.cli.output import emit, home_of, table
from gateway.errors import SettingsError


def test_a_table_is_aligned_and_has_no_blanks_at_its_ends():
    text = table(("NAME", "X", "WHAT"), [("a", "long", ""), ("longer", "b", "c")])

    assert text.splitlines() == [
        "NAME    X     WHAT",
        "a       long",
        "longer  b     c",
    ]


def test_a_table_without_rows_is_its_headings():
    assert table(("A", "B"), []) == "A  B"


def test_a_row_of_another_length_is_a_bug():
    with pytest.raises((ValueError, IndexError)):
        table(("A", "B"), [("1",)])


def test_text_is_printed_unless_json_is_asked_for(capsys):
    data = {"name": "Zähler", "n": 2**60, "empty": None}
    emit(argparse.Namespace(json=False), data, "the text")
    assert capsys.readouterr().out == "the text\n"

    emit(argparse.Namespace(), data, "the text")
    assert capsys.readouterr().out == "the text\n"

    emit(argparse.Namespace(json=True), data, "the text")
    assert msgspec.json.decode(capsys.readouterr().out) == data


def test_the_home_is_the_option_then_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SMARTSHARE_HOME", str(tmp_path / "b"))
    assert home_of(argparse.Namespace(home=tmp_path / "a")).path == tmp_path / "a"
    assert home_of(argparse.Namespace(home=None)).path == tmp_path / "b"

    monkeypatch.setenv("SMARTSHARE_HOME", "")
    with pytest.raises(SettingsError, match="add --home DIR, or set SMARTSHARE_HOME"):
        home_of(argparse.Namespace(home=None))


def test_a_relative_home_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert home_of(argparse.Namespace(home=Path("x"))).path == tmp_path / "x"
