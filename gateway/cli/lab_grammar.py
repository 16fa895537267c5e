"""The grammar of `smartshare lab`."""

import argparse
from collections.abc import Callable

from gateway.cli.grammar import Commands, command, json
from ledger.params import AGENTS_MAX

MINUTES_MAX = 60  # of virtual time: with 99 agents some minutes of real time
SEED_MAX = 2**63 - 1


def add_lab_command(commands: Commands) -> None:
    """Add the command."""
    lab = command(
        commands, "lab", "gateway.cli.lab:lab", "try a network's fault budget in virtual time"
    )
    lab.add_argument("--agents", type=_integer(1, AGENTS_MAX), default=AGENTS_MAX, metavar="N")
    lab.add_argument(
        "--kill", type=_integer(0, AGENTS_MAX - 1), default=0, metavar="N", help="how many die"
    )
    lab.add_argument("--seed", type=_integer(0, SEED_MAX), default=1, metavar="S")
    lab.add_argument(
        "--minutes",
        type=_integer(1, MINUTES_MAX),
        default=2,
        metavar="M",
        help="virtual time with the dead dead",
    )
    lab.add_argument(
        "--loss", type=_integer(0, 50), default=0, metavar="PERCENT", help="messages lost"
    )
    lab.add_argument(
        "--late",
        type=_integer(0, 50),
        default=0,
        metavar="PERCENT",
        help="messages late by 0.2 to 8 s",
    )
    json(lab)


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if text.isascii() and text.isdecimal() and lowest <= int(text) <= highest:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {lowest} to {highest}")

    return parse
