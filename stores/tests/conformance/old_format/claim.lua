-- Asks for a claim, and for the lock with it.
--
-- KEYS: the claim; its lock, if it wants one; the alias of its job, if that has one. In this order, without gaps.
-- ARGV: owner, payload hash, length, history, longest keep (milliseconds), key, job id, type, queue, message id, nonce,
--       whether there is a lock, whether there is an alias.
-- Answers with five values: a word, and what that word needs.
local owner, payload, length, history, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key, job, type, queue, message, nonce = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
local lock = ARGV[12] == '1' and KEYS[2] or nil
local alias = ARGV[13] == '1' and KEYS[#KEYS] or nil

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local fields = { 'state', 'payload', 'until', 'message', 'attempts', 'counter', 'verdict', 'result', 'checkpoint', 'nonce',
  'lockcounter' }
local values = redis.call('HMGET', KEYS[1], unpack(fields))
local record = {}
for index, field in ipairs(fields) do record[field] = values[index] end

local claimed = record.state == 'running' and tonumber(record['until']) > now
if (claimed or record.state == 'done') and record.payload ~= payload then
  return { 'mismatch', 0, 0, false, 0 }
end
if record.state == 'done' then
  return { 'done', 0, 0, record.result, 0 }
end
if record.verdict and record.message == message then
  return { 'condemned', 0, 0, record.verdict, 0 }
end
if claimed then
  if record.nonce == nonce then
    -- The answer to this very call was lost, and it is asked again.
    return { 'granted', tonumber(record.counter), tonumber(record.attempts), record.checkpoint,
      tonumber(record.lockcounter or 0) }
  end
  return { 'held', tonumber(record['until']) - now, 0, false, 0 }
end

local lockcounter = 0
if lock then
  local values = redis.call('HMGET', lock, 'until', 'counter')
  local left = tonumber(values[1] or 0) - now
  if left > 0 then
    return { 'locked', left, 0, false, 0 }
  end
  lockcounter = tonumber(values[2] or 0) + 1
  redis.call('HSET', lock, 'owner', owner, 'until', now + length, 'counter', lockcounter, 'key', key)
  redis.call('PEXPIRE', lock, length + history)
end

local counter = tonumber(record.counter or 0) + 1
local attempts = record.message == message and tonumber(record.attempts) + 1 or 1
local checkpoint = record.payload == payload and record.checkpoint
redis.call('HDEL', KEYS[1], 'verdict', 'result')
if not checkpoint then
  redis.call('HDEL', KEYS[1], 'checkpoint')
end
redis.call('HSET', KEYS[1], 'state', 'running', 'key', key, 'payload', payload, 'owner', owner, 'counter', counter,
  'until', now + length, 'job', job, 'type', type, 'queue', queue, 'message', message, 'attempts', attempts,
  'nonce', nonce, 'lockcounter', lockcounter)
redis.call('PEXPIRE', KEYS[1], length + history)
if alias then
  redis.call('SET', alias, key, 'PX', length + keep)
end
return { 'granted', counter, attempts, checkpoint, lockcounter }
