-- What a contract's test.lua sees as `test`. Each case starts with an empty chain of its own.

local test = {}

function test.case(name, body)
  host.test("reset")
  local ok, problem = pcall(body)
  if not ok and type(problem) ~= "string" then
    problem = "raised a " .. type(problem)
  end
  host.test("case", { name = name, ok = ok, error = not ok and problem or nil })
end

-- deploy{ args = {...}, owner = address? } -> { ok, error }
function test.deploy(options)
  return host.test("deploy", options)
end

-- call{ method, args?, caller?, deposit?, time_ms? } -> { ok, result, error, events, gas }
function test.call(options)
  return host.test("call", options)
end

-- query{ method, args? } -> { ok, result, error, gas }
function test.query(options)
  return host.test("query", options)
end

-- The proof of an anchored reading:
-- proof{ device, sequence, time_ms, clock?, source_time_ms?, quantities = { name = { value?, scale, unit } } }
function test.proof(reading)
  return host.test("proof", reading)
end

-- A 32-byte address (or device id) that always belongs to this name.
function test.address(name)
  return host.test("address", name)
end

-- What an address was paid so far; without one, what the contract holds.
function test.balance(address)
  return host.test("balance", { address = address })
end

local function show(value)
  if type(value) ~= "table" then
    return type(value) == "string" and "'" .. value .. "'" or tostring(value)
  end
  local parts = {}
  for key, item in pairs(value) do
    table.insert(parts, tostring(key) .. "=" .. show(item))
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function is_equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, item in pairs(a) do
    if not is_equal(item, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

function test.equal(actual, expected, what)
  if not is_equal(actual, expected) then
    error((what or "value") .. ": expected " .. show(expected) .. ", got " .. show(actual), 2)
  end
end

function test.succeeded(outcome)
  if not outcome.ok then
    error("the call failed: " .. outcome.error, 2)
  end
  return outcome.result
end

function test.refused(outcome, reason)
  if outcome.ok then
    error("the call succeeded; it should have been refused: " .. reason, 2)
  elseif not string.find(outcome.error, reason) then
    error("refused with '" .. outcome.error .. "' instead of '" .. reason .. "'", 2)
  end
end

return test
