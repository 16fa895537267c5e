"""A contract made ready to run: its manifest parsed, its source translated, once in a while.

What is wrong with the code is found here, by the same rules on every node.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from edge_contracts.bundle import describe_positions
from edge_contracts.errors import ContractError, SourceError
from edge_contracts.language.translate import translate
from edge_contracts.manifest import Manifest, parse_manifest
from ledger.ports import ContractCode

CACHE_LEN_MAX = 32  # contracts; each keeps up to some 300 KiB of text


@dataclass(frozen=True, slots=True)
class Program:
    """A contract that may run."""

    manifest: Manifest
    source: str


def build_program(code: ContractCode) -> Program:
    """Return the program of deployed code; raise `ContractError` with one line."""
    manifest = parse_manifest(code.manifest)
    try:
        source = translate(code.source)
    except SourceError as error:
        raise ContractError(describe_positions(str(error), code.source)) from None
    return Program(manifest, source)


class ProgramCache:
    """The programs used last, by their full text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: OrderedDict[ContractCode, Program] = OrderedDict()

    def get(self, code: ContractCode) -> Program:
        """Return the program of `code`, built at most once in a while; raise `ContractError`."""
        with self._lock:
            program = self._programs.get(code)
            if program is None:
                program = self._programs[code] = build_program(code)
                if len(self._programs) > CACHE_LEN_MAX:
                    self._programs.popitem(last=False)
            self._programs.move_to_end(code)
            return program
