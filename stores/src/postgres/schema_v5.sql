-- What was added to version 4: the tokens of rates that workers share. Kept apart from that version, so that a database that was set up
-- for it is brought up to date; jobs without such rates run without it. May be run again.

-- When each bucket is full, in microseconds since the epoch. Not logged: after a crash all buckets are full, and a lease waits for no
-- disk.
CREATE UNLOGGED TABLE IF NOT EXISTS drumline_tokens (
  bucket text COLLATE "C" PRIMARY KEY,
  full_at bigint NOT NULL
) WITH (fillfactor = 50);

-- Leases tokens. So many come in so many microseconds, of which p_burst are there at once at most. Answers with their number, and the
-- microseconds until p_most of them are there, or half of what the bucket holds.
CREATE OR REPLACE FUNCTION drumline_lease_tokens_v5(
  p_bucket text, p_count bigint, p_per bigint, p_burst bigint, p_most bigint, p_ahead bigint,
  OUT o_tokens bigint, OUT o_next_in bigint
)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_now bigint;
  v_full_at bigint;
  v_empty_at bigint;
BEGIN
  LOOP
    SELECT full_at INTO v_full_at FROM drumline_tokens WHERE bucket = p_bucket FOR UPDATE;
    EXIT WHEN FOUND;
    -- Of those who make it at once, one makes its row, and the others wait for it here.
    INSERT INTO drumline_tokens (bucket, full_at) VALUES (p_bucket, 0) ON CONFLICT (bucket) DO NOTHING;
  END LOOP;
  -- After the wait for the row.
  v_now := floor(extract(epoch FROM clock_timestamp()) * 1000000);
  v_empty_at := v_now + ceil(p_burst::numeric * p_per / p_count);
  v_full_at := least(greatest(v_full_at, v_now), v_empty_at + p_ahead);
  o_tokens := least(floor(greatest(v_empty_at - v_full_at, 0)::numeric * p_count / p_per), p_most);
  IF o_tokens > 0 THEN
    v_full_at := v_full_at + ceil(o_tokens::numeric * p_per / p_count);
    UPDATE drumline_tokens SET full_at = v_full_at WHERE bucket = p_bucket;
  END IF;
  o_next_in := greatest(v_full_at + ceil(least(p_most, (p_burst + 1) / 2)::numeric * p_per / p_count) - v_empty_at, 0);
END $$;
