-- Adds a failed attempt to a job's history.
--
-- KEYS: the history; the keys of the job id.
-- ARGV: key, the most keys of a job id, history (milliseconds), the attempt, how many are kept.
local key, most, history, attempt, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
redis.call('RPUSH', KEYS[1], attempt)
redis.call('LTRIM', KEYS[1], -kept, -1)
redis.call('PEXPIRE', KEYS[1], history)
add_key(KEYS[2], key, server_time(), history, most)
return 1
