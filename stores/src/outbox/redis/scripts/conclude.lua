-- Records what became of taken jobs. Answers with the number of those that were not the relay's any more.
--
-- ARGV: for how long jobs are kept that were sent (milliseconds); of each job: its id, its relay, its fencing token, 'sent', 'parked',
--       'later' or 'failed', the id of the message or the time until it is due, and the reason.
local keep = ARGV[1]
local refused = 0

remove_old()

local function is_ours(row, relay, token)
  if not row or row.token ~= token or row.relay ~= relay then return false end
  if not row.group then return true end
  -- Another relay may have taken others of the group.
  local hand = hand_of(row.group)
  return hand and hand.token == token
end

local function finish(id, row, message)
  withdraw(id, row)
  local held = row.key and redis.call('HGET', unique, row.key)
  held = held and cjson.decode(held)
  local ends = math.max(later(keep), held and held.id == id and held.ends or 0)
  if ends <= now then return forget(id, row) end
  row.state, row.sent, row.message, row.reason = 'sent', now, message, nil
  save(id, row)
  redis.call('ZREM', times, id)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', sent, row.number, id)
  redis.call('ZADD', removals, ends, id)
end

local function park(id, row, reason)
  withdraw(id, row)
  row.state, row.reason = 'parked', reason
  save(id, row)
  redis.call('ZREM', times, id)
  redis.call('ZREM', waiting, id)
  redis.call('ZADD', parked, row.number, id)
end

local function put_back(id, row, after, is_failure, reason)
  row.back = later(after)
  if reason ~= '' then row.reason = reason end
  if is_failure then row.failures = row.failures + 1 end
  save(id, row)
  if not row.group then redis.call('ZADD', ready, math.max(row.due, row.back), 'j' .. id) end
end

for at = 2, #ARGV, 6 do
  local id, relay, token, word = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local value, reason = ARGV[at + 4], ARGV[at + 5]
  local row = load(id)
  if is_ours(row, relay, token) then
    let_go(id, row)
    if word == 'sent' then
      finish(id, row, value)
    elseif word == 'parked' then
      park(id, row, reason)
    else
      put_back(id, row, value, word == 'failed', reason)
    end
    if row.group then schedule(row.group) end
  else
    refused = refused + 1
  end
end
return refused
