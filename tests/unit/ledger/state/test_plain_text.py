"""Strangers' text, made safe for a terminal."""

import pytest
from hypothesis import given, strategies as st

from ledger.state.plain_text import is_plain_text, to_one_line


@pytest.mark.parametrize("text", ["", "Parking", "Köln 停车场", "naïve €"])
def test_plain_text_stays_as_it_is(text):
    assert is_plain_text(text)
    assert to_one_line(text, 100) == text


@pytest.mark.parametrize("char", ["\n", "\r", "\x1b", "\x00", "\x7f", "\x9b", "\u2028", "\u202e"])
def test_control_characters_become_spaces(char):
    assert not is_plain_text(f"a{char}b")
    assert to_one_line(f"a{char}b{char}", 100) == "a b"


def test_long_text_is_cut():
    assert to_one_line("a" * 11, 10) == "a" * 10


@given(st.text())
def test_the_result_is_plain_and_encodable(text):
    line = to_one_line(text, 50)
    assert is_plain_text(line)
    assert len(line) <= 50
    assert line.encode().decode() == line
