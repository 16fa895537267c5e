-- The contract machine inside a fresh Lua state: gas, memory, the fixed environment.
--
-- Rule 1: a contract reaches only what this file puts into `env`; there are no metatables to set,
--         no coroutines, no loaders, no debug library and no Python objects.
-- Rule 2: once `dead` is set the call is over: every way back from an error raises it again.
-- Rule 3: work inside C that grows with its input is charged by that input.
-- Rule 4: what a contract can observe is the same on every node.

local P, bridge, read_memory = ...
local sethook, load, native_pcall, native_error = debug.sethook, load, pcall, error
local native_next, native_type, native_tostring = next, type, tostring
local native_tonumber, math_type, rawequal = tonumber, math.type, rawequal
local byte, char, sub, rep, find = string.byte, string.char, string.sub, string.rep, string.find
local lower, upper, reverse, format = string.lower, string.upper, string.reverse, string.format
local gsub, match = string.gsub, string.match
local concat, sort, unpack = table.concat, table.sort, table.unpack
local string_metatable = getmetatable("")

local DEAD = "the call is over"
local NO_MEMORY = "not enough memory" -- Lua's own text for a refused allocation

local gas, gas_limit, memory_limit = P.gas_used, P.gas_limit, math.maxinteger
local stored = P.stored -- table entries made so far: an upper bound of any table's size
local deleted = false
local dead, dead_detail

local function die(reason, detail)
  if not dead then
    dead, dead_detail = reason, detail
  end
  native_error(DEAD, 0)
end

local function check()
  if dead then
    native_error(DEAD, 0)
  end
  if gas > gas_limit then
    die("out-of-gas")
  end
  if read_memory("count") > memory_limit then
    die("out-of-memory")
  end
end

local function tick()
  gas = gas + P.instructions_per_tick
  check()
end

local function charge(amount)
  gas = gas + amount
  check()
end

local function fail(message)
  native_error(message, 3)
end

-- Values

local function expect(value, kind, what)
  if native_type(value) ~= kind then
    native_error(format("%s: %s expected, got %s", what, kind, native_type(value)), 3)
  end
  return value
end

local function expect_integer(value, what)
  if math_type(value) ~= "integer" then
    native_error(format("%s: whole number expected, got %s", what, native_type(value)), 3)
  end
  return value
end

