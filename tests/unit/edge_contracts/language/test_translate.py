import contextlib

import pytest
from hypothesis import given, strategies as st

from edge_contracts.errors import SourceError
from edge_contracts.language.translate import translate
from tests.support.contract_calls import run_body


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("local a = 'x' .. 1 .. 'y'", 'local a = __cat(( "x") , ( 1) , ( "y"))'),
        ("local a, b = 1 return #a + b", "local a , b = 1 return __len( a) + b"),
        ("local t = {} t.x = 1", 'local t = { } __set( t, "x" , ( 1))'),
        ("local t = {} t[1].y = 2", 'local t = { } __set( t [ 1 ], "y" , ( 2))'),
        ("for i = 1, 2, 3 do end", "for i = __int( 1) , __int( 2) , __int( 3) do end"),
        ("local t function t.a() end", 'local t __set( t, "a", function ( ) end)'),
        ("local t function t:a(b) end", 'local t __set( t, "a", function ( self, b ) end)'),
        ("return -- comment\n1", "return 1"),
        ("return '\\65\\x42\\u{43}\\z \n d\\n'", 'return "ABCd\\010"'),
        ("return [==[\na]]b]==]", 'return "a]]b"'),
    ],
)
def test_rewriting(source, expected):
    assert words(translate(source)) == expected


