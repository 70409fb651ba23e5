-- Marks a job as done, and gives its lock back. Answers with whether the claim was the owner's.
--
-- KEYS: the claim; its lock, if it has one.
-- ARGV: owner, counter, lock's counter, done, history (milliseconds), and the result, if there is one.
local owner, counter, lockcounter, done, history = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local result = ARGV[6]

local claim = redis.call('HMGET', KEYS[1], 'state', 'owner', 'counter')
if claim[2] ~= owner or claim[3] ~= counter then
  return 0
end
if claim[1] == 'done' then
  return 1
end
if claim[1] ~= 'running' then
  return 0
end
if KEYS[2] then
  local lock = redis.call('HMGET', KEYS[2], 'owner', 'counter')
  if lock[1] ~= owner or lock[2] ~= lockcounter then
    return 0
  end
  -- The counter stays, so that whoever is next has a larger one.
  redis.call('HDEL', KEYS[2], 'owner', 'until')
  redis.call('PEXPIRE', KEYS[2], history)
end

redis.call('HSET', KEYS[1], 'state', 'done')
redis.call('HDEL', KEYS[1], 'checkpoint')
if result then
  redis.call('HSET', KEYS[1], 'result', result)
end
redis.call('PEXPIRE', KEYS[1], done)
return 1
