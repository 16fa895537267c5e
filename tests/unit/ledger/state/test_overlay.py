"""Overlays: reads through, writes that stay apart until merged."""

import pytest
from hypothesis import given, strategies as st

from ledger.state.overlay import Overlay

KEYS = st.sampled_from([b"a", b"b", b"c"])
CHANGES = st.lists(st.tuples(KEYS, st.none() | st.binary(max_size=2)))


def change(overlay: Overlay, changes: list[tuple[bytes, bytes | None]]) -> None:
    for key, value in changes:
        if value is None:
            overlay.delete(key)
        else:
            overlay.put(key, value)


def test_reads_see_own_writes_before_the_parents():
    overlay = Overlay({b"a": b"1", b"b": b"2"})
    overlay.put(b"a", b"")
    overlay.delete(b"b")
    assert (overlay.get(b"a"), overlay.get(b"b"), overlay.get(b"c")) == (b"", None, None)
    assert overlay.writes == {b"a": b"", b"b": None}


def test_a_child_that_is_dropped_leaves_no_trace():
    parent = Overlay({b"a": b"1"})
    child = parent.child()
    child.delete(b"a")
    child.put(b"b", b"2")
    assert child.get(b"a") is None
    assert (parent.get(b"a"), parent.get(b"b"), parent.writes) == (b"1", None, {})


def test_a_child_is_merged_only_into_its_parent():
    with pytest.raises(AssertionError, match="another parent"):
        Overlay({}).merge(Overlay({}))


@given(state=st.dictionaries(KEYS, st.binary(max_size=2)), first=CHANGES, second=CHANGES)
def test_merged_children_read_like_one_dict(state, first, second):
    overlay = Overlay(state)
    expected: dict[bytes, bytes | None] = dict(state)
    for changes in (first, second):
        child = overlay.child()
        change(child, changes)
        overlay.merge(child)
        expected |= dict(changes)
    for key in (b"a", b"b", b"c"):
        assert overlay.get(key) == expected.get(key)
