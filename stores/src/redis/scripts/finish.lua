-- Marks a job as done, and gives its lock back. Answers with whether the claim was the owner's.
--
-- KEYS: the claim; the keys of its job id; its lock, if it has one.
-- ARGV: owner, counter, lock's counter, key, the most keys of a job id, done, history (milliseconds), and the result, if
--       there is one.
local owner, counter, lockcounter, key, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local done, history, result = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8]

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
if KEYS[3] then
  local lock = redis.call('HMGET', KEYS[3], 'owner', 'counter')
  if lock[1] ~= owner or lock[2] ~= lockcounter then
    return 0
  end
  -- The counter stays, so that the next owner has a larger one.
  redis.call('HDEL', KEYS[3], 'owner', 'until')
  redis.call('PEXPIRE', KEYS[3], history)
end

local now = server_time()
redis.call('HSET', KEYS[1], 'state', 'done', 'finished', now)
redis.call('HDEL', KEYS[1], 'checkpoint')
if result then
  redis.call('HSET', KEYS[1], 'result', result)
end
redis.call('PEXPIRE', KEYS[1], done)
add_key(KEYS[2], key, now, done, most)
return 1
