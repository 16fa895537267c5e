-- A usage record without money: what a meter counted during a session.
--
-- A session starts with the first reading taken after it was opened. Doubtful data never counts: it
-- pauses the session with a reason, and `resume` sets a new baseline.

local metering = modules.metering

local PROOFS_MAX = 64
local PAUSES_MAX = 64
local NAME_BYTES_MAX = 64

local contract = {}

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

local function load_own(name)
  local session = load_session(name)
  if call.caller ~= session.opener then
    host.abort("only who opened the session may do this")
  elseif session.state == "closed" then
    host.abort("the session is closed")
  end
  return session
end

local function pause(session, reason, reading)
  local sequence, time_ms = reading.sequence, reading.time_ms
  session.state = "paused"
  table.insert(session.pauses, { reason = reason, sequence = sequence, time_ms = time_ms })
  host.emit("paused", {
    session = session.session,
    reason = reason,
    sequence = sequence,
    time_ms = time_ms,
  })
end

function contract.init(args)
  metering.check_rules(args)
  host.set("rules", args)
end

function contract.open(args)
  local name = args.session
  if #name == 0 or #name > NAME_BYTES_MAX then
    host.abort("session: expected 1 to 64 bytes")
  elseif host.get("session/" .. name) ~= nil then
    host.abort("session " .. name .. " exists")
  end
  save({
    session = name,
    opener = call.caller,
    opened_ms = call.time_ms,
    state = "open",
    amount = 0,
    pauses = {},
  })
  host.emit("opened", { session = name, opener = call.caller })
end

-- Anyone may hand in readings: the proof is what counts.
function contract.record(args)
  local rules, session = host.get("rules"), load_session(args.session)
  if session.state ~= "open" then
    host.abort("the session is " .. session.state)
  elseif #args.proofs > PROOFS_MAX then
    host.abort("at most 64 readings a call")
  end
  local recorded = 0
  for _, proof in ipairs(args.proofs) do
    local reading = host.reading(proof)
    local verdict = metering.judge(rules, session.mark, reading)
    if session.state ~= "open" or reading.time_ms < session.opened_ms then
      verdict = { kind = "ignore" }
    elseif verdict.kind == "pause" then
      pause(session, verdict.reason, reading)
    elseif verdict.kind ~= "ignore" then
      session.mark = verdict.mark
      session.amount = metering.add(session.amount, verdict.delta or 0)
      recorded = recorded + 1
    end
  end
  save(session)
  if recorded > 0 then
    host.emit("recorded", {
      session = session.session,
      readings = recorded,
      sequence = session.mark.sequence,
      amount = session.amount,
    })
  end
  local last_pause = session.pauses[#session.pauses]
  return {
    recorded = recorded,
    ignored = #args.proofs - recorded,
    state = session.state,
    reason = session.state == "paused" and last_pause.reason or nil,
  }
end

function contract.resume(args)
  local rules, session = host.get("rules"), load_own(args.session)
  if session.state ~= "paused" then
    host.abort("the session is not paused")
  elseif #session.pauses >= PAUSES_MAX then
    host.abort("the session was paused too often: close it")
  end
  local reading = host.reading(args.proof)
  local verdict = metering.judge(rules, nil, reading)
  if reading.sequence < session.pauses[#session.pauses].sequence then
    host.abort("the reading is older than the one that paused the session")
  elseif verdict.kind ~= "baseline" then
    host.abort("the reading cannot be a baseline: " .. verdict.reason)
  elseif session.mark ~= nil and session.mark.scale ~= verdict.mark.scale then
    host.abort("the reading cannot be a baseline: unit")
  end
  session.state = "open"
  session.mark = verdict.mark
  save(session)
  host.emit("resumed", { session = session.session, sequence = reading.sequence })
end

function contract.close(args)
  local session = load_own(args.session)
  session.state = "closed"
  save(session)
  host.emit("closed", { session = session.session, amount = session.amount })
end

function contract.usage(args)
  local session = load_session(args.session)
  local mark = session.mark or {}
  return {
    session = session.session,
    opener = session.opener,
    state = session.state,
    opened_ms = session.opened_ms,
    amount = session.amount,
    scale = mark.scale,
    unit = host.get("rules").unit,
    sequence = mark.sequence,
    pauses = session.pauses,
  }
end

return contract
