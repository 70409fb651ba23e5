-- Adds a job unless another one holds its key. Answers with a word and the id of the other job.
--
-- ARGV: the job, the key, its window, 'keep', 'replace' or 'debounce', the longest wait (milliseconds), and the job that the key is taken
--       from, or ''.
local job = read_job(1)
local key, window, mode, at_most, from = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]

local held = redis.call('HGET', unique, key)
held = held and cjson.decode(held)
if held and held.ends > now then
  if held.id == job.id then return { 'new', '' } end
  local row = held.id ~= from and known(held.id)
  if row then
    if row.state == 'sent' then return { 'sent', held.id } end
    -- One that a relay has had may have been sent: under its id, another payload would count as a duplicate. Relays of earlier versions
    -- leave a token or a time instead of the flag.
    local was_taken = row.was_taken or row.token or row.back
    if mode == 'keep' or row.state ~= 'waiting' or was_taken then return { 'waiting', held.id } end
    local group = row.group
    -- A write that a full server refuses: nothing is done then.
    redis.call('HSET', jobs, held.id, job.text)
    withdraw(held.id, row)
    row.due = mode == 'debounce' and math.min(job.due, row.added + tonumber(at_most)) or job.due
    row.group = job.group
    save(held.id, row)
    redis.call('ZADD', times, row.due, held.id)
    await(held.id, row)
    if group then schedule(group) end
    return { 'replaced', held.id }
  end
end

-- The call is made again, and the job has lost its key meanwhile.
local row = known(job.id)
if row then return { row.state == 'sent' and 'sent' or 'waiting', job.id } end
add(job, key)
redis.call('HSET', unique, key, cjson.encode({ id = job.id, ends = later(window) }))
return { 'new', '' }
