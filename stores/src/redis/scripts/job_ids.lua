-- Adds a job's key to those that its job id is looked up by: the newest are kept, for as long as any record of theirs. Part
-- of every script that writes what people look up.
local function add_key(job_ids, key, now, keep, most)
  redis.call('ZADD', job_ids, now, key)
  redis.call('ZREMRANGEBYRANK', job_ids, 0, -most - 1)
  if redis.call('PTTL', job_ids) < keep then
    redis.call('PEXPIRE', job_ids, keep)
  end
end

-- In milliseconds.
local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

