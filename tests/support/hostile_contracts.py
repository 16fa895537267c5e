"""Bodies of contract methods that try to get out, to get round gas, or to tell nodes apart."""

# What the language or the sandbox refuses: body, and a part of the reason.
ESCAPES = {
    "os": ("return os", "unknown name 'os'"),
    "io": ("return io.open('/etc/passwd')", "unknown name 'io'"),
    "debug": ("return debug.getregistry()", "unknown name 'debug'"),
    "package": ("return package.loadlib('x', '*')", "unknown name 'package'"),
    "require": ("return require('os')", "unknown name 'require'"),
    "load": ("return load('return 1')()", "unknown name 'load'"),
    "loadstring": ("return loadstring('return 1')()", "unknown name 'loadstring'"),
    "loadfile": ("return loadfile('/etc/passwd')", "unknown name 'loadfile'"),
    "dofile": ("return dofile('/etc/passwd')", "unknown name 'dofile'"),
    "python": ("return python.builtins", "unknown name 'python'"),
    "collectgarbage": ("return collectgarbage('count')", "unknown name 'collectgarbage'"),
    "print": ("print('x')", "unknown name 'print'"),
    "warn": ("warn('@on')", "unknown name 'warn'"),
    "coroutine": ("return coroutine.wrap(error)", "unknown name 'coroutine'"),
    "_G": ("return _G", "unknown name '_G'"),
    "_ENV": ("return _ENV", "unknown name '_ENV'"),
    "_VERSION": ("return _VERSION", "unknown name '_VERSION'"),
    "_ENV as a parameter": ("return (function(_ENV) return print end)(args)", "unknown name"),
    "next": ("return next({})", "unknown name 'next'"),
    "select": ("return select('#', 1)", "unknown name 'select'"),
    "rawget": ("return rawget(string, 'rep')", "unknown name 'rawget'"),
    "rawset": ("rawset(string, 'rep', 1)", "unknown name 'rawset'"),
    "rawequal": ("return rawequal(1, 1)", "unknown name 'rawequal'"),
    "rawlen": ("return rawlen({})", "unknown name 'rawlen'"),
    "setmetatable": ("return setmetatable({}, {})", "unknown name 'setmetatable'"),
    "getmetatable": ("return getmetatable('')", "unknown name 'getmetatable'"),
    "__gc": ("local t = {__gc = error}", "reserved"),
    "__index": ("return ('').__index", "reserved"),
    "__class__": ("return host.get.__class__", "reserved"),
    "__globals__": ("return host.get.__globals__", "reserved"),
    "helper by name": ("return __set", "reserved"),
    "helper shadowed": ("local __int = tostring", "reserved"),
    "close": ("local x <close> = {}", "'close' is not available"),
    "varargs": ("local function f(...) return ... end", "'...' is not available"),
    "shebang": ("#!/bin/sh", "unexpected character"),
    "bytecode": ("\x1bLua", "unexpected character"),
    "a null byte": ("return 1\0", "unexpected character"),
    "global": ("leak = 1", "unknown name 'leak'"),
    "global function": ("function leak() end", "unknown name 'leak'"),
    "builtin replaced": ("error = tostring", "'error' is not a local variable"),
    "string.dump": ("return string.dump(error)", "attempt to call a nil value"),
    "string.gsub": ("return string.gsub('a', '.', '')", "attempt to call a nil value"),
    "string.match": ("return string.match('a', '.')", "attempt to call a nil value"),
    "string.gmatch": ("return string.gmatch('a', '.')", "attempt to call a nil value"),
    "string.pack": ("return string.pack('i4', 1)", "attempt to call a nil value"),
    "gsub as a method": ("return ('a'):gsub('.', '')", "attempt to call a nil value"),
    "math.random": ("return math.random()", "attempt to call a nil value"),
    "math.sqrt": ("return math.sqrt(2)", "attempt to call a nil value"),
    "math.huge": ("return math.huge + 1", "arithmetic on a nil value"),
    "math.pi": ("return math.pi + 1", "arithmetic on a nil value"),
    "math.floor": ("return math.floor(1)", "attempt to call a nil value"),
    "table.move": ("return table.move({}, 1, 2, 3)", "attempt to call a nil value"),
    "table.pack": ("return table.pack(1)", "attempt to call a nil value"),
    "utf8": ("return utf8.char(65)", "unknown name 'utf8'"),
    "text arithmetic": ("return '10' + 5", "arithmetic on a string value"),
    "float from text": ("return -'0.5'", "arithmetic on a string value"),
    "float loop": ("for i = '1', 3 do end", "'for': whole number expected"),
    "float format": ("return string.format('%f', 1)", "only %s %d %x %X %% are available"),
    "pointer format": ("return string.format('%p', {})", "only %s %d %x %X %% are available"),
    "quoted format": ("return string.format('%q', 1)", "only %s %d %x %X %% are available"),
    "format without values": ("return string.format('%s')", "not enough values"),
    "function as result": ("return error", "a function cannot leave the contract"),
    "host function as result": ("return {x = host.get}", "a function cannot leave"),
    "mixed table as result": ("return {1, a = 2}", "both numbers and text as keys"),
    "holes as result": ("return {[1] = 1, [3] = 3}", "an array with holes"),
    "circle as result": ("local t = {} t.t = t return t", "nested deeper than 16"),
    "bytes as a key": ("return {['\\xff'] = 1}", "a map key is not text"),
    "bool as a key": ("local t = {} t[true] = 1", "a table key is text or a whole number"),
    "table as a key": ("local t = {} t[t] = 1", "a table key is text or a whole number"),
    "huge integer key": ("local t = {} t[1 << 40] = 1", "a whole-number key is 1..65536"),
    "pairs over odd keys": ("for k in pairs({[true] = 1}) do end", "a table key is text"),
    "modulo zero": ("return 1 % 0", "attempt to perform 'n%0'"),
    "division by zero": ("return 1 // 0", "attempt to divide by zero"),
    "sorting mixed": ("table.sort({1, 'a'})", "attempt to compare"),
    "field of a number": ("local a = 1 a.b = 2", "cannot assign a field of a number value"),
    "refusal swallowed": ("pcall(host.get, 'k') return 1", "refused get"),
    "abort swallowed": ("pcall(host.abort, 'no') return 1", "no"),
    "refusal in a handler": ("xpcall(host.balance, error) return 1", "refused balance"),
}

