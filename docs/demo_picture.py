"""Makes docs/demo.svg: runs the demonstration in a terminal of its own and draws what stands on it at the end.

    .venv/bin/python docs/demo_picture.py [--recording FILE]

With --recording the demonstration's output is kept in that file or, where it exists, drawn from it.
"""

import argparse
import io
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
COLUMNS = 112
TITLE = "./scripts/demo --once"

_TOKEN = re.compile(r"\x1b\[(?P<number>[\d;?]*)(?P<command>[A-Za-z])|(?P<control>[\r\n])")


def record() -> bytes:
    """Run the demonstration on a pseudo-terminal; return every byte that it wrote there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gateway.cli.main", "demo", "--once"]
    environment = os.environ | {"COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment
        )
        os.close(theirs)
        said = b"".join(iter(lambda: _read(ours), b""))
        if process.wait() != 0:
            sys.exit(f"the demonstration failed:\n{said.decode(errors='replace')}")
    # Where it was recorded is nobody's business: as if in the reader's own folder.
    return said.replace(f"{folder}/".encode(), b"")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""  # the last process has closed its side


def final_lines(said: str) -> list[str]:
    """Return the lines that stand on the terminal at the end, with their colours.

    Only what the live display does is understood: go up, clear a line, write it anew.
    """
    lines, row, at = [""], 0, 0
    for token in _TOKEN.finditer(said):
        lines[row] += said[at : token.start()]
        at = token.end()
        if token["control"] == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif token["command"] == "A":
            row -= int(token["number"] or 1)
        elif token["command"] == "K":
            lines[row] = ""
        elif token["command"] == "m":
            lines[row] += token[0]
    lines[row] += said[at:]
    return lines


def draw(lines: list[str]) -> str:
    """Return the picture of a terminal with these lines."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    return console.export_svg(title=TITLE)


def main() -> None:
    """Record or take up a recording, and draw it."""
    parser = argparse.ArgumentParser(description="Make docs/demo.svg from a run.")
    parser.add_argument("--recording", type=Path, metavar="FILE")
    kept: Path | None = parser.parse_args().recording
    said = kept.read_bytes() if kept is not None and kept.exists() else record()
    if kept is not None:
        kept.write_bytes(said)
    PICTURE.write_text(draw(final_lines(said.decode())))


if __name__ == "__main__":
    main()
