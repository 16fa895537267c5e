local device = test.address("meter")
local alice, bob = test.address("alice"), test.address("bob")
local opened_ms = 1767225600000

local function reading(sequence, minutes, value, changes)
  changes = changes or {}
  return test.proof({
    device = changes.device or device,
    sequence = sequence,
    time_ms = opened_ms + minutes * 60000,
    clock = changes.clock or "synchronised",
    quantities = {
      energy_import_total = {
        value = not changes.is_null and value or nil,
        scale = changes.scale or 0,
        unit = changes.unit or "Wh",
      },
    },
  })
end

local function deploy()
  test.succeeded(test.deploy({
    args = {
      device = device,
      quantity = "energy_import_total",
      unit = "Wh",
      gap_max_ms = 900000,
      clocks = { "synchronised" },
    },
  }))
end

local function call(method, args, caller)
  return test.call({ method = method, args = args, caller = caller or alice, time_ms = opened_ms })
end

local function open()
  deploy()
  test.succeeded(call("open", { session = "s" }))
end

local function record(proofs)
  return test.succeeded(call("record", { session = "s", proofs = proofs }, bob))
end

local function usage()
  return test.succeeded(test.query({ method = "usage", args = { session = "s" } }))
end

test.case("counts from the first reading on", function()
  open()
  record({ reading(1, 1, 5000), reading(2, 6, 5100), reading(3, 11, 5250) })
  test.equal(usage().amount, 250)
  test.equal(usage().sequence, 3)
end)

test.case("a reading handed in twice counts once", function()
  open()
  record({ reading(1, 1, 100), reading(2, 6, 130) })
  local again = record({ reading(1, 1, 100), reading(2, 6, 130) })
  test.equal(again, { recorded = 0, ignored = 2, state = "open" })
  test.equal(usage().amount, 30)
end)

test.case("a reading from before the session is no baseline", function()
  open()
  test.equal(record({ reading(1, -5, 10) }).recorded, 0)
  record({ reading(2, 1, 500), reading(3, 2, 510) })
  test.equal(usage().amount, 10)
end)

local function pauses_with(reason, proof)
  open()
  local outcome = record({ reading(10, 1, 1000), reading(11, 2, 1010), proof, reading(20, 9, 1100) })
  test.equal(outcome, { recorded = 2, ignored = 2, state = "paused", reason = reason })
  test.equal(usage().amount, 10, "usage")
  test.equal(#usage().pauses, 1, "pauses")
end

test.case("null pauses", function()
  pauses_with("null", reading(12, 3, 1, { is_null = true }))
end)
test.case("a missing quantity pauses as null", function()
  pauses_with("null", test.proof({
    device = device, sequence = 12, time_ms = opened_ms + 180000, quantities = {},
  }))
end)
test.case("backwards pauses", function()
  pauses_with("backwards", reading(12, 3, 1009))
end)
test.case("a tenth of the last value is still backwards", function()
  pauses_with("backwards", reading(12, 3, 101))
end)
test.case("less than a tenth is a reset", function()
  pauses_with("reset", reading(12, 3, 100))
end)
test.case("gap pauses", function()
  pauses_with("gap", reading(12, 18, 1020))
end)
test.case("an unsynchronised clock pauses", function()
  pauses_with("clock", reading(12, 3, 1020, { clock = "unsynchronised" }))
end)
test.case("time that goes back pauses", function()
  pauses_with("clock", reading(12, 0, 1020))
end)
test.case("another unit pauses", function()
  pauses_with("unit", reading(12, 3, 1020, { unit = "kWh" }))
end)
test.case("another scale pauses", function()
  pauses_with("unit", reading(12, 3, 1020, { scale = 1 }))
end)
test.case("a negative value pauses", function()
  pauses_with("backwards", reading(12, 3, -1))
end)

test.case("exactly the longest gap is no gap", function()
  open()
  record({ reading(1, 1, 0), reading(2, 16, 7) })
  test.equal(usage().amount, 7)
end)

test.case("resuming sets a new baseline and forgets what lies between", function()
  open()
  record({ reading(1, 1, 1000), reading(2, 2, 1010), reading(3, 3, 5) })
  test.refused(call("record", { session = "s", proofs = {} }), "the session is paused")
  test.refused(call("resume", { session = "s", proof = reading(2, 2, 1010) }), "is older")
  test.refused(call("resume", { session = "s", proof = reading(3, 3, 5) }, bob), "only who opened")
  test.succeeded(call("resume", { session = "s", proof = reading(3, 3, 5) }))
  record({ reading(4, 4, 25) })
  test.equal(usage().amount, 30)
end)

test.case("a reading of another device fails the call", function()
  open()
  local foreign = reading(1, 1, 5, { device = test.address("other") })
  test.refused(call("record", { session = "s", proofs = { foreign } }), "another device")
end)

test.case("a closed session stays closed", function()
  open()
  record({ reading(1, 1, 0), reading(2, 2, 9) })
  local outcome = call("close", { session = "s" })
  test.equal(outcome.events[1].fields.amount, 9)
  test.refused(call("close", { session = "s" }), "is closed")
  test.refused(call("record", { session = "s", proofs = {} }), "is closed")
  test.refused(call("open", { session = "s" }), "exists")
end)

test.case("bad rules are refused", function()
  local rules = { device = device, quantity = "q", unit = "Wh", gap_max_ms = 0, clocks = {} }
  test.refused(test.deploy({ args = rules }), "gap_max_ms")
  rules.gap_max_ms = 1
  test.refused(test.deploy({ args = rules }), "clocks")
  rules.clocks = { "sundial" }
  test.refused(test.deploy({ args = rules }), "unknown status sundial")
end)
