-- Judging meter readings: pure functions without storage or money.
--
-- rules  = { device, quantity, unit, gap_max_ms, clocks }
-- mark   = { sequence, time_ms, value, scale }   the reading that the next one is compared with
-- verdict.kind is "baseline" (no mark yet), "delta", "ignore" or "pause" with a `reason`:
--   clock      the reading's clock status is not accepted, or its time lies before the mark's
--   null       the device gave no valid value
--   unit       the unit is another, or the scale is not the mark's
--   gap        more than gap_max_ms since the mark
--   reset      below the mark, and below a tenth of it: the counter began anew
--   backwards  below the mark otherwise, or negative

local metering = {}

-- A reading that is not newer than the mark was judged before: handing it in twice is no offence.
function metering.is_known(mark, reading)
  return mark ~= nil and reading.sequence <= mark.sequence
end

local function is_accepted(clocks, status)
  for _, accepted in ipairs(clocks) do
    if accepted == status then
      return true
    end
  end
  return false
end

local function find_fault(rules, mark, reading, quantity)
  if not is_accepted(rules.clocks, reading.clock) then
    return "clock"
  elseif quantity == nil or quantity.value == nil then
    return "null"
  elseif quantity.unit ~= rules.unit then
    return "unit"
  elseif quantity.value < 0 then
    return "backwards"
  elseif mark == nil then
    return nil
  elseif reading.time_ms < mark.time_ms then
    return "clock"
  elseif quantity.scale ~= mark.scale then
    return "unit"
  elseif reading.time_ms - mark.time_ms > rules.gap_max_ms then
    return "gap"
  elseif quantity.value < mark.value then
    return quantity.value < mark.value // 10 and "reset" or "backwards"
  end
  return nil
end

function metering.judge(rules, mark, reading)
  if reading.device ~= rules.device then
    error("the reading is of another device", 0)
  elseif metering.is_known(mark, reading) then
    return { kind = "ignore" }
  end
  local quantity = reading.quantities[rules.quantity]
  local reason = find_fault(rules, mark, reading, quantity)
  if reason then
    return { kind = "pause", reason = reason }
  end
  local judged = {
    sequence = reading.sequence,
    time_ms = reading.time_ms,
    value = quantity.value,
    scale = quantity.scale,
  }
  if mark == nil then
    return { kind = "baseline", mark = judged }
  end
  return { kind = "delta", mark = judged, delta = quantity.value - mark.value }
end

-- Adds counts and refuses to wrap around.
function metering.add(total, delta)
  if delta > math.maxinteger - total then
    error("the sum does not fit in 64 bits", 0)
  end
  return total + delta
end

local known_clocks = { unsynchronised = true, synchronised = true, simulated = true }

-- Refuses rules that could never accept a reading.
function metering.check_rules(rules)
  if #rules.device ~= 32 then
    error("device: expected 32 bytes", 0)
  elseif rules.gap_max_ms < 1 then
    error("gap_max_ms: expected at least 1", 0)
  elseif #rules.clocks == 0 then
    error("clocks: expected at least one accepted clock status", 0)
  end
  for _, clock in ipairs(rules.clocks) do
    if not known_clocks[clock] then
      error("clocks: unknown status " .. clock, 0)
    end
  end
end

return metering
