-- Tariffs with zones of the day: pure functions.
--
-- tariff = { name, fixed, utc_offset_minutes, zones = { { name, from_minute, to_minute, price } } }
-- Zones of one name have one price: they share a line on a bill.

local ZONES_MAX = 24
local NAME_BYTES_MAX = 64
local DAY_MINUTES = 1440
local OFFSET_MINUTES_MAX = 14 * 60

local tariffs = {}

local function refuse(message)
  error(message, 0)
end

local function check_zone(zone, from_minute, prices)
  if #zone.name == 0 or #zone.name > NAME_BYTES_MAX then
    refuse("tariff: a zone's name has 1 to 64 bytes")
  elseif zone.from_minute ~= from_minute or zone.to_minute <= from_minute then
    refuse("tariff: zones must follow each other without gap or overlap")
  elseif prices[zone.name] ~= nil and prices[zone.name] ~= zone.price then
    refuse("tariff: zone " .. zone.name .. " has two prices")
  end
end

-- Refuses a tariff whose zones do not cover the day from minute 0 to 1440 exactly.
function tariffs.check(tariff)
  local prices, minute, offset = {}, 0, tariff.utc_offset_minutes
  if #tariff.zones > ZONES_MAX then
    refuse("tariff: at most 24 zones")
  elseif offset < -OFFSET_MINUTES_MAX or offset > OFFSET_MINUTES_MAX then
    refuse("tariff: utc_offset_minutes is -840..840")
  end
  for _, zone in ipairs(tariff.zones) do
    check_zone(zone, minute, prices)
    prices[zone.name] = zone.price
    minute = zone.to_minute
  end
  if minute ~= DAY_MINUTES then
    refuse("tariff: zones must cover the day from minute 0 to 1440")
  end
end

-- Returns the name of the zone at a time, by the tariff's own clock.
function tariffs.find_zone(tariff, time_ms)
  local minute = (time_ms // 60000 + tariff.utc_offset_minutes) % DAY_MINUTES
  for _, zone in ipairs(tariff.zones) do
    if minute < zone.to_minute then
      return zone.name
    end
  end
end

return tariffs
