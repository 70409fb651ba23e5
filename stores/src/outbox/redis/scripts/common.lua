-- What all scripts of the outbox have: its keys, the time, and the ways of a job through it.
local jobs, rows, ready, queues, groups, times, waiting, parked, sent, removals, taken, unique, states, leases, counters = unpack(KEYS)

-- Later times are not exact in JSON.
local LATEST = 99999999999999
-- So many old rows are removed along with other work.
local MOST_REMOVED = 500

local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local now = server_time()

local function later(after)
  return math.min(now + tonumber(after), LATEST)
end

-- Returns a fencing token that is larger than all before it: also after a failover to a server that has missed some of them.
local function next_token()
  local last = tonumber(redis.call('HGET', counters, 'token') or 0)
  local token = math.max(last + 1, now)
  redis.call('HSET', counters, 'token', string.format('%.0f', token))
  return token
end

local function load(id)
  local text = redis.call('HGET', rows, id)
  return text and cjson.decode(text)
end

local function save(id, row)
  redis.call('HSET', rows, id, cjson.encode(row))
end

-- Returns a job as it is kept, or '' if its text is missing: such a job counts as unreadable.
local function text_of(id)
  return redis.call('HGET', jobs, id) or ''
end

-- Returns names that belong to another one, and nothing that belongs to a third: its length comes first.
local function prefix(name)
  return #name .. ':' .. name .. ':'
end

local function of(set, name, most)
  local start = prefix(name)
  return redis.call('ZRANGEBYLEX', set, '[' .. start, '(' .. start .. '\255', 'LIMIT', 0, most), #start
end

-- A job's place in the queue of its group: by the order of adding.
local function place(id, row)
  return prefix(row.group) .. string.format('%014.0f', row.number) .. id
end

-- Returns the ids of the first jobs of a group's queue.
local function first(group, most)
  local places, length = of(queues, group, most)
  for index, name in ipairs(places) do places[index] = string.sub(name, length + 15) end
  return places
end

local function hand_of(group)
  local text = redis.call('HGET', groups, group)
  return text and cjson.decode(text)
end

-- Has a group come up when its first job may be taken. While a relay has jobs of it, it comes up when the lease ends.
local function schedule(group)
  if redis.call('HEXISTS', groups, group) == 1 then return end
  local id = first(group, 1)[1]
  if id then
    local row = load(id)
    redis.call('ZADD', ready, math.max(row.due, row.back or 0), 'g' .. group)
  else
    redis.call('ZREM', ready, 'g' .. group)
  end
end

-- Has a job come up when it is due. One of a group takes its place in the queue of the group then.
local function await(id, row)
  local due = math.max(row.due, row.back or 0)
  if row.group and row.due <= now then
    redis.call('ZADD', queues, 0, place(id, row))
    schedule(row.group)
  else
    redis.call('ZADD', ready, due, 'j' .. id)
  end
end

-- Takes a job out of all that comes up. Its group is scheduled by the caller, once the job is changed.
local function withdraw(id, row)
  redis.call('ZREM', ready, 'j' .. id)
  if row.group then redis.call('ZREM', queues, place(id, row)) end
end

-- Takes a job out of the hands of its relay.
local function let_go(id, row)
  if not row.token then return end
  redis.call('ZREM', taken, prefix(row.relay) .. id)
  local hand = row.group and hand_of(row.group)
  if hand and hand.token == row.token then
    hand.count = hand.count - 1
    if hand.count > 0 then
      redis.call('HSET', groups, row.group, cjson.encode(hand))
    else
      redis.call('HDEL', groups, row.group)
    end
  end
  row.relay, row.token, row.ends = nil, nil, nil
end

-- Forgets a job that comes up no more, and frees its key, unless that is another job's by now.
local function forget(id, row)
  redis.call('HDEL', rows, id)
  redis.call('HDEL', jobs, id)
  if row.state == 'waiting' then
    redis.call('ZREM', times, id)
    redis.call('ZREM', waiting, id)
  elseif row.state == 'parked' then
    redis.call('ZREM', parked, id)
  else
    redis.call('ZREM', sent, id)
    redis.call('ZREM', removals, id)
  end
  if row.key then
    local held = redis.call('HGET', unique, row.key)
    if held and cjson.decode(held).id == id then redis.call('HDEL', unique, row.key) end
  end
end

-- Removes jobs that were sent and kept for their time. The first write, also if it removes nothing, is one that a full server allows:
-- what follows is then allowed too, so that a full outbox is emptied.
local function remove_old()
  redis.call('ZREM', removals, '')
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', removals, '-inf', now, 'LIMIT', 0, MOST_REMOVED)) do
    forget(id, load(id))
  end
end

-- Returns the row of a job that is known.
local function known(id)
  local row = load(id)
  if row and row.state == 'sent' and tonumber(redis.call('ZSCORE', removals, id)) <= now then
    forget(id, row)
    return nil
  end
  return row or nil
end

local function due_of(kind, time)
  if kind == 'at' then return math.max(tonumber(time), now) end
  return later(time)
end

-- Five arguments of each job: its id, itself, '=' and its group, or '', the kind of its due time, and that.
local function read_job(at)
  local group = ARGV[at + 2]
  return { id = ARGV[at], text = ARGV[at + 1], group = group ~= '' and string.sub(group, 2) or nil,
    due = due_of(ARGV[at + 3], ARGV[at + 4]) }
end

-- Adds a job, unless its id is known.
local function add(job, key)
  if known(job.id) then return end
  -- A write that a full server refuses: nothing is done then.
  local number = redis.call('HINCRBY', counters, 'number', 1)
  local row = { state = 'waiting', number = number, added = now, due = job.due, group = job.group, failures = 0, key = key }
  redis.call('HSET', jobs, job.id, job.text)
  save(job.id, row)
  redis.call('ZADD', times, row.due, job.id)
  redis.call('ZADD', waiting, number, job.id)
  if job.group and row.due <= now and redis.call('ZSCORE', ready, 'g' .. job.group) then
    -- It is the last of its group, whose turn does not change.
    redis.call('ZADD', queues, 0, place(job.id, row))
  else
    await(job.id, row)
  end
end