def test_lines_stay_where_they_are():
    source = "local t = {}\n\n-- three\nt.a = [[\nfive]]\nlocal s = 'x' ..\n  'y'\nerror('here')"

    assert translate(source).split("\n")[7].strip() == 'error ( "here" )'


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("return 1 + 2 * 3 - 4 // 3 % 2", 6),
        ("return 1 << 2 | 3 & 6 ~ 1", 7),
        ("return 'a' .. 1 + 2 .. 'b'", "a3b"),
        ("return ('a' .. 'b' == 'ab') and not nil", True),
        ("return #'abc' .. #{1, 2}", "32"),
        ("return - #{1} .. ''", "-1"),
        ("local t = {a = {b = {}}} t.a.b.c = 5 t.a['d'] = t.a.b.c + 1 return t.a.d", 6),
        ("local a, b = 1, 2 a, b = b, a return a * 10 + b", 21),
        ("local n = 0 repeat local m = n + 1 n = m until m == 3 return n", 3),
        ("local n = 0 for i = 10, 1, -3 do n = n + i end return n", 22),
        ("local s = '' for k, v in pairs({x = 1}) do s = s .. k .. v end return s", "x1"),
        ("local i = 0 ::again:: i = i + 1 if i < 5 then goto again end return i", 5),
        ("local o = {n = 4} function o:get(k) return self.n + k end return o:get(1)", 5),
        ("local f = function(a, b) return b end return f(1, 2)", 2),
        ("local function f(n) if n < 2 then return 1 end return n * f(n - 1) end return f(5)", 120),
        ("local f function f() return 7 end return f()", 7),
        ("local x <const> = 3 return x", 3),
        ("return ('x'):rep(3)", "xxx"),
        ("local f = function(t) return t[1] end return f{9}", 9),
        ("return string.len'four'", 4),
        ("do local a = 1 end local a = 2; return a;", 2),
        ("if false then return 1 elseif nil then return 2 else return 3 end", 3),
        ("while true do break end return 0x7fffffffffffffff", 2**63 - 1),
        ("return 0xffffffffffffffff", -1),
        ("local t = {[1] = 'a', b = 2, 'c'; 'd'} return t[1] .. t[2]", "cd"),
        ("local f = function() return 1, 2, 3 end local a, b = f() return a + b", 3),
        ("local t = {(function() return 1, 2 end)()} return #t", 2),
        ("return math.maxinteger + 1 == math.mininteger", True),
        ("local t = {} t.f = function() return 1, 2 end t.g = t.f() return t.g", 1),
    ],
)
def test_rewritten_programs_mean_what_they_say(body, result):
    run = run_body(body)

    assert (run.status, run.result) == ("ok", result), run.error


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("return 1 / 2", "'/' makes floats"),
        ("return 2 ^ 2", r"'\^' makes floats"),
        ("return 1.5", "whole numbers"),
        ("return 1e5", "whole numbers"),
        ("return 0x1p4", "whole numbers"),
        ("return .5", "near '.'"),
        ("return 3..2", "whole numbers"),
        ("return 9223372036854775808", "larger than"),
        ("return 0x11111111111111111", "16 digits"),
        ("return 1 < > 2", "near '>'"),
        ("local function f(...) end", "'...' is not available"),
        ("local f = 1 return 1, f()", "put the last call in parentheses"),
        ("x = 1", "unknown name 'x'"),
        ("tostring = 1", "'tostring' is not a local variable"),
        ("function tostring() end", "'tostring' is not a local variable"),
        ("return _G", "unknown name '_G'"),
        ("return _ENV", "unknown name '_ENV'"),
        ("local __len = 1", "reserved"),
        ("local t = {} return t.__index", "reserved"),
        ("local a, b = {}, {} a.x, b.x = 1, 2", "one table field per statement"),
        ("local a = 1 a, a.b = 1, 2", "one table field per statement"),
        ("f() = 1", "unknown name 'f'"),
        ("local f f() = 1", "cannot assign"),
        ("local f f", "a statement expected"),
        ("local x <close> = nil", "'close' is not available"),
        ("return '\\q'", "unknown escape"),
        ("return '\\300'", "unknown escape"),
        ("return '\\u{d800}'", "unknown escape"),
        ("return 'open", "unfinished string"),
        ("return [[open", "']]' is missing"),
        ("--[==[ open ]=]", "']==]' is missing"),
        ("return ]", "near ']'"),
        ("end", "near 'end'"),
        ("if true then", "'end' expected near end of file"),
        ("return 1 return 2", "near 'return'"),
        ("local é = 1", "a name expected|unexpected character"),
        ("return 1 ? 2", "unexpected character"),
        ("local t = {" + "0," * 257 + "}", "at most 256 items"),
        ("return '" + "a" * 16_385 + "'", "more than 16384 bytes"),
        ("return " + "(" * 70 + "1" + ")" * 70, "nested deeper than 64"),
        ("return " + "{" * 70 + "}" * 70, "nested deeper than 64"),
        ("do " * 70 + "end " * 70, "nested deeper than 64"),
        ("return " + " .. ".join(["'a'"] * 200), "too many '..'"),
        ("-- " + "x" * 65_536, "more than 65536 bytes"),
    ],
)
def test_what_the_language_does_not_have(source, reason):
    with pytest.raises(SourceError, match=reason):
        translate(source)


def test_a_fault_knows_its_line():
    with pytest.raises(SourceError) as caught:
        translate("local a = 1\n\nlocal s = [[\n\n]]\nreturn a / 2")

    assert caught.value.line == 6


def test_a_bundle_of_long_chains_is_translated_quickly():
    source = "local t = {} return t" + ".a" * 30_000

    assert len(translate(source)) > 60_000


SCRAPS = """
local x = 1 if then else elseif end for do while repeat until function return break goto a
:: ( ) { } [ ] [[ ]] , ; . .. ... : + - * // % & | ~ << >> == ~= <= < > # = 'a' " \\ 7 0x
and or not nil true false in t.k f() --[[ --
"""
soup = st.lists(st.sampled_from(SCRAPS.split(" ")), max_size=30).map(" ".join)


@given(soup | st.text(max_size=60))
def test_any_text_is_translated_or_refused_with_a_line(text):
    with contextlib.suppress(SourceError):
        assert translate(text).count("\n") <= text.count("\n")


@given(soup)
def test_no_soup_of_tokens_escapes_the_sandbox(text):
    with contextlib.suppress(SourceError):
        run = run_body(text, gas=20_000)
        assert run.status in {"ok", "aborted", "out-of-gas", "out-of-memory"}
