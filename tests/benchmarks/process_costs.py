"""What processes cost, as /proc tells it: processor time, memory, and bytes that they wrote."""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

_TICKS_S = os.sysconf("SC_CLK_TCK")
_KINDS = ("run", "agent", "gateway", "ledger")  # of `python -m gateway.cli.main KIND`
WORKER = "contract worker"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process or the sum of several, since they started.

    `disk_bytes` are those that it caused to be sent to storage (`write_bytes`: whole pages, each counted
    when it becomes dirty; the file system's own journal is not among them). `written_bytes` are those
    that it handed to write(2) and the like (`wchar`), sockets included. `pss_bytes` is memory with what
    is shared divided among those that share it.
    """

    cpu_s: float = 0.0
    disk_bytes: int = 0
    written_bytes: int = 0
    switches: int = 0  # how often it gave the processor back: it had been woken for something
    rss_bytes: int = 0
    pss_bytes: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(Cost)))

    def since(self, before: "Cost") -> "Cost":
        """Return what was spent since `before`; memory is what it is now."""
        return Cost(
            self.cpu_s - before.cpu_s,
            self.disk_bytes - before.disk_bytes,
            self.written_bytes - before.written_bytes,
            self.switches - before.switches,
            self.rss_bytes,
            self.pss_bytes,
        )


def read_costs(supervisor_pid: int) -> Mapping[str, Cost]:
    """Return the costs of a gateway's processes by kind; workers of the ledger count as one kind."""
    top = psutil.Process(supervisor_pid)
    costs: dict[str, Cost] = {}
    for process in (top, *top.children(recursive=True)):
        kind = _kind(process.cmdline())
        costs[kind] = costs.get(kind, Cost()) + _read(process.pid)
    return costs


def total(costs: Iterable[Cost]) -> Cost:
    """Return their sum."""
    return sum(costs, Cost())


def _kind(command: list[str]) -> str:
    assert command[0] == sys.executable, command
    return next((kind for kind in _KINDS if kind == command[3:4][0]), WORKER)


def _read(pid: int) -> Cost:
    folder = Path(f"/proc/{pid}")
    # The command's name stands in brackets and may hold blanks: proc(5), fields 14 and 15.
    stat = (folder / "stat").read_text().rpartition(")")[2].split()
    io, memory = _table(folder / "io"), _table(folder / "smaps_rollup")
    switches = sum(
        _table(task / "status")["voluntary_ctxt_switches"] for task in (folder / "task").iterdir()
    )
    return Cost(
        (int(stat[11]) + int(stat[12])) / _TICKS_S,
        io["write_bytes"],
        io["wchar"],
        switches,
        memory["Rss"] * 1024,
        memory["Pss"] * 1024,
    )


def _table(path: Path) -> Mapping[str, int]:
    """Return the lines `name: number ...` of a file."""
    rows = (line.partition(":") for line in path.read_text().splitlines())
    first = ((name, rest.split()) for name, _, rest in rows)
    return {name: int(words[0]) for name, words in first if words and words[0].isdecimal()}
