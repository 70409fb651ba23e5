-- Answers with the id, the number, the job and the row of some jobs, in the order of adding. ARGV: 'waiting', 'parked', 'sent' or 'all',
-- the number after which it begins, the most jobs, the bytes after which it ends.
local after, most, most_bytes = '(' .. ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local sets = { waiting = { waiting }, parked = { parked }, sent = { sent }, all = { waiting, parked, sent } }

remove_old()

local found = {}
for _, set in ipairs(sets[ARGV[1]]) do
  local names = redis.call('ZRANGEBYSCORE', set, after, '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  for index = 1, #names, 2 do found[#found + 1] = { id = names[index], number = tonumber(names[index + 1]) } end
end
table.sort(found, function(one, other) return one.number < other.number end)
local answer, bytes = {}, 0
for index = 1, math.min(most, #found) do
  local id = found[index].id
  local text = text_of(id)
  answer[index] = { id, found[index].number, text, redis.call('HGET', rows, id) }
  bytes = bytes + #text
  if bytes >= most_bytes then break end
end
return answer
