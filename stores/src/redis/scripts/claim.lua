-- Asks for a claim, and for the lock with it.
--
-- KEYS: the claim; the keys of its job id; its lock, if it wants one; the claim of version 0.1, if that may count. In this
--       order, without gaps.
-- ARGV: owner, payload hash, length, history, longest keep (milliseconds), key, job id, scope, type, source, queue, message
--       id, nonce, the most keys of a job id, whether there is a lock, whether there is a claim of version 0.1.
-- Answers with eight values: a word, what that word needs, the run of a job that is done, how many claims of this message in
-- a row were taken over without an ending, and the owner of the one that was now.
local owner, payload, length, history, keep = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local key, job, scope, type, source, queue, message = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11], ARGV[12]
local nonce, most = ARGV[13], tonumber(ARGV[14])
local lock = ARGV[15] == '1' and KEYS[3] or nil
local old = ARGV[16] == '1' and KEYS[#KEYS] or nil
local now = server_time()

local function read(name)
  local fields = { 'state', 'payload', 'until', 'message', 'attempts', 'counter', 'verdict', 'result', 'checkpoint', 'nonce',
    'lockcounter', 'job', 'type', 'queue', 'owner', 'finished', 'unended' }
  local values = redis.call('HMGET', name, unpack(fields))
  local record = {}
  for index, field in ipairs(fields) do record[field] = values[index] end
  return record
end

local function is_claimed(found)
  return found.state == 'running' and tonumber(found['until']) > now
end

local record = read(KEYS[1])
local is_old, old_counter = false, 0
if old and record.state ~= 'done' and not is_claimed(record) then
  local found = read(old)
  -- A record that a producer may have chosen in another place does not count; nor does one that may be of another source,
  -- which version 0.1 did not keep.
  local is_same_source = source == '' or found.message == message
  if found.state and is_same_source and found.queue == queue and found.type == type and found.payload == payload then
    old_counter = tonumber(found.counter)
    -- A worker of version 0.1 that runs beside this one may have taken over the job of a newer record: what it has done,
    -- runs or has failed is known from here only.
    if not record.state or found.state == 'done' or is_claimed(found) or (found.verdict and found.message == message) then
      record, is_old = found, true
    end
  end
end

local claimed = is_claimed(record)
if (claimed or record.state == 'done') and record.payload ~= payload then
  return { 'mismatch', 0, 0, false, 0, {}, 0, '' }
end
if record.state == 'done' then
  if record.job ~= job and not is_old then
    add_key(KEYS[2], key, now, length + keep, most)
  end
  local run = { record.job or '', record.message, record.queue, record.owner, record.finished or '' }
  return { 'done', 0, 0, record.result, 0, run, 0, '' }
end
if record.verdict and record.message == message then
  return { 'condemned', 0, 0, record.verdict, 0, {}, 0, '' }
end
if claimed then
  if record.nonce == nonce then
    -- The answer to this very call was lost, and it is asked again.
    return { 'granted', tonumber(record.counter), tonumber(record.attempts), record.checkpoint,
      tonumber(record.lockcounter or 0), {}, tonumber(record.unended or 0), '' }
  end
  return { 'held', tonumber(record['until']) - now, 0, false, 0, {}, 0, '' }
end

local lockcounter = 0
if lock then
  local values = redis.call('HMGET', lock, 'until', 'counter')
  local left = tonumber(values[1] or 0) - now
  if left > 0 then
    return { 'locked', left, 0, false, 0, {}, 0, '' }
  end
  lockcounter = tonumber(values[2] or 0) + 1
  redis.call('HSET', lock, 'owner', owner, 'until', now + length, 'counter', lockcounter, 'key', key)
  redis.call('PEXPIRE', lock, length + history)
end

local counter = math.max(tonumber(record.counter or 0), old_counter) + 1
local attempts = record.message == message and tonumber(record.attempts) + 1 or 1
local checkpoint = record.payload == payload and record.checkpoint
-- A run that is over has surrendered its claim or finished it, however it ended: this one's worker has most likely died.
local former = record.state == 'running' and record.owner or ''
local unended = record.state == 'running' and record.message == message and tonumber(record.unended or 0) + 1 or 0
redis.call('HDEL', KEYS[1], 'verdict', 'result', 'finished')
if not checkpoint then
  redis.call('HDEL', KEYS[1], 'checkpoint')
elseif is_old then
  redis.call('HSET', KEYS[1], 'checkpoint', checkpoint)
end
redis.call('HSET', KEYS[1], 'state', 'running', 'key', key, 'payload', payload, 'owner', owner, 'counter', counter,
  'until', now + length, 'job', job, 'scope', scope, 'type', type, 'source', source, 'queue', queue, 'message', message,
  'attempts', attempts, 'nonce', nonce, 'lockcounter', lockcounter, 'unended', unended)
redis.call('PEXPIRE', KEYS[1], length + history)
add_key(KEYS[2], key, now, length + keep, most)
return { 'granted', counter, attempts, checkpoint, lockcounter, {}, unended, former }
