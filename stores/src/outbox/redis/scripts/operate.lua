-- Has parked jobs be tried again, or removes jobs that wait or are parked. Answers with how many. ARGV: 'retry' or 'remove', the ids.
local count = 0

local function retry(id, row)
  if row.state ~= 'parked' then return false end
  row.state, row.reason, row.back, row.due, row.failures = 'waiting', nil, nil, now, 0
  save(id, row)
  redis.call('ZREM', parked, id)
  redis.call('ZADD', waiting, row.number, id)
  redis.call('ZADD', times, row.due, id)
  await(id, row)
  return true
end

local function remove(id, row)
  if row.state == 'sent' then return false end
  withdraw(id, row)
  let_go(id, row)
  forget(id, row)
  if row.group then schedule(row.group) end
  return true
end

local change = ARGV[1] == 'retry' and retry or remove
for index = 2, #ARGV do
  local row = load(ARGV[index])
  if row and change(ARGV[index], row) then count = count + 1 end
end
return count
