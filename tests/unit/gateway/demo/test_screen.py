"""What people see: the bill's numbers, the line of power, and text where there is no terminal."""

import io
from collections import deque

import pytest
from rich.console import Console

from gateway.demo.bill import print_bill
from gateway.demo.screen import SPARK, Screen, View, sparkline


def make_console(*, is_terminal: bool = False) -> tuple[Console, io.StringIO]:
    output = io.StringIO()
    return Console(file=output, force_terminal=is_terminal, width=100), output


def test_the_bill_shows_what_the_contract_computed():
    console, output = make_console()
    print_bill(
        console,
        {
            "lines": [
                {"zone": "night", "energy": 1302, "scale": 0, "price": 18_000_000, "amount": 5},
                {"zone": "day", "energy": 12, "scale": 3, "price": 29_000_000, "amount": 7},
            ],
            "fixed": 25_000_000,
            "total": 25_000_012,
            "deposit": 5_000_000_000,
            "paid": 25_000_012,
            "returned": 4_974_999_988,
            "pauses": [{"sequence": 7, "reason": "gap", "time_ms": 1}],
        },
    )
    text = output.getvalue()
    for words in ("1.302", "12 ", "0.18000000", "0.25000012", "50.00000000", "49.74999988"):
        assert words in text
    assert "paused at reading 7, not billed: 'gap'" in text


@pytest.mark.parametrize(
    ("values", "line"), [([], ""), ([0], " "), ([0, 10], " █"), ([-5, 5], " █")]
)
def test_the_line_of_power_is_scaled_to_its_largest(values, line):
    assert sparkline(deque(values)) == line
    assert set(line) <= set(SPARK)


def test_without_a_terminal_each_step_is_a_line():
    console, output = make_console()
    view = View()
    with Screen(view, console) as screen:
        for step in ("starting", "starting", "metering", "settled" + 80 * "."):
            view.step = step
            screen.refresh()

    assert [line.split("] ")[1].split(":")[0] for line in output.getvalue().splitlines()] == [
        *("starting", "metering", "settled" + 80 * "."),
    ], "one that is longer than a terminal too"


def test_on_a_terminal_the_picture_shows_the_session():
    console, output = make_console(is_terminal=True)
    with Screen(View(session="open", energy_wh=1234, step="metering a day"), console) as screen:
        screen.refresh()

    assert "1234 Wh" in output.getvalue()
    assert "metering a day" in output.getvalue()
