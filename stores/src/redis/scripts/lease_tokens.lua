-- Leases tokens of a rate. Answers with their number, and the microseconds until as many as were asked for are there, or half of what
-- the bucket holds.
--
-- KEYS: the bucket, a number: when it is full, in microseconds. ARGV: so many tokens come in so many microseconds, the most that are
--       there at once, the most to lease, the microseconds that a bucket may be ahead.
local count, per, burst = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, ahead = tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

local function time_of(tokens)
  return math.ceil(tokens * per / count)
end

local empty_at = now + time_of(burst)
local full_at = tonumber(redis.call('GET', KEYS[1]) or 0)
full_at = math.min(math.max(full_at, now), empty_at + ahead)
local tokens = math.min(math.floor(math.max(empty_at - full_at, 0) * count / per), most)
if tokens > 0 then
  full_at = full_at + time_of(tokens)
  redis.call('SET', KEYS[1], string.format('%.0f', full_at), 'PX', math.ceil((full_at - now) / 1000) + 1000)
end
local block = math.min(most, math.ceil(burst / 2))
return {tokens, math.max(full_at + time_of(block) - empty_at, 0)}
