-- Answers with the id, the number, the job and the row of the named jobs, as far as they are known. ARGV: the ids.
local answer = {}
for _, id in ipairs(ARGV) do
  local row = known(id)
  if row then answer[#answer + 1] = { id, row.number, text_of(id), redis.call('HGET', rows, id) } end
end
return answer
