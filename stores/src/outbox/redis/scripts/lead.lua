-- Gives a named lease to an owner, or renews it. Answers with its fencing token, or with nothing while another one has it.
--
-- ARGV: name, owner, length (milliseconds).
local name, owner = ARGV[1], ARGV[2]
local lease = redis.call('HGET', leases, name)
lease = lease and cjson.decode(lease)
local is_led = lease and lease.ends > now
if is_led and lease.owner ~= owner then return false end
local token = is_led and lease.token or next_token()
redis.call('HSET', leases, name, cjson.encode({ owner = owner, token = token, ends = later(ARGV[3]) }))
return token
