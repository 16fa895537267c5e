"""Rules of the house that no linter knows: sizes, determinism of the core, what may be mentioned."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "ledger", "edge_contracts")
CORE = (
    "ledger/types",
    "ledger/codec",
    "ledger/identity",
    "ledger/consensus",
    "ledger/state",
    "ledger/mempool",
)
PURE = (*CORE, "gateway/model", "gateway/pipeline", "gateway/metering")
FILE_LINES_MAX = 350
FUNCTION_LINES_MAX = 60
DRAWERS = {"utils.py", "common.py", "helpers.py", "manager.py", "misc.py"}

SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def in_folders(path: Path, folders: tuple[str, ...]) -> bool:
    return relative(path).startswith(tuple(folder + "/" for folder in folders))


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_stay_readable(path: Path):
    text = path.read_text()
    assert text.count("\n") <= FILE_LINES_MAX
    for function in functions(ast.parse(text)):
        assert function.end_lineno is not None
        lines = function.end_lineno - function.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{function.name} has {lines} lines"


@pytest.mark.parametrize("path", [p for p in SOURCES if in_folders(p, PURE)], ids=relative)
def test_pure_packages_have_no_async(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"async at {node.lineno}"


@pytest.mark.parametrize("path", [p for p in SOURCES if in_folders(p, CORE)], ids=relative)
def test_the_core_is_deterministic(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not isinstance(node, ast.Div), "true division gives a float"
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float), f"float at line {node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"float", "hash", "id"}, f"line {node.lineno}"
        if isinstance(node, ast.For | ast.comprehension):
            assert not isinstance(node.iter, ast.Set | ast.SetComp), "a set has no order"


def test_no_file_is_a_drawer():
    assert not [relative(path) for path in SOURCES if path.name in DRAWERS]


def test_every_module_says_what_it_is():
    silent = [
        relative(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent


def test_import_rules_hold():
    result = subprocess.run(
        [ROOT / ".venv/bin/lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout


FORBIDDEN = re.compile(
    r"(?i)/work/|\bissue\s*#?\d|\bfarm-|\bsubagent|pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org"
)


def tracked_files() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    return [ROOT / name for name in listing.stdout.splitlines()]


def test_the_repository_speaks_of_the_product_alone():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    offending = []
    for path in tracked_files():
        if path == Path(__file__) or not path.is_file():
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if FORBIDDEN.search(line):
                offending.append(f"{relative(path)}:{number}: {line.strip()[:100]}")
    assert not offending
