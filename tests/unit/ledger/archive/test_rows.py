"""Transactions of every kind as rows that PostgreSQL takes."""

import json

import pytest

from ledger.archive.rows import describe_body
from ledger.types.stake import Change
from ledger.types.transaction import Propose, Transfer, VoteAgents


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (Transfer(b"\x01" * 32, 7), {"to": "01" * 32, "amount": 7}),
        (VoteAgents((b"\x02" * 32,)), {"choices": ["02" * 32]}),
        (
            Propose(5, "a\x00b", (Change("missed_min", 3),), 9),
            {
                "deposit": 5,
                "title": "a\ufffdb",
                "changes": [{"name": "missed_min", "value": 3}],
                "activation_height": 9,
            },
        ),
    ],
)
def test_a_body_is_json_with_bytes_as_hexadecimal(body, expected):
    assert json.loads(describe_body(body)) == expected
