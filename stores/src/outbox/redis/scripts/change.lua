-- Changes a named state if its text is the one that the caller has read, and adds jobs with it. Answers with whether it has the new text.
--
-- ARGV: name, the text that was read, the text that it gets (each '=' and the text, or '' for none), the jobs.
local name, before, after = ARGV[1], ARGV[2], ARGV[3]
local current = redis.call('HGET', states, name)
current = current and '=' .. current or ''
if current ~= before then return current == after and 1 or 0 end
if after ~= '' then
  redis.call('HSET', states, name, string.sub(after, 2))
else
  redis.call('HDEL', states, name)
end
for at = 4, #ARGV, 5 do add(read_job(at)) end
return 1
