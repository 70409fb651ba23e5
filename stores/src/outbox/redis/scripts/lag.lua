-- Answers with the number of jobs that are due, the time since the first of them was (milliseconds), and the numbers of those that are due
-- later and that are parked.
local due = redis.call('ZCOUNT', times, '-inf', now)
local oldest = due > 0 and now - tonumber(redis.call('ZRANGE', times, 0, 0, 'WITHSCORES')[2]) or 0
return { due, oldest, redis.call('ZCARD', times) - due, redis.call('ZCARD', parked) }
