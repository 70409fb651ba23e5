-- Has a claim, and its lock, last longer. Answers with whether it is still the owner's.
--
-- KEYS: the claim; the keys of its job id; its lock, if it has one.
-- ARGV: owner, counter, lock's counter, key, the most keys of a job id, length, history (milliseconds).
local owner, counter, lockcounter, key, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local length, history = tonumber(ARGV[6]), tonumber(ARGV[7])

local claim = redis.call('HMGET', KEYS[1], 'state', 'owner', 'counter')
if claim[1] ~= 'running' or claim[2] ~= owner or claim[3] ~= counter then
  return 0
end
local now = server_time()
if KEYS[3] then
  local lock = redis.call('HMGET', KEYS[3], 'owner', 'counter')
  if lock[1] ~= owner or lock[2] ~= lockcounter then
    return 0
  end
  redis.call('HSET', KEYS[3], 'until', now + length)
  redis.call('PEXPIRE', KEYS[3], length + history)
end
redis.call('HSET', KEYS[1], 'until', now + length)
redis.call('PEXPIRE', KEYS[1], length + history)
add_key(KEYS[2], key, now, length + history, most)
return 1
