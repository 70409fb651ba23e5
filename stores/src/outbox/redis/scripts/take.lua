-- Takes jobs that are due. Answers with the fencing token, and with the id, the job, the failures and the time of adding of each.
--
-- ARGV: the relay, the most jobs, the length of the lease (milliseconds), the bytes after which it ends, the most jobs of a group.
local relay, most, most_bytes, most_of_group = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
-- Not now: what is taken does not come up again in this call.
local ends = math.max(later(ARGV[3]), now + 1)
local found, bytes, token = {}, 0, 0

remove_old()

local function is_full()
  return #found >= most or bytes >= most_bytes
end

local function give(id, row)
  if token == 0 then token = next_token() end
  let_go(id, row)
  row.relay, row.token, row.ends, row.was_taken = relay, token, ends, true
  save(id, row)
  redis.call('ZADD', taken, 0, prefix(relay) .. id)
  local text = text_of(id)
  bytes = bytes + #text
  found[#found + 1] = { id, text, row.failures, row.added }
end

local function give_group(group)
  -- It came up, so no relay has jobs of it any more: the lease of one that had has ended.
  redis.call('HDEL', groups, group)
  local count = 0
  for _, id in ipairs(first(group, math.min(most - #found, most_of_group))) do
    local row = load(id)
    -- One that was put back holds up those behind it.
    if (row.back or 0) > now or is_full() then break end
    give(id, row)
    count = count + 1
  end
  if count == 0 then return schedule(group) end
  redis.call('HSET', groups, group, cjson.encode({ token = token, count = count }))
  redis.call('ZADD', ready, ends, 'g' .. group)
end

-- Those of a group whose time has come are looked at twice: there is a bound for them as well.
for _ = 1, most + 1000 do
  if is_full() then break end
  local name = redis.call('ZRANGEBYSCORE', ready, '-inf', now, 'LIMIT', 0, 1)[1]
  if not name then break end
  local kind, id = string.sub(name, 1, 1), string.sub(name, 2)
  if kind == 'g' then
    give_group(id)
  else
    local row = load(id)
    if row.group then
      redis.call('ZREM', ready, name)
      await(id, row)
    else
      give(id, row)
      redis.call('ZADD', ready, ends, name)
    end
  end
end
return { token, found }
