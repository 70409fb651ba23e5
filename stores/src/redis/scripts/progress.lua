-- Keeps how far a job is.
--
-- KEYS: the progress; the keys of the job id.
-- ARGV: key, the most keys of a job id, history (milliseconds), the progress.
local key, most, history, progress = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
redis.call('SET', KEYS[1], progress, 'PX', history)
add_key(KEYS[2], key, server_time(), history, most)
return 1
