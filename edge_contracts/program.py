"""A contract made ready to run: its manifest parsed, its source translated, once in a while.

Rule 1: what is wrong with the code is found here, by the same rules on every node.
Rule 2: whether a call can pay for this work is known from sizes, before any of it is done.
"""

import logging
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass

from edge_contracts.bundle import describe_positions
from edge_contracts.errors import ContractError, SourceError
from edge_contracts.language.tokens import count_words
from edge_contracts.language.translate import translate
from edge_contracts.manifest import Manifest, parse_manifest
from edge_contracts.metering import SOURCE_WORD_GAS, SOURCE_WORDS_MAX
from ledger.errors import ExecutorError
from ledger.ports import ContractCode

CACHE_LEN_MAX = 128
CACHE_BYTES_MAX = 16 * 1024 * 1024  # of texts: a program holds its source twice and its manifest

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Program:
    """A contract that may run; `words_gas` is what its parsing costs each call."""

    manifest: Manifest
    source: str
    words_gas: int


def compute_words_gas(code: ContractCode) -> int:
    """Return what parsing a source costs each call."""
    return count_words(code.source) * SOURCE_WORD_GAS


def build_program(code: ContractCode) -> Program:
    """Return the program of deployed code; raise `ContractError` with one line.

    Raises `ledger.errors.ExecutorError` when this machine, not the code, is at its limits.
    """
    try:
        return _build_program(code)
    except ContractError:
        raise
    except (MemoryError, RecursionError) as error:  # of this node alone: decides nothing
        raise ExecutorError(
            f"contract code cannot be parsed here: {type(error).__name__}"
        ) from None
    except Exception:  # hostile text must not stop the chain: refused on every node alike
        logger.exception("contract code ended its parser: refused; please report this")
        raise ContractError("the code cannot be parsed") from None


def _build_program(code: ContractCode) -> Program:
    manifest = parse_manifest(code.manifest)
    words_gas = compute_words_gas(code)
    if words_gas > SOURCE_WORDS_MAX * SOURCE_WORD_GAS:
        raise ContractError(f"the source has more than {SOURCE_WORDS_MAX} words and signs")
    try:
        source = translate(code.source)
    except SourceError as error:
        raise ContractError(describe_positions(str(error), code.source)) from None
    return Program(manifest, source, words_gas)


class ProgramCache:
    """The programs used last, by their full text, bounded in number and bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._programs: OrderedDict[ContractCode, Program] = OrderedDict()
        self._bytes = 0

    def find(self, code: ContractCode) -> Program | None:
        """Return the program of `code` if it is at hand."""
        with self._lock:
            program = self._programs.get(code)
            if program is not None:
                self._programs.move_to_end(code)
            return program

    def get(self, code: ContractCode) -> Program:
        """Return the program of `code`, built at most once in a while; raise `ContractError`."""
        program = self.find(code)
        if program is None:
            program = build_program(code)
            self._keep(code, program)
        return program

    def _keep(self, code: ContractCode, program: Program) -> None:
        with self._lock:
            if code in self._programs:  # another thread was faster
                return
            self._programs[code] = program
            self._bytes += _measure(code, program)
            while len(self._programs) > CACHE_LEN_MAX or self._bytes > CACHE_BYTES_MAX:
                self._bytes -= _measure(*self._programs.popitem(last=False))


def _measure(code: ContractCode, program: Program) -> int:
    return sum(map(sys.getsizeof, (code.source, code.manifest, program.source)))
