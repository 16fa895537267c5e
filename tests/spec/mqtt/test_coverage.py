"""Every normative statement is tested, or it is said why not; and no test names one that is not."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.spec.mqtt.conformance_page import PAGE, conformance_tables
from tests.spec.mqtt.statements_5 import NOT_TESTED_5, STATEMENTS_5
from tests.spec.mqtt.statements_311 import NOT_TESTED_311, STATEMENTS_311

HERE = Path(__file__).parent
TABLES = {"v3": (STATEMENTS_311, NOT_TESTED_311), "v5": (STATEMENTS_5, NOT_TESTED_5)}
TESTED_MIN = 130  # of both versions together


def named_statements() -> dict[str, Counter[str]]:
    """How many tests name each statement, read from the marks in the sources."""
    found: dict[str, Counter[str]] = {"v3": Counter(), "v5": Counter()}
    for path in HERE.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "statement":
                for keyword in node.keywords:
                    assert keyword.arg is not None
                    found[keyword.arg].update(ast.literal_eval(keyword.value).split())
    return found


@pytest.mark.parametrize("version", TABLES)
def test_every_statement_is_tested_or_it_is_said_why_not(version):
    statements, not_tested = TABLES[version]
    named = set(named_statements()[version])

    assert named <= set(statements)
    assert set(not_tested) <= set(statements)
    assert not named & set(not_tested)
    assert set(statements) - named == set(not_tested)


def test_enough_statements_are_tested():
    assert sum(map(len, named_statements().values())) >= TESTED_MIN


@pytest.mark.parametrize("version", TABLES)
def test_numbers_are_in_order(version):
    statements = TABLES[version][0]
    keys = [[int(part) for part in re.split(r"[.-]", number)] for number in statements]

    assert keys == sorted(keys)


def test_the_page_shows_the_tables_as_they_are():
    """To renew it: python -m tests.spec.mqtt.conformance_page"""
    assert conformance_tables() in PAGE.read_text()
