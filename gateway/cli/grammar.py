"""The words in which the command line's grammar is written: commands, groups, options of many commands."""

import argparse
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

PROGRAM = "smartshare"
_P = TypeVar("_P", bound=argparse.ArgumentParser)


class Parser(argparse.ArgumentParser):
    """An argument parser that answers wrong usage with one line."""

    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line."""
        self.exit(2, f"{self.prog}: {message}; try `{self.prog} --help`\n")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse has no public name


def command(commands: Commands, name: str, handler: str, summary: str) -> Parser:
    """Add a command whose handler is named as `module:function`."""
    parser = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    parser.set_defaults(handler=handler)
    return parser


def group(commands: Commands, name: str, summary: str) -> Commands:
    """Add a word that needs one of its own commands behind it."""
    parser = commands.add_parser(name, help=summary, description=summary)
    return parser.add_subparsers(metavar="COMMAND", required=True, dest=f"{name}_command")


def home(parser: _P) -> _P:
    """Let a command take --home."""
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="the node's folder (or set SMARTSHARE_HOME)"
    )
    return parser


def json(parser: _P) -> _P:
    """Let a command take --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser
