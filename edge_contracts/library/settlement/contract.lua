-- Sells metered energy. The consumer leaves a deposit, anchored readings are recorded, and `settle`
-- pays the provider what the tariff says and the consumer the rest, exactly once.
--
-- Rule 1: a session starts with the first reading taken after it was opened.
-- Rule 2: the energy between two readings belongs wholly to the zone in which the first was taken.
-- Rule 3: energy adds up exactly; money is rounded once per bill line, half up to the base unit.
-- Rule 4: doubtful data never bills. It pauses the session with a reason; `resume` sets a new
--         baseline, and what lies between is never billed.
-- Rule 5: when the bill reaches the deposit the session pauses, so that nothing is sold on credit
--         beyond that reading.

local metering, tariffs = modules.metering, modules.tariff

local PROOFS_MAX = 64
local PAUSES_MAX = 64
local NAME_BYTES_MAX = 64
local UNITS = { Wh = 0, kWh = 3 } -- the power of ten that makes it Wh
local WH_EXPONENT_MAX = 9 -- a meter counts in 10^-9 .. 10^9 Wh

local contract = {}

-- The bill

local function power_of_ten(exponent)
  local power = 1
  for _ = 1, exponent do
    power = power * 10
  end
  return power
end

-- round(energy * 10^scale Wh * price per kWh), half up: floor(x + 1/2) = ceil(floor(2x) / 2)
local function price_line(energy, scale, price)
  local twice = host.muldiv(host.muldiv(energy, 2, 1), price, power_of_ten(3 - scale))
  return twice // 2 + twice % 2
end

local function make_line(zone, counts, exponent)
  local energy, scale = counts, exponent
  if exponent > 0 then
    energy, scale = host.muldiv(counts, power_of_ten(exponent), 1), 0
  end
  return {
    zone = zone.name,
    energy = energy,
    scale = scale,
    unit = "Wh",
    price = zone.price,
    amount = price_line(energy, scale, zone.price),
  }
end

local function compute_lines(terms, session)
  local lines, seen = {}, {}
  for _, zone in ipairs(terms.tariff.zones) do
    local counts = session.energy[zone.name]
    if counts ~= nil and not seen[zone.name] then
      seen[zone.name] = true
      table.insert(lines, make_line(zone, counts, session.scale + UNITS[terms.unit]))
    end
  end
  return lines
end

-- The fixed price is due once the session has a first reading.
local function compute_bill(terms, session)
  local lines = compute_lines(terms, session)
  local fixed = session.scale ~= nil and terms.tariff.fixed or 0
  local total = fixed
  for _, line in ipairs(lines) do
    total = metering.add(total, line.amount)
  end
  local paid = math.min(total, session.deposit)
  return {
    lines = lines,
    fixed = fixed,
    total = total,
    paid = paid,
    returned = session.deposit - paid,
    unpaid = total - paid,
  }
end

-- Sessions

local function save(session)
  host.set("session/" .. session.session, session)
end

local function load_session(name)
  local session = host.get("session/" .. name)
  if session == nil then
    host.abort("no session " .. name)
  end
  return session
end

local function load_unsettled(name)
  local session = load_session(name)
  if session.state == "settled" then
    host.abort("the session is settled")
  end
  return session
end

local function require_party(terms, session)
  if call.caller ~= session.consumer and call.caller ~= terms.provider then
    host.abort("only the consumer or the provider may do this")
  end
end

