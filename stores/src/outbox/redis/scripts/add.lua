-- Adds jobs, unless their ids are known. ARGV: the jobs.
for at = 1, #ARGV, 5 do add(read_job(at)) end
