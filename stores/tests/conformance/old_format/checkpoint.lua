-- Keeps a value for the next attempt. Answers with whether the claim is the owner's.
--
-- KEYS: the claim. ARGV: owner, counter, value.
local claim = redis.call('HMGET', KEYS[1], 'state', 'owner', 'counter')
if claim[1] ~= 'running' or claim[2] ~= ARGV[1] or claim[3] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'checkpoint', ARGV[3])
return 1
