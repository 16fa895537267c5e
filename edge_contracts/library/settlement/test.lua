local device = test.address("meter")
local provider, consumer = test.address("provider"), test.address("consumer")
local midnight_ms = 1767225600000 -- 2026-01-01T00:00:00Z
local hour_ms = 3600000

-- Night 00-06 and 22-24 at 0.20 SSP, day at 0.30 SSP a kWh, 0.50 SSP a session; UTC+1.
local function make_terms()
  return {
    provider = provider,
    device = device,
    quantity = "energy_import_total",
    unit = "Wh",
    gap_max_ms = hour_ms,
    clocks = { "synchronised" },
    tariff = {
      name = "day and night",
      fixed = 50000000,
      utc_offset_minutes = 60,
      zones = {
        { name = "night", from_minute = 0, to_minute = 360, price = 20000000 },
        { name = "day", from_minute = 360, to_minute = 1320, price = 30000000 },
        { name = "night", from_minute = 1320, to_minute = 1440, price = 20000000 },
      },
    },
  }
end

local function reading(sequence, time_ms, value, changes)
  changes = changes or {}
  return test.proof({
    device = changes.device or device,
    sequence = sequence,
    time_ms = time_ms,
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

local function call(method, args, caller, deposit)
  args.session = args.session or "s"
  return test.call({
    method = method,
    args = args,
    caller = caller or consumer,
    deposit = deposit,
    time_ms = midnight_ms,
  })
end

local function open(deposit, terms)
  test.succeeded(test.deploy({ args = terms or make_terms() }))
  test.succeeded(call("open", {}, consumer, deposit or 1000000000))
end

local function record(proofs)
  return test.succeeded(call("record", { proofs = proofs }, test.address("gateway")))
end

local function ask(method)
  return test.succeeded(test.query({ method = method, args = { session = "s" } }))
end

local function flat(price)
  local terms = make_terms()
  terms.tariff.fixed = 0
  terms.tariff.utc_offset_minutes = 0
  terms.tariff.zones = { { name = "flat", from_minute = 0, to_minute = 1440, price = price } }
  return terms
end

test.case("a night that becomes day is billed by zone", function()
  open()
  -- Local midnight is 23:00 UTC: 04:30 UTC is 05:30 local, still night; 05:00 UTC is 06:00, day.
  record({
    reading(1, midnight_ms + 4 * hour_ms, 100000),
    reading(2, midnight_ms + 4 * hour_ms + 1800000, 101500),
    reading(3, midnight_ms + 5 * hour_ms, 103000),
    reading(4, midnight_ms + 6 * hour_ms, 110000),
  })
  local bill = ask("bill")
  test.equal(bill.lines, {
    { zone = "night", energy = 3000, scale = 0, unit = "Wh", price = 20000000, amount = 60000000 },
    { zone = "day", energy = 7000, scale = 0, unit = "Wh", price = 30000000, amount = 210000000 },
  }, "lines")
  test.equal(bill.total, 320000000, "total")
  local outcome = test.succeeded(call("settle", {}, provider))
  test.equal(outcome, {
    session = "s", total = 320000000, paid = 320000000, returned = 680000000, unpaid = 0,
  })
  test.equal(test.balance(provider), 320000000, "provider")
  test.equal(test.balance(consumer), 680000000, "consumer")
  test.equal(test.balance(), 0, "left in the contract")
end)

test.case("both night zones share one line across midnight", function()
  open()
  record({
    reading(1, midnight_ms + 21 * hour_ms, 0), -- 22:00 local
    reading(2, midnight_ms + 22 * hour_ms, 1), -- 23:00 local
    reading(3, midnight_ms + 23 * hour_ms, 3), -- 00:00 local
    reading(4, midnight_ms + 24 * hour_ms, 7),
  })
  local bill = ask("bill")
  test.equal(#bill.lines, 1)
  test.equal(bill.lines[1].energy, 7)
end)

test.case("rounds half up, once per line", function()
  open(1000, flat(1))
  record({ reading(1, midnight_ms, 0), reading(2, midnight_ms + 1, 499) })
  test.equal(ask("bill").total, 0, "499 Wh at 1")
  record({ reading(3, midnight_ms + 2, 500) })
  test.equal(ask("bill").total, 1, "500 Wh at 1")
  record({ reading(4, midnight_ms + 3, 1499) })
  test.equal(ask("bill").total, 1, "1499 Wh at 1")
  record({ reading(5, midnight_ms + 4, 1500) })
  test.equal(ask("bill").total, 2, "1500 Wh at 1")
end)

test.case("many small intervals come to the same as a large one", function()
  open(1000000, flat(333))
  local proofs = {}
  for i = 0, 50 do
    table.insert(proofs, reading(i + 1, midnight_ms + i * 1000, i * 7))
  end
  record(proofs)
  test.equal(ask("bill").lines[1], {
    zone = "flat", energy = 350, scale = 0, unit = "Wh", price = 333, amount = 117,
  })
end)

test.case("a kWh meter with two decimals counts in tens of Wh", function()
  local terms = flat(1000)
  terms.unit = "kWh"
  open(1000000, terms)
  local fine = { unit = "kWh", scale = -2 }
  record({ reading(1, midnight_ms, 12345, fine), reading(2, midnight_ms + 1, 12412, fine) })
  test.equal(ask("bill").lines[1].energy, 670)
  test.equal(ask("bill").total, 670)
end)

test.case("a meter finer than a Wh keeps every count", function()
  open(1000000, flat(1000000))
  local fine = { scale = -3 }
  record({ reading(1, midnight_ms, 0, fine), reading(2, midnight_ms + 1, 1499, fine) })
  local line = ask("bill").lines[1]
  test.equal({ line.energy, line.scale }, { 1499, -3 })
  test.equal(line.amount, 1499)
end)

local function pauses_with(reason, proof)
  open()
  local outcome = record({
    reading(10, midnight_ms, 10000),
    reading(11, midnight_ms + 1000, 10100),
    proof,
    reading(20, midnight_ms + 3000, 10300),
  })
  test.equal(outcome, { recorded = 2, ignored = 2, state = "paused", reason = reason })
  test.equal(ask("bill").lines[1].energy, 100, "energy")
  test.equal(ask("session").reason, reason, "reason")
end

local at_ms = midnight_ms + 2000
test.case("null pauses", function()
  pauses_with("null", reading(12, at_ms, 0, { is_null = true }))
end)
test.case("reset pauses", function()
  pauses_with("reset", reading(12, at_ms, 3))
end)
test.case("backwards pauses", function()
  pauses_with("backwards", reading(12, at_ms, 10099))
end)
test.case("gap pauses", function()
  pauses_with("gap", reading(12, midnight_ms + 1001 + hour_ms, 10200))
end)
test.case("clock pauses", function()
  pauses_with("clock", reading(12, at_ms, 10200, { clock = "unsynchronised" }))
end)
test.case("unit pauses", function()
  pauses_with("unit", reading(12, at_ms, 10200, { unit = "kWh" }))
end)

test.case("a pause announces its reason and the reading", function()
  open()
  local outcome = call("record", {
    proofs = { reading(1, midnight_ms, 9000), reading(2, midnight_ms + 1000, 5) },
  })
  test.equal(outcome.events[1], {
    name = "paused",
    fields = { session = "s", reason = "reset", sequence = 2, time_ms = midnight_ms + 1000 },
  })
end)

test.case("the doubtful interval is never billed", function()
  open()
  record({
    reading(1, midnight_ms, 1000),
    reading(2, midnight_ms + 1000, 1100),
    reading(3, midnight_ms + 2000, 4),
  })
  test.refused(call("record", { proofs = {} }), "paused (reset): resume it")
  test.refused(call("resume", { proof = reading(4, at_ms, 9) }, test.address("eve")), "only the")
  test.refused(call("resume", { proof = reading(2, at_ms, 9) }), "is older")
  test.refused(call("resume", { proof = reading(4, at_ms, 9, { is_null = true }) }), "null")
  test.succeeded(call("resume", { proof = reading(4, midnight_ms + 3000, 50) }, provider))
  record({ reading(5, midnight_ms + 4000, 80) })
  local bill = ask("bill")
  test.equal(bill.lines[1].energy, 130)
  test.equal(bill.pauses, { { reason = "reset", sequence = 3, time_ms = midnight_ms + 2000 } })
  test.refused(call("resume", { proof = reading(6, at_ms, 90) }), "not paused")
end)

test.case("readings handed in twice bill once", function()
  open()
  local proofs = { reading(1, midnight_ms, 0), reading(2, midnight_ms + 1000, 500) }
  record(proofs)
  local again = record(proofs)
  test.equal(again, { recorded = 0, ignored = 2, state = "open" })
  test.equal(ask("bill").lines[1].energy, 500)
end)

test.case("readings from before the session do not bill", function()
  open()
  record({ reading(1, midnight_ms - 1000, 0), reading(2, midnight_ms + 1000, 700) })
  test.equal(ask("bill").lines, {})
  record({ reading(3, midnight_ms + 2000, 701) })
  test.equal(ask("bill").lines[1].energy, 1)
end)

test.case("a used-up deposit pauses, a top-up lets it go on", function()
  open(100, flat(100))
  record({ reading(1, midnight_ms, 0), reading(2, midnight_ms + 1000, 1500) })
  test.equal(ask("session").reason, "deposit")
  test.equal(ask("bill").unpaid, 50)
  local last = reading(2, midnight_ms + 1000, 1500)
  test.refused(call("resume", { proof = last }), "top it up first")
  test.refused(call("top_up", {}, provider, 100), "only the consumer")
  test.succeeded(call("top_up", {}, consumer, 100))
  test.succeeded(call("resume", { proof = last }))
  record({ reading(3, midnight_ms + 2000, 1800) })
  local outcome = test.succeeded(call("settle", {}))
  test.equal(outcome, { session = "s", total = 180, paid = 180, returned = 20, unpaid = 0 })
end)

test.case("the provider never gets more than the deposit", function()
  open(100, flat(100))
  record({ reading(1, midnight_ms, 0), reading(2, midnight_ms + 1000, 9000) })
  local outcome = test.succeeded(call("settle", {}))
  test.equal(outcome, { session = "s", total = 900, paid = 100, returned = 0, unpaid = 800 })
  test.equal(test.balance(provider), 100)
end)

test.case("settles once", function()
  open()
  test.succeeded(call("settle", {}))
  test.refused(call("settle", {}), "is settled")
  test.refused(call("settle", {}, provider), "is settled")
  test.refused(call("record", { proofs = {} }), "is settled")
  test.refused(call("top_up", {}, consumer, 5), "is settled")
  test.equal(test.balance(consumer), 1000000000, "a session without readings costs nothing")
end)

test.case("strangers settle nothing", function()
  open()
  test.refused(call("settle", {}, test.address("eve")), "only the consumer or the provider")
end)

test.case("one session at a time, each name once", function()
  open()
  local eve = test.address("eve")
  test.refused(call("open", { session = "t" }, eve, 100000000), "session s is not settled yet")
  test.succeeded(call("settle", {}))
  test.refused(call("open", {}, eve, 100000000), "session s exists")
  test.succeeded(call("open", { session = "t" }, eve, 100000000))
end)

test.case("opening needs a deposit above the fixed price", function()
  test.succeeded(test.deploy({ args = make_terms() }))
  test.refused(call("open", {}), "the deposit must be more")
  test.refused(call("open", {}, consumer, 50000000), "the deposit must be more")
  test.succeeded(call("open", {}, consumer, 50000001))
  test.refused(call("settle", {}, consumer, 1), "takes no deposit")
end)

test.case("a reading of another device fails the call", function()
  open()
  local foreign = reading(1, midnight_ms, 0, { device = test.address("other") })
  test.refused(call("record", { proofs = { foreign } }), "another device")
end)

local function refuses_zones(zones, reason)
  local terms = make_terms()
  terms.tariff.zones = zones
  test.refused(test.deploy({ args = terms }), reason)
end

test.case("zones must cover the day exactly", function()
  local function zone(from, to, name, price)
    return { name = name or "z", from_minute = from, to_minute = to, price = price or 1 }
  end
  refuses_zones({}, "cover the day")
  refuses_zones({ zone(0, 1439) }, "cover the day")
  refuses_zones({ zone(1, 1440) }, "without gap or overlap")
  refuses_zones({ zone(0, 700), zone(701, 1440) }, "without gap or overlap")
  refuses_zones({ zone(0, 700), zone(699, 1440) }, "without gap or overlap")
  refuses_zones({ zone(0, 0), zone(0, 1440) }, "without gap or overlap")
  refuses_zones({ zone(0, 700, "z", 1), zone(700, 1440, "z", 2) }, "has two prices")
  refuses_zones({ zone(0, 1500) }, "cover the day")
end)

test.case("the offset to UTC is that of a place on Earth", function()
  local terms = make_terms()
  for _, offset in ipairs({ -841, 841, math.mininteger }) do
    terms.tariff.utc_offset_minutes = offset
    test.refused(test.deploy({ args = terms }), "utc_offset_minutes is -840..840")
  end
end)
