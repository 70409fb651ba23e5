-- Gives back jobs that a relay has. Answers with how many: there may be more if that is the most. ARGV: the relay, the most jobs.
local places, length = of(taken, ARGV[1], tonumber(ARGV[2]))
for _, name in ipairs(places) do
  local id = string.sub(name, length + 1)
  local row = load(id)
  let_go(id, row)
  save(id, row)
  if row.group then
    schedule(row.group)
  else
    redis.call('ZADD', ready, math.max(row.due, row.back or 0), 'j' .. id)
  end
end
return #places