# What runs and must tell nothing: body and result.
HARMLESS = {
    "address of a table": ("return tostring({})", "table"),
    "address of a function": ("return tostring(error) .. tostring(host.get)", "functionfunction"),
    "address in text": ("return string.format('%s %s', {}, error)", "table function"),
    "error objects": ("local _, e = pcall(error, {}) return type(e)", "table"),
    "string library replaced": ("string.rep = nil return ('a').rep == nil", True),
    "float from tonumber": ("return tonumber('1.5') == nil", True),
    "exponent from tonumber": ("return tonumber('1e2') == nil", True),
    "hex float from tonumber": ("return tonumber('0x1p4') == nil", True),
    "nan from tonumber": ("return tonumber('nan') == nil", True),
    "pcall in pcall": ("local f function f() return pcall(f) end return (f())", True),
    "pcall of nothing": ("return (pcall(nil))", False),
    "order of pairs": (
        "local s = '' for k in pairs({b = 1, [3] = 1, a = 1, [1] = 1, B = 1, ['10'] = 1}) do "
        "s = s .. k .. ' ' end return s",
        "1 3 10 B a b ",
    ),
    "length with holes": (
        "local t = {} t[1] = 1 t[2] = 1 t[4] = 1 t.x = 1 t.x = nil t[8] = 1 return #t", 8,
    ),
    "integers wrap": ("return math.mininteger // -1 == math.mininteger", True),
}  # fmt: skip

_LONG = "local s = string.rep('a', 16384) "
_FILL = "for i = 1, {n} do t['k' .. i] = 1 end "

