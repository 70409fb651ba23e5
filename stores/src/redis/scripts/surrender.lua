-- Gives a claim up, and its lock. Answers with whether the claim was the owner's.
--
-- KEYS: the claim; the keys of its job id; its lock, if it has one.
-- ARGV: owner, counter, lock's counter, key, the most keys of a job id, history (milliseconds), how many attempts are not
--       counted, 1 after the message's last attempt, and the verdict, if there is one.
local owner, counter, lockcounter, key, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local history, spared, verdict = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[9]
local state = ARGV[8] == '1' and 'dead' or 'waiting'

local claim = redis.call('HMGET', KEYS[1], 'state', 'owner', 'counter', 'attempts')
if claim[2] ~= owner or claim[3] ~= counter then
  return 0
end
if claim[1] == 'waiting' or claim[1] == 'dead' then
  return 1
end
if claim[1] ~= 'running' then
  return 0
end

local now = server_time()
redis.call('HSET', KEYS[1], 'state', state, 'until', now, 'attempts', tonumber(claim[4]) - spared)
if verdict then
  redis.call('HSET', KEYS[1], 'verdict', verdict)
end
redis.call('PEXPIRE', KEYS[1], history)
add_key(KEYS[2], key, now, history, most)

if KEYS[3] then
  local lock = redis.call('HMGET', KEYS[3], 'owner', 'counter')
  if lock[1] == owner and lock[2] == lockcounter then
    -- The counter stays, so that the next owner has a larger one.
    redis.call('HDEL', KEYS[3], 'owner', 'until')
    redis.call('PEXPIRE', KEYS[3], history)
  end
end
return 1