local function get_pause(session)
  return session.state == "paused" and session.pauses[#session.pauses] or nil
end

local function pause(session, reason, sequence, time_ms)
  session.state = "paused"
  table.insert(session.pauses, { reason = reason, sequence = sequence, time_ms = time_ms })
  host.emit("paused", {
    session = session.session,
    reason = reason,
    sequence = sequence,
    time_ms = time_ms,
  })
end

local function is_countable(terms, mark)
  return math.abs(mark.scale + UNITS[terms.unit]) <= WH_EXPONENT_MAX
end

local function add_energy(terms, session, verdict)
  local zone = tariffs.find_zone(terms.tariff, session.mark.time_ms)
  session.energy[zone] = metering.add(session.energy[zone] or 0, verdict.delta)
  session.mark = verdict.mark
end

-- Applies one reading; returns whether it was recorded.
local function apply(terms, session, reading)
  local verdict = metering.judge(terms, session.mark, reading)
  if session.state ~= "open" or reading.time_ms < session.opened_ms then
    return false
  elseif verdict.kind == "baseline" and not is_countable(terms, verdict.mark) then
    verdict = { kind = "pause", reason = "unit" }
  end
  if verdict.kind == "baseline" then
    session.mark = verdict.mark
    session.scale = verdict.mark.scale
    return true
  elseif verdict.kind == "delta" then
    add_energy(terms, session, verdict)
    if compute_bill(terms, session).total >= session.deposit then
      pause(session, "deposit", reading.sequence, reading.time_ms)
    end
    return true
  elseif verdict.kind == "pause" then
    pause(session, verdict.reason, reading.sequence, reading.time_ms)
  end
  return false
end

-- Methods

function contract.init(args)
  metering.check_rules(args)
  tariffs.check(args.tariff)
  if UNITS[args.unit] == nil then
    host.abort("unit: expected Wh or kWh")
  end
  host.set("terms", args)
end

-- A meter serves one customer at a time: one session is unsettled at most.
function contract.open(args)
  local name, unsettled = args.session, host.get("unsettled")
  if #name == 0 or #name > NAME_BYTES_MAX then
    host.abort("session: expected 1 to 64 bytes")
  elseif unsettled ~= nil then
    host.abort("session " .. unsettled .. " is not settled yet")
  elseif host.get("session/" .. name) ~= nil then
    host.abort("session " .. name .. " exists")
  elseif call.deposit <= host.get("terms").tariff.fixed then
    host.abort("the deposit must be more than the tariff's fixed price")
  end
  save({
    session = name,
    consumer = call.caller,
    opened_ms = call.time_ms,
    state = "open",
    deposit = call.deposit,
    energy = {},
    pauses = {},
  })
  host.set("unsettled", name)
  host.emit("opened", { session = name, consumer = call.caller, deposit = call.deposit })
end

function contract.top_up(args)
  local session = load_unsettled(args.session)
  if call.caller ~= session.consumer then
    host.abort("only the consumer may top up the deposit")
  elseif call.deposit == 0 then
    host.abort("the deposit is 0")
  end
  session.deposit = metering.add(session.deposit, call.deposit)
  save(session)
  host.emit("topped_up", {
    session = session.session,
    amount = call.deposit,
    deposit = session.deposit,
  })
end

-- Anyone may hand in readings: the proof is what counts.
function contract.record(args)
  local terms, session = host.get("terms"), load_unsettled(args.session)
  if session.state == "paused" then
    host.abort("the session is paused (" .. get_pause(session).reason .. "): resume it")
  elseif #args.proofs > PROOFS_MAX then
    host.abort("at most 64 readings a call")
  end
  local recorded = 0
  for _, proof in ipairs(args.proofs) do
    recorded = recorded + (apply(terms, session, host.reading(proof)) and 1 or 0)
  end
  save(session)
  if recorded > 0 then
    host.emit("recorded", {
      session = session.session,
      readings = recorded,
      sequence = session.mark.sequence,
      total = compute_bill(terms, session).total,
    })
  end
  return {
    recorded = recorded,
    ignored = #args.proofs - recorded,
    state = session.state,
    reason = (get_pause(session) or {}).reason,
  }
end

local function check_resumable(terms, session, reading)
  local paused = get_pause(session)
  if paused == nil then
    host.abort("the session is not paused")
  elseif #session.pauses >= PAUSES_MAX then
    host.abort("the session was paused too often: settle it")
  elseif paused.reason == "deposit" and compute_bill(terms, session).total >= session.deposit then
    host.abort("the deposit is used up: top it up first")
  elseif reading.sequence < paused.sequence then
    host.abort("the reading is older than the one that paused the session")
  end
end

function contract.resume(args)
  local terms, session = host.get("terms"), load_unsettled(args.session)
  require_party(terms, session)
  local reading = host.reading(args.proof)
  check_resumable(terms, session, reading)
  local verdict = metering.judge(terms, nil, reading)
  if verdict.kind ~= "baseline" then
    host.abort("the reading cannot be a baseline: " .. verdict.reason)
  end
  local scale = session.scale or verdict.mark.scale
  if verdict.mark.scale ~= scale or not is_countable(terms, verdict.mark) then
    host.abort("the reading cannot be a baseline: unit")
  end
  session.state = "open"
  session.mark = verdict.mark
  session.scale = scale
  save(session)
  host.emit("resumed", { session = session.session, sequence = reading.sequence })
end

function contract.settle(args)
  local terms, session = host.get("terms"), load_unsettled(args.session)
  require_party(terms, session)
  local bill = compute_bill(terms, session)
  session.state = "settled"
  save(session)
  host.set("unsettled", nil)
  if bill.paid > 0 then
    host.pay(terms.provider, bill.paid)
  end
  if bill.returned > 0 then
    host.pay(session.consumer, bill.returned)
  end
  local settled = {
    session = session.session,
    total = bill.total,
    paid = bill.paid,
    returned = bill.returned,
    unpaid = bill.unpaid,
  }
  host.emit("settled", settled)
  return settled
end

-- Queries

function contract.terms()
  return host.get("terms")
end

function contract.session(args)
  local session = load_session(args.session)
  local mark = session.mark or {}
  return {
    session = session.session,
    consumer = session.consumer,
    state = session.state,
    reason = (get_pause(session) or {}).reason,
    opened_ms = session.opened_ms,
    deposit = session.deposit,
    total = compute_bill(host.get("terms"), session).total,
    sequence = mark.sequence,
    time_ms = mark.time_ms,
  }
end

-- Until the session is settled nothing is paid: `paid` and `returned` are what settling would do.
function contract.bill(args)
  local terms, session = host.get("terms"), load_session(args.session)
  local bill = compute_bill(terms, session)
  bill.session = session.session
  bill.consumer = session.consumer
  bill.provider = terms.provider
  bill.tariff = terms.tariff.name
  bill.state = session.state
  bill.deposit = session.deposit
  bill.pauses = session.pauses
  return bill
end

return contract
