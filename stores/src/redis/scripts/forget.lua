-- Has a done job count as one that waits for its next attempt, under the same counter. Answers with a word.
--
-- KEYS: the claim. ARGV: history (milliseconds).
local claim = redis.call('HMGET', KEYS[1], 'state', 'until')
if not claim[1] then
  return 'absent'
end
local now = server_time()
if claim[1] == 'running' and tonumber(claim[2]) > now then
  return 'running'
end
if claim[1] ~= 'done' then
  return 'not done'
end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'until', now, 'attempts', 0)
redis.call('HDEL', KEYS[1], 'result', 'finished', 'verdict')
redis.call('PEXPIRE', KEYS[1], tonumber(ARGV[1]))
return 'done'
