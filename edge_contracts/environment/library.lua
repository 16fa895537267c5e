-- The functions that contracts have: bounded, charged by what they work on, the same on every node.

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
