"""The sandbox in this process: what it refuses, what it tells, what everything costs."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_contracts.errors import SourceError
from edge_contracts.sandbox import Sandbox, check_syntax, lvm_id
from edge_contracts.values import Value
from tests.support.contract_calls import GAS, run_body, run_lua
from tests.support.hostile_contracts import ESCAPES, GAS_BYPASSES, HARMLESS

ROOT = Path(__file__).parents[3]


def outcome(body: str) -> str:
    try:
        run = run_body(body)
    except SourceError as error:
        return str(error)
    assert run.status == "aborted", run
    return run.error


@pytest.mark.parametrize("name", ESCAPES)
def test_escapes_are_refused(name):
    body, reason = ESCAPES[name]

    assert reason in outcome(body)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_a_contract_sees_is_the_same_everywhere(name):
    body, result = HARMLESS[name]

    run = run_body(body)

    assert (run.status, run.result) == ("ok", result), run.error


@pytest.mark.parametrize("name", GAS_BYPASSES)
def test_whatever_runs_on_ends_soon(name):
    started = time.perf_counter()

    run = run_body(GAS_BYPASSES[name], bridge=lambda *_: (b"ok", 1, 0))

    assert run.status in {"out-of-gas", "out-of-memory"}, run
    assert run.gas_used == GAS
    assert time.perf_counter() - started < 5, "gas did not bound time"


# Lua that never went through the translation: the environment alone must hold it.
UNTRANSLATED = (
    "_G", "os", "io", "debug", "package", "require", "load", "loadfile", "dofile", "python",
    "collectgarbage", "coroutine", "getmetatable", "setmetatable", "rawget", "rawset", "next",
    "print", "utf8", "select", "string.dump", "string.gsub", "string.gmatch", "string.pack",
    "table.move", "math.random", "math.huge", "('').dump", "('').gsub", "_ENV._G", "_ENV.debug",
    "host.answer", "host.__self__",
)  # fmt: skip


@pytest.mark.parametrize("expression", UNTRANSLATED)
def test_the_environment_alone_offers_no_way_out(expression):
    run = run_lua(f"return {{run = function() return {expression} == nil end}}")

    assert run.result is True, run


@pytest.mark.parametrize(
    "source",
    [
        "\x1bLuaT\x00\x19\x93",  # bytecode
        "return {run = function() while true do end end}",
        "while true do end",
        "return {run = function() return string.rep('x', 1 << 40) end}",
        "return {run = function() local s = 'x' while true do s = s .. s end end}",
        "return {run = function() return {pcall(string.rep, 'x', 1 << 62)}[3] end}",
        "return {run = function() return 0.5 end}",
        "return {run = function() return ('x').__metatable.y end}",
        "error({})",
        "return 5",
        "",
    ],
)
def test_untranslated_lua_ends_without_effect(source):
    assert run_lua(source).status in {"aborted", "out-of-gas", "out-of-memory"}


def test_gas_is_sticky_even_when_every_error_is_caught():
    body = "local n = 0 while n < 1000000 do pcall(function() while true do end end) n = n + 1 end"

    assert run_body(body, gas=10_000).status == "out-of-gas"


@pytest.mark.parametrize("gas", range(1, 2_000, 7))
def test_gas_may_end_at_any_instruction(gas):
    body = "local t = {} for i = 1, 20 do t['k' .. i] = pcall(error, i) end return #t"

    run = run_body(body, gas=gas)

    assert run.status in {"ok", "out-of-gas"}
    assert run.gas_used <= gas


def test_a_call_leaves_nothing_for_the_next():
    run_body("string.leak = 1 host.leak = 1 math.leak = 1 table.leak = 1 call.leak = 1")

    run = run_body("return {string.leak, host.leak, math.leak, table.leak, call.leak, ('').leak}")

    assert run.result == []


def test_errors_carry_the_contracts_lines():
    assert run_body("\n\nerror('no')").error == "contract:4: no"
    assert run_body("local t\nreturn t.x").error.startswith("contract:3: attempt to index a nil")
    assert run_body("local s = string.rep(1, 2)").error == (
        "contract:2: string.rep: string expected, got number"
    )
    assert run_body("return string.rep(1, 2)").error == "string.rep: string expected, got number"


def test_sorting_is_stable_and_follows_the_comparison():
    body = """
    local t = {}
    for i = 1, 50 do t[i] = {key = i * 7 % 5, order = i} end
    table.sort(t, function(a, b) return a.key < b.key end)
    for i = 2, 50 do
      local a, b = t[i - 1], t[i]
      assert(a.key < b.key or (a.key == b.key and a.order < b.order))
    end
    local n = {3, 1, 2} table.sort(n) return n"""

    assert run_body(body).result == [1, 2, 3]


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("return string.split('a,b,,c', ',')", ["a", "b", "", "c"]),
        ("return {string.find('a.b', '.')}", [2, 2]),
        ("return {string.find('abcabc', 'c', 4)}", [6, 6]),
        ("return string.find('abc', 'z')", None),
        ("return string.format('%05d|%-3s|%3s|%x|%%|%+d', 42, 'a', 'b', 255, 7)", "00042|a  |  b|ff|%|+7"),
        ("return string.starts('abc', 'ab')", True),
        ("return {string.byte('A'), string.char(66, 67), ('x'):upper()}", [65, "BC", "X"]),
        ("return {tonumber('42'), tonumber('ff', 16), tonumber(7)}", [42, 255, 7]),
        ("return {math.max(1, 5, 3), math.min(4, 2), math.abs(-3)}", [5, 2, 3]),
        ("local t = {1, 2, 3} table.insert(t, 2, 9) return {table.remove(t, 1), #t, t[1]}", [1, 3, 9]),
        ("local a, b = table.unpack({1, 2}) return a + b", 3),
        ("return table.concat({1, 'a', 2}, '-')", "1-a-2"),
        ("local ok, e = pcall(error, 'x', 0) return {ok, e}", [False, "x"]),
        ("local ok, e = xpcall(error, function(m) return m .. '!' end, 'x', 0) return e", "x!"),
        ("local s = 0 for i, v in ipairs({5, 6, nil, 7}) do s = s + i * v end return s", 17),
    ],
)  # fmt: skip
def test_the_library(body, result):
    run = run_body(body)

    assert (run.status, run.result) == ("ok", result), run.error


def test_values_cross_in_both_directions():
    args: Value = {"list": [1, {"deep": b"\xff\x00"}], "text": "ä", "no": False, "big": -(2**63)}

    assert run_body("return args", args).result == args


def test_two_processes_agree_on_every_gas_number():
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from tests.support.contract_calls import run_body\n"
        "from tests.support.hostile_contracts import ESCAPES, HARMLESS\n"
        "for body, _ in [*HARMLESS.values(), *ESCAPES.values()]:\n"
        "    try: print(run_body(body))\n"
        "    except Exception as error: print(error)\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(ROOT)],
            env={"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }

    assert len(outputs) == 1
    assert outputs.pop().count("Run(") > 30


def test_the_machine_has_one_identity():
    assert len(lvm_id()) == 32
    assert lvm_id() == lvm_id()


def test_syntax_is_checked_without_running():
    assert check_syntax("return 1") is None
    assert check_syntax("while true do end") is None
    assert str(check_syntax("return\n1 +")).startswith("contract:2:")


def test_a_sandbox_converts_text_bytes_and_refuses_the_rest():
    sandbox = Sandbox()

    assert sandbox.from_lua(sandbox.to_lua([1, "a", b"\xff"])) == ([1, "a", b"\xff"], 3 * 50 + 2)
