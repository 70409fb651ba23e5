-- Answers with the id, the job and the row of the named jobs, as far as they are known. ARGV: the ids.
local answer = {}
for _, id in ipairs(ARGV) do
  if known(id) then answer[#answer + 1] = { id, redis.call('HGET', jobs, id), redis.call('HGET', rows, id) } end
end
return answer