# What would run for ever, or do more work than it pays for. All end out of gas or memory.
GAS_BYPASSES = {
    "loop": "while true do end",
    "goto": "::a:: goto a",
    "pcall swallows": "while true do pcall(function() while true do end end) end",
    "xpcall swallows": "while true do xpcall(function() while true do end end, tostring) end",
    "endless handler": "xpcall(error, function() while true do end end)",
    "handler of out-of-gas": (
        "local function f() while true do end end xpcall(f, f) while true do end"
    ),
    "nested pcall": "local function f() while true do pcall(f) end end f()",
    "deep pcall": "local function f() return pcall(f) end while true do f() end",
    "recursion": "local function f() return 1 + f() end f()",
    "recursion swallowed": "local function f() return 1 + f() end while true do pcall(f) end",
    "tail recursion": "local function f() return f() end f()",
    "joining long text": _LONG + "while true do local x = string.sub(s, 2) .. 'b' end",
    "doubling in a table": "local t = {'a'} while true do t = {t, t} end",
    "comparing long text": (
        "local a, b = string.rep('a', 16384), string.rep('a', 16383) .. 'a' "
        "while true do local x = a == b end"
    ),
    "ordering long text": (
        "local a, b = string.rep('a', 16384), string.rep('a', 16383) .. 'b' "
        "while true do local x = a < b end"
    ),
    "worst plain search": _LONG + "local p = string.rep('a', 8000) .. 'b' "
    "while true do string.find(s, p) end",
    "split": _LONG + "while true do string.split(s, 'a') end",
    "upper": _LONG + "while true do string.upper(s) end",
    "reverse": _LONG + "while true do s:reverse() end",
    "sub": _LONG + "while true do s:sub(2) end",
    "tonumber": "local s = string.rep('1', 16384) while true do tonumber(s) end",
    "rep": "while true do string.rep('a', 16384) end",
    "format": "while true do string.format('%99d%99d%99d%99d%99d', 1, 2, 3, 4, 5) end",
    "table.concat": "local t = {} for i = 1, 999 do t[i] = 'abcdefgh' end "
    "while true do table.concat(t) end",
    "table.insert in front": "local t = {} while true do table.insert(t, 1, 1) end",
    "table.remove in front": "local t = {} while true do for i = 1, 999 do t[i] = 1 end "
    "for i = 1, 999 do table.remove(t, 1) end end",
    "sort": "local t = {} for i = 1, 9999 do t[i] = i * 7919 % 10007 end "
    "while true do table.sort(t) end",
    "sort without order": "local t = {} for i = 1, 9999 do t[i] = i end "
    "while true do table.sort(t, function() return true end) end",
    "rehashing a full table": "local t = {} " + _FILL.format(n=16384)
    + "local i = 1 while true do t['k' .. i] = nil t['x' .. i] = 1 i = i % 16384 + 1 end",
    "colliding keys": "local t = {} for i = 1, 65536 do t[i * 4095 % 65536 + 1] = 1 end "
    "while true do local x = t[4096] end",
    "pairs": "local t = {} " + _FILL.format(n=9999) + "while true do for k in pairs(t) do end end",
    "pairs over an emptied table": "local t = {} " + _FILL.format(n=9999)
    + "for i = 1, 9999 do t['k' .. i] = nil end while true do for k in pairs(t) do end end",
    "large constructors": "while true do local t = {" + "nil, " * 255 + "1} end",
    "constructors cut short": "local f = function() return {" + "nil, " * 250 + "error()} end "
    "while true do pcall(f) end",
    "closures": "while true do local f = function() return args end end",
    "many results": "local function f(n) if n > 0 then local a, b, c = f(n - 1) return c, b, a end "
    "return 1, 2, 3 end while true do pcall(f, 9999) end",
    "many arguments": "local function f() end while true do f(" + "1, " * 240 + "1) end",
    "length": "local t = {} for i = 1, 60000 do t[i] = i end while true do local n = #t end",
    "errors": "while true do pcall(error, 'x') end",
    "error positions": "while true do pcall(function() error('x') end) end",
    "muldiv": "while true do host.muldiv(1, 1, 1) end",
    "memory in a table": "local t = {} for i = 1, 65536 do t[i] = {{}, {}} end",
    "memory in text": "local t = {} for i = 1, 65536 do t[i] = string.rep('a', 16000) .. i end",
    "memory swallowed": "while true do pcall(function() local t = {} "
    "for i = 1, 65536 do t[i] = {{}} end end) end",
}  # fmt: skip
