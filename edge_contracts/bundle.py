"""A contract with the library modules it uses, as one source text.

    local modules = {}
    -- file: metering/module.lua
    modules.metering = (function()
    ...
    end)()
    -- file: contract.lua
    ...

Contracts have no loader, so the code of their modules stands before theirs. Markers let errors name
the file and line that the author knows.
"""

import re
from collections.abc import Mapping

CONTRACT_FILE = "contract.lua"
_MARKER = "-- file: "
_MARKER_LINE = re.compile(rf"^{_MARKER}(\S+)$")
# Lines between a marker and the first line of the file.
_MODULE_OPENING = "modules.{name} = (function()"
_POSITION = re.compile(r"\b(?:contract:|line )([0-9]{1,6}):")


def bundle(contract_source: str, modules: Mapping[str, str]) -> str:
    """Return the source to deploy: `modules` in their order, then the contract."""
    if not modules:
        return contract_source
    parts = ["local modules = {}"]
    for name, source in modules.items():
        opening = _MODULE_OPENING.format(name=name)
        parts += [f"{_MARKER}{name}/module.lua", opening, source.rstrip("\n"), "end)()"]
    parts += [f"{_MARKER}{CONTRACT_FILE}", contract_source]
    return "\n".join(parts)


def describe_positions(message: str, source: str) -> str:
    """Return `message` with the bundle's first line number replaced by the author's file and line.

    Only the first is Lua's own; a contract's text may hold any number of look-alikes.
    """
    lines = source.split("\n")
    return _POSITION.sub(lambda match: f"{_locate(lines, int(match[1]))}:", message, count=1)


def _locate(lines: list[str], line: int) -> str:
    for above in range(min(line, len(lines)) - 1, -1, -1):
        if marker := _MARKER_LINE.match(lines[above]):
            # A module's first line follows its opening line.
            extra = 0 if marker[1] == CONTRACT_FILE else 1
            return f"{marker[1]}:{line - above - 1 - extra}"
    return f"{CONTRACT_FILE}:{line}"
