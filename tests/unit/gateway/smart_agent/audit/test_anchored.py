"""Which anchored head a log should hold and does not."""

import pytest

from gateway.smart_agent.audit.anchored import AnchoredHead, audit_device, find_missing, head_root
from gateway.smart_agent.audit.entry import Head

NODE, OTHER = b"n" * 32, b"o" * 32
HEADS = [AnchoredHead(10 * number, bytes([number]) * 32) for number in (1, 2, 3, 4)]


def held(*numbers):
    return {bytes([number]) * 32 for number in numbers}


@pytest.mark.parametrize(
    ("holds", "is_rotated", "missing"),
    [
        (held(1, 2, 3, 4, 5), False, None),
        (held(2, 3, 4), False, 10),
        (held(1, 2, 4), False, 30),
        (held(1, 2, 3), False, 40),
        (held(3, 4), True, None),
        (held(2, 4), True, 30),
        (held(1, 2, 3), True, 40),
        (held(), True, 40),
        (held(), False, 10),
    ],
)
def test_the_oldest_head_that_should_be_there(holds, is_rotated, missing):
    found = find_missing(HEADS, holds, is_rotated=is_rotated)

    assert (found and found.height) == missing


def test_nothing_anchored_nothing_missing():
    assert find_missing([], set(), is_rotated=False) is None
    assert find_missing([], set(), is_rotated=True) is None


def test_a_root_speaks_of_one_node_one_entry_and_one_hash():
    head = Head(7, b"h" * 32)
    roots = {
        head_root(NODE, head),
        head_root(OTHER, head),
        head_root(NODE, Head(8, b"h" * 32)),
        head_root(NODE, Head(7, b"i" * 32)),
    }
    assert len(roots) == 4
    assert audit_device(NODE) != audit_device(OTHER)
