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
_MARKER_LINE = re.compile(rf"^{_MARKER}([!-~]{{1,80}})$", re.MULTILINE)
# Lines between a marker and the first line of the file.
_MODULE_OPENING = "modules.{name} = (function()"
_POSITION = re.compile(r"\b(?:contract:|line )([0-9]{1,6}):", re.ASCII)


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
    return _POSITION.sub(lambda match: f"{_locate(source, int(match[1]))}:", message, count=1)


def _locate(source: str, line: int) -> str:
    above = "\n".join(source.split("\n", line)[:line])
    markers = list(_MARKER_LINE.finditer(above))
    if not markers:
        return f"{CONTRACT_FILE}:{line}"
    name = markers[-1][1]
    marker_line = above.count("\n", 0, markers[-1].start()) + 1
    # A module's first line follows its opening line.
    extra = 0 if name == CONTRACT_FILE else 1
    return f"{name}:{line - marker_line - extra}"
