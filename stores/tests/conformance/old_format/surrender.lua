-- Gives a claim up, and its lock. Answers with whether the claim was the owner's.
--
-- KEYS: the claim; its lock, if it has one.
-- ARGV: owner, counter, lock's counter, history (milliseconds), how many attempts are not counted, and the verdict, if
--       there is one.
local owner, counter, lockcounter, history, spared = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local verdict = ARGV[6]

local claim = redis.call('HMGET', KEYS[1], 'state', 'owner', 'counter', 'attempts')
if claim[2] ~= owner or claim[3] ~= counter then
  return 0
end
if claim[1] == 'waiting' then
  return 1
end
if claim[1] ~= 'running' then
  return 0
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('HSET', KEYS[1], 'state', 'waiting', 'until', now, 'attempts', tonumber(claim[4]) - spared)
if verdict then
  redis.call('HSET', KEYS[1], 'verdict', verdict)
end
redis.call('PEXPIRE', KEYS[1], history)

if KEYS[2] then
  local lock = redis.call('HMGET', KEYS[2], 'owner', 'counter')
  if lock[1] == owner and lock[2] == lockcounter then
    -- The counter stays, so that whoever is next has a larger one.
    redis.call('HDEL', KEYS[2], 'owner', 'until')
    redis.call('PEXPIRE', KEYS[2], history)
  end
end
return 1
