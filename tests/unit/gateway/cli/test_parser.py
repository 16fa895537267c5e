"""The grammar of the command line: help for everything, handlers that exist, usage errors of one line."""

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.grammar import PROGRAM
from gateway.cli.main import main
from gateway.cli.parser import build_parser

ROOT = Path(__file__).parents[4]
SHELL_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def commands(
    parser: argparse.ArgumentParser | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Yield the path and the parser of every command that does something."""
    parser = parser or build_parser()
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not any(group.required for group in groups) and path:
        yield path, parser
    for group in groups:
        for name, child in group.choices.items():
            yield from commands(child, (*path, name))


ALL = dict(commands())


def documented() -> list[tuple[str, str]]:
    """Every `smartshare ...` line of the shell blocks in README.md and docs/, with its file."""
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in SHELL_BLOCK.findall(path.read_text()):
            for line in block.replace("\\\n", " ").splitlines():
                match = re.search(rf"(?:^|\s){PROGRAM} ([a-z][^#|;&]*)", line)
                if match:
                    found.append((path.name, match.group(1).strip()))
    return found


def test_there_are_commands():
    assert len(ALL) > 25
    assert ("wallet", "send") in ALL


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_a_handler_that_can_be_imported(path):
    module, _, function = ALL[path].get_default("handler").partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("path", [(), *ALL, ("device",), ("chain",)], ids=" ".join)
def test_every_command_has_help(path, capsys):
    assert main((*path, "--help")) == 0

    output = capsys.readouterr().out
    assert output.startswith(f"usage: {' '.join((PROGRAM, *path))}")
    assert len(output.splitlines()) > 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("fly",),
        ("init",),
        ("device",),
        ("device", "fly"),
        ("device", "add"),
        ("device", "add", "x", "--profile"),
        ("device", "add", "x", "--profile", "y", "--interval-ms", "often"),
        ("readings", "meter", "--last", "many"),
        ("receipt", "meter", "one"),
        ("chain", "block", "1.5"),
        ("discover", "--timeout", "soon"),
        ("status", "--colour"),
        ("status", "extra"),
        ("verify", "file"),
        ("--home", "x", "status"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_that_points_to_the_help(arguments, capsys):
    assert main(arguments) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(PROGRAM)
    assert line.endswith("--help`")


def test_no_command_prints_the_help(capsys):
    assert main(()) == 2
    assert "COMMAND" in capsys.readouterr().out


def test_the_version_is_told(capsys):
    assert main(("--version",)) == 0
    assert re.fullmatch(rf"{PROGRAM} \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_every_command_that_reads_a_home_takes_it_the_same_way():
    for path, parser in ALL.items():
        homes = [a for a in parser._actions if "--home" in a.option_strings]
        assert all(action.type is Path for action in homes), path
        assert all(action.default in (None, argparse.SUPPRESS) for action in homes), path


@pytest.mark.parametrize(("file", "line"), documented(), ids=lambda text: str(text)[:60])
def test_every_documented_command_can_be_written_so(file, line):
    words = [word for word in re.findall(r"'[^']*'|\"[^\"]*\"|\S+", line) if word != "..."]
    path = next((p for p in (tuple(words[:n]) for n in (3, 2, 1)) if p in ALL), None)
    assert path is not None, f"{file}: smartshare {line}"
    known = {option for action in ALL[path]._actions for option in action.option_strings}
    used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, f"{file}: smartshare {line}"


def test_documentation_shows_commands():
    assert any(file == "README.md" and line.startswith("init") for file, line in documented())
