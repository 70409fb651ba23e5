-- Changes a document if its text is the one that the caller has read, or already the one that it is to get. Answers with whether
-- the document has that text now.
--
-- KEYS: the documents of the kind. ARGV: name, the text that is to be there, 1 if any is, the new text, keep (milliseconds), the most
--       documents of a kind.
local name, before, after = ARGV[1], ARGV[3] == '1' and ARGV[2], ARGV[4]
local keep, most = tonumber(ARGV[5]), tonumber(ARGV[6])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- When it changed and when it expires, in microseconds, and the text.
local function read(value)
  local changed, expires, at = string.match(value, '^(%d+) (%d+) ()')
  return tonumber(changed), tonumber(expires), string.sub(value, at)
end

local known = redis.call('HGET', KEYS[1], name)
local current = false
if known then
  local _, expires, text = read(known)
  current = expires > now and text
end
if current ~= before and current ~= after then
  return 0
end
redis.call('HSET', KEYS[1], name, string.format('%.0f %.0f %s', now, now + keep * 1000, after))
if redis.call('PTTL', KEYS[1]) < keep then
  redis.call('PEXPIRE', KEYS[1], keep)
end

if redis.call('HLEN', KEYS[1]) > most then
  local all = redis.call('HGETALL', KEYS[1])
  local oldest, oldest_changed
  for index = 1, #all, 2 do
    local changed, expires = read(all[index + 1])
    if expires <= now then
      redis.call('HDEL', KEYS[1], all[index])
    elseif not oldest or changed < oldest_changed then
      oldest, oldest_changed = all[index], changed
    end
  end
  if redis.call('HLEN', KEYS[1]) > most then
    redis.call('HDEL', KEYS[1], oldest)
  end
end
return 1
