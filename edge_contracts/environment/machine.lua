-- The contract machine inside a fresh Lua state: gas, memory, operators and errors. `library.lua` and
-- `run.lua` follow it in the same chunk.
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

-- Every pcall nests Lua's C stack. Where that ends not even the gas hook can run any more.
local depth = 0

local function enter()
  if depth >= P.pcall_depth_max then
    native_error(format("pcall is nested deeper than %d", P.pcall_depth_max), 3)
  end
  depth = depth + 1
  return depth - 1
end

local function guard(depth_before, ok, ...)
  depth = depth_before
  if dead then
    native_error(DEAD, 0)
  end
  if not ok and (...) == NO_MEMORY then
    die("out-of-memory")
  end
  return ok, ...
end

function env.pcall(f, ...)
  return guard(enter(), native_pcall(f, ...))
end

-- The handler runs after the stack is unwound: during an error Lua switches the gas hook off.
function env.xpcall(f, handler, ...)
  local ok, first, second, third = guard(enter(), native_pcall(f, ...))
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
