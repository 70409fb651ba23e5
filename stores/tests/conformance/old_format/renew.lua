-- Has a claim, and its lock, last longer. Answers with whether it is still the owner's.
--
-- KEYS: the claim; its lock, if it has one.
-- ARGV: owner, counter, lock's counter, length, history (milliseconds).
local owner, counter, lockcounter, length, history = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local claim = redis.call('HMGET', KEYS[1], 'state', 'owner', 'counter')
if claim[1] ~= 'running' or claim[2] ~= owner or claim[3] ~= counter then
  return 0
end
if KEYS[2] then
  local lock = redis.call('HMGET', KEYS[2], 'owner', 'counter')
  if lock[1] ~= owner or lock[2] ~= lockcounter then
    return 0
  end
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, key in ipairs(KEYS) do
  redis.call('HSET', key, 'until', now + length)
  redis.call('PEXPIRE', key, length + history)
end
return 1
