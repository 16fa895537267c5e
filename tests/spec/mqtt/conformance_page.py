"""Writes the tables of statements into docs/spec/MQTT.md: python -m tests.spec.mqtt.conformance_page"""

import re
from pathlib import Path

from tests.spec.mqtt.statements_5 import NOT_TESTED_5, STATEMENTS_5
from tests.spec.mqtt.statements_311 import NOT_TESTED_311, STATEMENTS_311

PAGE = Path(__file__).parents[3] / "docs/spec/MQTT.md"
BEGIN, END = "<!-- statements: begin -->", "<!-- statements: end -->"


def conformance_tables() -> str:
    """Both tables, as they must stand in the page."""
    parts = [
        _table("MQTT 3.1.1", STATEMENTS_311, NOT_TESTED_311),
        _table("MQTT 5.0", STATEMENTS_5, NOT_TESTED_5),
    ]
    return f"{BEGIN}\n\n" + "\n".join(parts) + f"\n{END}"


def _table(title: str, statements: dict[str, str], not_tested: dict[str, str]) -> str:
    lines = [
        f"### {title}: {len(statements) - len(not_tested)} of {len(statements)} statements tested",
        "",
        "| statement | in short | not tested because |",
        "|---|---|---|",
    ]
    for number, short in statements.items():
        lines.append(f"| MQTT-{number} | {short} | {not_tested.get(number, '')} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Put the tables between their marks."""
    between = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    PAGE.write_text(between.sub(lambda _: conformance_tables(), PAGE.read_text()))


if __name__ == "__main__":
    main()
