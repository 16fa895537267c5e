"""The limits in docs/BROKER.md are those in force."""

import re
from dataclasses import fields
from pathlib import Path

from gateway.broker.codec.v5 import OUTGOING_ALIASES_MAX
from gateway.broker.settings import RECEIVE_MAX, TOPIC_ALIAS_MAX, BrokerSettings

TEXT = (Path(__file__).parents[4] / "docs/BROKER.md").read_text()


def test_the_table_of_limits_is_true():
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", TEXT, re.MULTILINE)
    defaults = {field.name: field.default for field in fields(BrokerSettings)}

    assert len(rows) > 10
    for name, value in rows:
        assert str(defaults[name]) == value, name
    assert f"{RECEIVE_MAX} unacknowledged messages (Receive Maximum)" in TEXT
    assert f"{TOPIC_ALIAS_MAX} topic aliases" in TEXT
    assert f"{OUTGOING_ALIASES_MAX} aliases used" in TEXT
