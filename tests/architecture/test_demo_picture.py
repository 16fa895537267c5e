"""The picture in the README shows the demonstration as it is now: `docs/demo_picture.py` draws it anew."""

import html
import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
# What it says whatever is measured, and the file that says it.
SAID = {
    "four gateways, a household meter, a tariff, a bill, a receipt.": "run.py",
    "Making four identities and starting four gateways and a Modbus meter ...": "run.py",
    "gateways alive": "screen.py",
    "consumer's balance": "screen.py",
    "The bill, computed by the contract": "bill.py",
    "Four gateways, one chain.": "outage.py",
    "The same receipt with one byte changed": "run.py",
}


@pytest.fixture(scope="module")
def shown() -> str:
    picture = (REPO / "docs/demo.svg").read_text()
    return html.unescape(re.sub(r"<[^>]+>", "", picture)).replace("\xa0", " ")


@pytest.mark.parametrize(("words", "file"), SAID.items())
def test_the_picture_says_what_the_demonstration_says(shown, words, file):
    assert words in (REPO / "gateway/demo" / file).read_text(), (
        "the demonstration changed its words"
    )
    assert words in shown, "run docs/demo_picture.py"