local function charge_text(length)
  charge(length // P.text_bytes_per_gas)
end

local function check_text(length)
  if length > P.string_bytes_max then
    native_error(format("a string has at most %d bytes", P.string_bytes_max), 3)
  end
  charge_text(length)
end

local function to_text(value)
  local kind = native_type(value)
  if kind == "string" then
    return value
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return native_tostring(value)
  end
  return kind -- never an address
end

-- The operators that `translate` rewrites

local env = {}

function env.__int(value)
  expect_integer(value, "'for'")
  return value
end

-- Looks at entries only, never at how the table lies in memory: a border that all nodes share.
local function len(value)
  if native_type(value) == "string" then
    return #value
  end
  expect(value, "table", "#")
  if value[1] == nil then
    return 0
  end
  local low, high = 1, 2
  while value[high] ~= nil do
    low, high = high, high * 2
  end
  while high - low > 1 do
    local middle = (low + high) // 2
    if value[middle] == nil then
      high = middle
    else
      low = middle
    end
  end
  return low
end
env.__len = len

function env.__cat(...)
  local pieces, total = { ... }, 0
  local count = select("#", ...)
  for i = 1, count do
    local piece = pieces[i]
    if math_type(piece) == "integer" then
      piece = native_tostring(piece)
      pieces[i] = piece
    elseif native_type(piece) ~= "string" then
      fail(format("cannot join a %s value with '..'", native_type(piece)))
    end
    total = total + #piece
  end
  check_text(total)
  return concat(pieces, "", 1, count)
end

local function set(entries, key, value)
  if native_type(entries) ~= "table" then
    fail(format("cannot assign a field of a %s value", native_type(entries)))
  end
  if math_type(key) == "integer" then
    if key < 1 or key > P.integer_key_max then
      fail(format("a whole-number key is 1..%d; use text for others", P.integer_key_max))
    end
  elseif native_type(key) ~= "string" then
    fail(format("a table key is text or a whole number, not a %s", native_type(key)))
  end
  local old = entries[key]
  if value ~= nil and old == nil then
    stored = stored + 1
  elseif value == nil and old ~= nil then
    deleted = true
    charge((stored + P.constructor_items_max) // P.delete_entries_per_gas)
  end
  entries[key] = value
end
env.__set = set

-- Errors

local function guard(ok, ...)
  if dead then
    native_error(DEAD, 0)
  end
  if not ok and (...) == NO_MEMORY then
    die("out-of-memory")
  end
  return ok, ...
end

function env.pcall(f, ...)
  return guard(native_pcall(f, ...))
end

-- The handler runs after the stack is unwound: during an error Lua switches the gas hook off.
function env.xpcall(f, handler, ...)
  local ok, first, second, third = guard(native_pcall(f, ...))
  if ok then
    return ok, first, second, third
  end
  return false, (handler(first))
end

function env.error(message, level)
  level = level == nil and 1 or expect_integer(level, "error")
  native_error(message, level > 0 and level + 1 or 0)
end

function env.assert(value, message)
  if not value then
    native_error(message == nil and "assertion failed!" or message, 0)
  end
  return value, message
end

-- Plain functions

env.type = function(value)
  return native_type(value)
end

env.tostring = function(value)
  return to_text(value)
end

function env.tonumber(value, base)
  if math_type(value) == "integer" then
    return value
  elseif native_type(value) ~= "string" then
    return nil
  end
  charge_text(#value)
  local number
  if base == nil then
    number = native_tonumber(value)
  else
    base = expect_integer(base, "tonumber")
    if base < 2 or base > 36 then
      fail("tonumber: base is 2..36")
    end
    number = native_tonumber(value, base)
  end
  return math_type(number) == "integer" and number or nil
end

local function step_array(entries, index)
  index = index + 1
  local value = entries[index]
  if value ~= nil then
    return index, value
  end
end

function env.ipairs(entries)
  return step_array, expect(entries, "table", "ipairs"), 0
end

-- Whole numbers ascending, then text bytewise.
function env.pairs(entries)
  expect(entries, "table", "pairs")
  local numbers, texts, number_count, text_count = {}, {}, 0, 0
  for key in native_next, entries do
    if math_type(key) == "integer" then
      number_count = number_count + 1
      numbers[number_count] = key
    elseif native_type(key) == "string" then
      text_count = text_count + 1
      texts[text_count] = key
    else
      fail("pairs: a table key is text or a whole number")
    end
  end
  -- A table that was emptied is still walked slot by slot inside C.
  charge((number_count + text_count) * P.pairs_key_gas + (deleted and stored // 8 or 0))
  sort(numbers)
  sort(texts)
  local at = 0
  return function()
    at = at + 1
    local key = at <= number_count and numbers[at] or texts[at - number_count]
    if key ~= nil then
      return key, entries[key]
    end
  end
end

-- math

local function extreme(is_better)
  return function(first, ...)
    local best = expect_integer(first, "math")
    for i = 1, select("#", ...) do
      local other = expect_integer((select(i, ...)), "math")
      if is_better(other, best) then
        best = other
      end
    end
    return best
  end
end

env.math = {
  maxinteger = math.maxinteger,
  mininteger = math.mininteger,
  abs = function(x)
    return expect_integer(x, "math.abs") < 0 and -x or x
  end,
  max = extreme(function(a, b)
    return a > b
  end),
  min = extreme(function(a, b)
    return a < b
  end),
  ult = function(a, b)
    return math.ult(expect_integer(a, "math.ult"), expect_integer(b, "math.ult"))
  end,
  tointeger = function(x)
    return math_type(x) == "integer" and x or nil
  end,
  type = function(x)
    return math_type(x)
  end,
}

-- string

local text = {}

function text.len(s)
  return #expect(s, "string", "string.len")
end

function text.sub(s, first, last)
  expect(s, "string", "string.sub")
  charge_text(#s)
  last = last == nil and -1 or expect_integer(last, "string.sub")
  return sub(s, expect_integer(first, "string.sub"), last)
end

local function transform(name, native)
  return function(s)
    charge_text(#expect(s, "string", name))
    return native(s)
  end
end
text.upper = transform("string.upper", upper)
text.lower = transform("string.lower", lower)
text.reverse = transform("string.reverse", reverse)

function text.byte(s, index)
  expect(s, "string", "string.byte")
  return (byte(s, index == nil and 1 or expect_integer(index, "string.byte")))
end

function text.char(...)
  local codes = { ... }
  for i = 1, select("#", ...) do
    local code = expect_integer(codes[i], "string.char")
    if code < 0 or code > 255 then
      fail("string.char: a byte is 0..255")
    end
  end
  return char(...)
end

function text.rep(s, count, separator)
  expect(s, "string", "string.rep")
  separator = separator == nil and "" or expect(separator, "string", "string.rep")
  count = expect_integer(count, "string.rep")
  if count < 1 then
    return ""
  elseif count > P.string_bytes_max then -- first, so that the product below cannot overflow
    fail("string.rep: too many repetitions")
  end
  check_text(#s * count + #separator * (count - 1))
  return rep(s, count, separator)
end

-- Plain search: patterns can take time that is exponential in their length.
local function find_plain(s, needle, init)
  expect(s, "string", "string.find")
  expect(needle, "string", "string.find")
  init = init == nil and 1 or expect_integer(init, "string.find")
  local first, last = find(s, needle, init, true)
  local scanned = (last or #s) - (init > 0 and init or 1) + 1
  if scanned > 0 then
    charge_text(scanned)
    charge(scanned * #needle // P.find_steps_per_gas)
  end
  return first, last
end
text.find = find_plain

function text.split(s, separator)
  if expect(separator, "string", "string.split") == "" then
    fail("string.split: the separator is empty")
  end
  local parts, count, from = {}, 0, 1
  while true do
    local first, last = find_plain(s, separator, from)
    count = count + 1
    charge_text((first or #s) - from + 1)
    parts[count] = sub(s, from, (first or #s + 1) - 1)
    if not first then
      stored = stored + count
      return parts
    end
    from = last + 1
  end
end

function text.starts(s, prefix)
  charge_text(#expect(prefix, "string", "string.starts"))
  return sub(expect(s, "string", "string.starts"), 1, #prefix) == prefix
end

-- %s %d %x %X %c %% with flags and a width of two digits.
function text.format(template, ...)
  if #expect(template, "string", "string.format") > P.format_bytes_max then
    fail("string.format: the template is too long")
  end
  local values, count = { ... }, select("#", ...)
  local at, total = 0, 0
  charge_text(#template * 8)
  local result = gsub(template, "%%([-0+ ]?)(%d?%d?)(.?)", function(flag, width, kind)
    if kind == "%" then
      return "%"
    end
    at = at + 1
    if at > count then
      native_error("string.format: not enough values", 4)
    end
    local value = values[at]
    if kind == "s" then
      value = to_text(value)
      flag = flag == "-" and flag or ""
    elseif kind == "d" or kind == "x" or kind == "X" then
      expect_integer(value, "string.format")
    else
      native_error("string.format: only %s %d %x %X %% are available", 4)
    end
    local piece = #width == 0 and kind == "s" and value or format("%" .. flag .. width .. kind, value)
    total = total + #piece
    check_text(#template + total)
    return piece
  end)
  return result
end

env.string = text
for name in native_next, string_metatable do
  string_metatable[name] = nil -- with them "10" + 5 would be a number, and "0.5" + 0 a float
end
string_metatable.__index = text
string_metatable.__metatable = false

-- table

env.table = {}

function env.table.insert(entries, position, value)
  expect(entries, "table", "table.insert")
  local count = len(entries)
  if value == nil then
    set(entries, count + 1, position)
    return
  end
  expect_integer(position, "table.insert")
  if position < 1 or position > count + 1 then
    fail("table.insert: position out of bounds")
  end
  for i = count, position, -1 do
    set(entries, i + 1, entries[i])
  end
  set(entries, position, value)
end

function env.table.remove(entries, position)
  expect(entries, "table", "table.remove")
  local count = len(entries)
  position = position == nil and count or expect_integer(position, "table.remove")
  if count == 0 then
    return nil
  elseif position < 1 or position > count then
    fail("table.remove: position out of bounds")
  end
  local removed = entries[position]
  for i = position, count - 1 do
    set(entries, i, entries[i + 1])
  end
  set(entries, count, nil)
  return removed
end

function env.table.concat(entries, separator, first, last)
  expect(entries, "table", "table.concat")
  separator = separator == nil and "" or expect(separator, "string", "table.concat")
  first = first == nil and 1 or expect_integer(first, "table.concat")
  last = last == nil and len(entries) or expect_integer(last, "table.concat")
  local total = 0
  for i = first, last do
    local piece = entries[i]
    if math_type(piece) == "integer" then
      total = total + 20
    elseif native_type(piece) == "string" then
      total = total + #piece
    else
      fail(format("table.concat: entry %d is a %s", i, native_type(piece)))
    end
    total = total + #separator
    if total > P.string_bytes_max then
      fail(format("a string has at most %d bytes", P.string_bytes_max))
    end
  end
  charge_text(total)
  return concat(entries, separator, first, last)
end

function env.table.unpack(entries, first, last)
  expect(entries, "table", "table.unpack")
  first = first == nil and 1 or expect_integer(first, "table.unpack")
  last = last == nil and len(entries) or expect_integer(last, "table.unpack")
  if last - first >= P.unpack_max or last - first < -1 then
    fail(format("table.unpack: at most %d entries", P.unpack_max))
  end
  return unpack(entries, first, last)
end

local function is_less(a, b)
  return a < b
end

-- A stable merge sort in Lua: every comparison is counted, and an inconsistent one does no harm.
function env.table.sort(entries, comes_before)
  expect(entries, "table", "table.sort")
  comes_before = comes_before == nil and is_less or expect(comes_before, "function", "table.sort")
  local count = len(entries)
  local from, to = {}, {}
  for i = 1, count do
    from[i] = entries[i]
  end
  local width = 1
  while width < count do
    for start = 1, count, width * 2 do
      local middle = start + width
      local stop = middle + width
      stop = stop < count + 1 and stop or count + 1
      local left, right = start, middle
      for i = start, stop - 1 do
        local take_right = right < stop
          and (left >= middle or comes_before(from[right], from[left]))
        if take_right then
          to[i], right = from[right], right + 1
        else
          to[i], left = from[left], left + 1
        end
      end
    end
    from, to = to, from
    width = width * 2
  end
  for i = 1, count do
    entries[i] = from[i]
  end
end

-- host: every function is one question over `bridge`, which answers and never raises.

local function ask(operation, ...)
  charge(P.host_gas)
  local verdict, answer, cost = bridge(operation, ...)
  gas = gas + cost
  stored = stored + cost // P.value_node_gas
  if verdict == "refused" then
    die("aborted", answer)
  elseif verdict == "out-of-memory" then
    die("out-of-memory")
  end
  check()
  return answer
end

env.host = {}
for operation in native_next, P.operations do
  env.host[operation] = function(a, b, c)
    return ask(operation, a, b, c)
  end
end

function env.host.abort(message)
  die("aborted", to_text(message))
end

env.call = P.call

-- Running one call. Returns a status, then the result or an error text, then the gas used.

local function describe(problem)
  if native_type(problem) == "string" then
    return problem
  elseif native_type(problem) == "number" then
    return to_text(problem)
  end
  return format("the contract raised a %s value", native_type(problem))
end

local function list_functions(contract)
  local names = {}
  for name, f in native_next, contract do
    if native_type(name) == "string" and native_type(f) == "function" then
      names[#names + 1] = name
    end
  end
  sort(names)
  return names
end

-- An empty `method` asks what the contract offers.
local function invoke(chunk, method, args)
  local contract = chunk()
  if native_type(contract) ~= "table" then
    native_error("the contract does not end with 'return <table of its methods>'", 0)
  end
  if method == "" then
    return list_functions(contract)
  end
  local f = contract[method]
  if native_type(f) ~= "function" then
    native_error(format("the contract has no function '%s'", method), 0)
  end
  return (f(args))
end

local function run(chunk, method, args)
  local ok, result = native_pcall(invoke, chunk, method, args)
  sethook()
  return ok, result
end

return function(source, method, args)
  local chunk, problem = load(source, "=contract", "t", env)
  if not chunk then
    return "aborted", problem, gas
  end
  read_memory("stop")
  memory_limit = read_memory("count") + P.memory_kib
  sethook(tick, "", P.instructions_per_tick)
  -- Twice protected: a tick may also fall between the end of `invoke` and `sethook`. The next one
  -- would be a hundred instructions away.
  local completed, ok, result = native_pcall(run, chunk, method, args)
  sethook()
  if not completed then
    ok, result = false, ok
  end
  if not ok and result == NO_MEMORY then
    dead = dead or "out-of-memory"
  end
  if dead then
    return dead, dead_detail or "", gas
  elseif not ok then
    return "aborted", describe(result), gas
  elseif gas > gas_limit then
    return "out-of-gas", "", gas
  end
  return "ok", result, gas
end
