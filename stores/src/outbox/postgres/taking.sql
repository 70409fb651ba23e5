-- Functions by which relays take jobs. May be run again.

-- Has a relay live for some time from now, and gives it its fair share of the buckets. Answers with those whose jobs it may
-- take. p_busy are those of which it has jobs in hand: they are given to others later.
CREATE OR REPLACE FUNCTION drumline_outbox_lease_v1(p_relay text, p_length bigint, p_busy integer[]) RETURNS integer[]
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  c_buckets CONSTANT integer := 64;
  v_is_alive boolean;
  v_share integer;
  v_own integer[];
  v_leased integer;
BEGIN
  UPDATE drumline_outbox_relays SET until = drumline_outbox_after_v1(p_length)
  WHERE relay = p_relay AND until > clock_timestamp();
  v_is_alive := FOUND;
  SELECT ceil(c_buckets::numeric / greatest(count(*), 1)) INTO v_share
  FROM drumline_outbox_relays WHERE until > clock_timestamp();
  SELECT coalesce(array_agg(b.bucket ORDER BY b.bucket) FILTER (WHERE b.relay = p_relay), '{}'), count(r.relay)
  INTO v_own, v_leased
  FROM drumline_outbox_buckets AS b
  LEFT JOIN drumline_outbox_relays AS r ON r.relay = b.relay AND r.until > clock_timestamp();
  IF v_is_alive AND (cardinality(v_own) = v_share OR cardinality(v_own) < v_share AND v_leased = c_buckets) THEN
    RETURN v_own;
  END IF;

  -- One relay at a time, and each sees what the ones before it have done. The number is arbitrary.
  PERFORM pg_advisory_xact_lock(7236837463294635297);
  INSERT INTO drumline_outbox_buckets (bucket) SELECT generate_series(0, c_buckets - 1) ON CONFLICT DO NOTHING;
  IF NOT v_is_alive THEN
    -- It is new, or was away for so long that others may have had its buckets.
    UPDATE drumline_outbox_buckets SET relay = NULL WHERE relay = p_relay;
    INSERT INTO drumline_outbox_relays (relay, until) VALUES (p_relay, drumline_outbox_after_v1(p_length))
    ON CONFLICT (relay) DO UPDATE SET until = excluded.until;
  END IF;
  -- One that is locked renews its lease in this moment.
  DELETE FROM drumline_outbox_relays WHERE relay IN (
    SELECT relay FROM drumline_outbox_relays WHERE until <= clock_timestamp() FOR UPDATE SKIP LOCKED
  );
  SELECT ceil(c_buckets::numeric / count(*)) INTO v_share FROM drumline_outbox_relays;
  SELECT coalesce(array_agg(bucket ORDER BY bucket), '{}') INTO v_own
  FROM drumline_outbox_buckets WHERE relay = p_relay;
  IF cardinality(v_own) < v_share THEN
    UPDATE drumline_outbox_buckets SET relay = p_relay, token = token + 1
    WHERE bucket IN (
      SELECT b.bucket FROM drumline_outbox_buckets AS b
      WHERE NOT EXISTS (SELECT FROM drumline_outbox_relays AS r WHERE r.relay = b.relay)
      ORDER BY b.bucket LIMIT v_share - cardinality(v_own)
    );
    SELECT coalesce(array_agg(bucket ORDER BY bucket), '{}') INTO v_own
    FROM drumline_outbox_buckets WHERE relay = p_relay;
  ELSIF cardinality(v_own) > v_share THEN
    UPDATE drumline_outbox_buckets SET relay = NULL
    WHERE bucket = ANY(v_own[v_share + 1:]) AND bucket <> ALL(p_busy);
    PERFORM pg_notify('drumline_outbox', '');
    v_own := v_own[:v_share];
  END IF;
  RETURN v_own;
END $$;

-- Takes jobs that are due for a relay, whose buckets are leased to it for some time from now. p_taken, p_groups and p_busy are the
-- positions, groups and buckets of those that it has in hand.
CREATE OR REPLACE FUNCTION drumline_outbox_take_v1(
  p_relay text, p_max integer, p_length bigint, p_taken bigint[], p_groups text[], p_busy integer[]
) RETURNS TABLE (
  id text, type text, payload text, schema_version integer, queue text, message_group text, idempotency_key text,
  correlation_id text, traceparent text, message_attributes text, due bigint, added bigint, failures integer, place bigint,
  bucket integer, turn integer, token bigint
)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
DECLARE
  v_buckets integer[] := drumline_outbox_lease_v1(p_relay, p_length, p_busy);
  v_now timestamptz := clock_timestamp();
  -- By bucket, from 1 on: the token under which the relay has it, 0 if it has not. One look per row, however many buckets there are.
  v_tokens bigint[] := ARRAY(
    SELECT coalesce(b.token, 0) FROM generate_series(0, 63) AS number
    LEFT JOIN drumline_outbox_buckets AS b ON b.bucket = number AND b.bucket = ANY(v_buckets) ORDER BY number
  );
  v_held text[];
  v_chosen bigint[];
  v_unique bigint[];
  v_locked text[] := '{}';
BEGIN
  -- Groups of which jobs are in hand, or whose first job was put back and waits. NOT IN is by a hash, so that a long backlog of
  -- such a group is passed over fast.
  v_held := p_groups || ARRAY(
    SELECT o.message_group FROM drumline_outbox AS o
    WHERE o.state = 'waiting' AND o.due_since IS NOT NULL AND o.message_group IS NOT NULL AND o.due > v_now
      AND o.bucket = ANY(v_buckets) AND NOT EXISTS (
        SELECT FROM drumline_outbox AS e
        WHERE e.state = 'waiting' AND e.due <= '-infinity' AND e.message_group = o.message_group AND e.position < o.position
      ) AND NOT EXISTS (
        SELECT FROM drumline_outbox AS e
        WHERE e.state = 'waiting' AND e.due <> '-infinity' AND e.due <= v_now AND e.message_group = o.message_group
          AND e.position < o.position
      )
  );
  WITH ready AS (
    -- Of those that are due at once and of those that have a time, each gets every other place, so that neither waits for
    -- the end of the other.
    (SELECT o.position, o.message_group, o.unique_key IS NOT NULL AS is_unique, row_number() OVER (ORDER BY o.position) AS place
    FROM drumline_outbox AS o
    WHERE o.state = 'waiting' AND o.due = '-infinity' AND v_tokens[o.bucket + 1] > 0 AND o.position NOT IN (SELECT unnest(p_taken))
      AND (o.message_group IS NULL OR o.message_group NOT IN (SELECT unnest(v_held)))
    ORDER BY o.position LIMIT p_max)
    UNION ALL
    (SELECT o.position, o.message_group, o.unique_key IS NOT NULL AS is_unique, row_number() OVER (ORDER BY o.due) AS place
    FROM drumline_outbox AS o
    WHERE o.state = 'waiting' AND o.due > '-infinity' AND o.due <= v_now AND v_tokens[o.bucket + 1] > 0
      AND o.position NOT IN (SELECT unnest(p_taken))
      AND (o.message_group IS NULL OR o.message_group NOT IN (SELECT unnest(v_held)))
    ORDER BY o.due LIMIT p_max)
  ), chosen AS MATERIALIZED (
    SELECT position, message_group, is_unique FROM ready ORDER BY place, position LIMIT p_max
  ), mixed AS MATERIALIZED (
    -- Groups of which a job has a time that has come, or was put back and waits: their places go to their first jobs that are due.
    SELECT message_group, places FROM (
      SELECT message_group, count(*) AS places FROM chosen WHERE message_group IS NOT NULL GROUP BY message_group
    ) AS c
    WHERE v_now >= (
      SELECT o.due FROM drumline_outbox AS o
      WHERE o.state = 'waiting' AND o.due <> '-infinity' AND o.message_group = c.message_group
      ORDER BY o.due LIMIT 1
    ) OR EXISTS (
      SELECT FROM drumline_outbox AS h
      WHERE h.state = 'waiting' AND h.due_since IS NOT NULL AND h.message_group = c.message_group
    )
  )
  SELECT array_agg(position), array_agg(position) FILTER (WHERE is_unique) INTO v_chosen, v_unique FROM (
    SELECT *, row_number() OVER (PARTITION BY message_group ORDER BY position) AS number FROM (
      SELECT position, message_group, is_unique FROM chosen
      WHERE message_group IS NULL OR message_group NOT IN (SELECT message_group FROM mixed)
      UNION ALL
      SELECT first.position, mixed.message_group, first.is_unique FROM mixed, LATERAL (
        SELECT due_jobs.position, due_jobs.is_unique FROM (
          (SELECT o.position, o.unique_key IS NOT NULL AS is_unique FROM drumline_outbox AS o
          WHERE o.state = 'waiting' AND o.due <= '-infinity' AND o.message_group = mixed.message_group
          ORDER BY o.position LIMIT mixed.places)
          UNION ALL
          (SELECT timed.position, timed.is_unique FROM (
            SELECT o.position, o.unique_key IS NOT NULL AS is_unique FROM drumline_outbox AS o
            WHERE o.state = 'waiting' AND o.due <> '-infinity' AND o.due <= v_now AND o.message_group = mixed.message_group
            OFFSET 0
          ) AS timed
          ORDER BY timed.position LIMIT mixed.places)
        ) AS due_jobs
        WHERE NOT EXISTS (
          SELECT FROM drumline_outbox AS h
          WHERE h.state = 'waiting' AND h.due_since IS NOT NULL AND h.message_group = mixed.message_group
            AND h.position < due_jobs.position AND h.due > v_now
        )
        ORDER BY due_jobs.position LIMIT mixed.places
      ) AS first
    ) AS all_chosen
  ) AS numbered
  -- Those of a group are sent one after the other: of more, the last ones would be here until the end of the lease.
  WHERE message_group IS NULL OR number <= 100;

  IF v_unique IS NOT NULL THEN
    -- One that is replaced in this moment, or locked for another reason, is left for a later take, with its group.
    WITH unlocked AS MATERIALIZED (
      SELECT o.position FROM drumline_outbox AS o
      WHERE o.position = ANY(v_unique) AND o.state = 'waiting' AND o.due <= v_now AND o.bucket = ANY(v_buckets)
      FOR UPDATE SKIP LOCKED
    )
    UPDATE drumline_outbox AS o SET taken = b.token FROM unlocked, drumline_outbox_buckets AS b
    WHERE o.position = unlocked.position AND b.bucket = o.bucket;
    v_locked := ARRAY(
      SELECT DISTINCT o.message_group FROM drumline_outbox AS o JOIN drumline_outbox_buckets AS b ON b.bucket = o.bucket
      WHERE o.position = ANY(v_unique) AND o.message_group IS NOT NULL AND o.state = 'waiting' AND o.due <= v_now
        AND o.taken IS DISTINCT FROM b.token
    );
  END IF;
  RETURN QUERY
    -- What is too large to be sent is not read: it would not arrive in time, and no job with it.
    SELECT o.id, o.type, CASE WHEN o.bytes <= 67108864 THEN o.payload END, o.schema_version, o.queue, o.message_group,
      o.idempotency_key, o.correlation_id, o.traceparent, CASE WHEN o.bytes <= 67108864 THEN o.message_attributes END,
      CASE WHEN o.due > '-infinity' THEN floor(extract(epoch FROM o.due) * 1000)::bigint END,
      floor(extract(epoch FROM o.added) * 1000)::bigint, o.failures, o.position, o.bucket, o.turn, v_tokens[o.bucket + 1]
    FROM (
      SELECT *, sum(least(q.bytes, 67108865)::integer) OVER (ORDER BY q.position ROWS UNBOUNDED PRECEDING) - q.bytes AS bytes_before
      FROM (
        SELECT *, octet_length(w.payload)::bigint + octet_length(w.message_attributes) AS bytes
        FROM drumline_outbox AS w WHERE w.position = ANY(v_chosen)
      ) AS q
    ) AS o
    WHERE v_tokens[o.bucket + 1] > 0 AND o.state = 'waiting' AND o.due <= v_now
      AND (o.unique_key IS NULL OR o.taken = v_tokens[o.bucket + 1])
      AND (o.message_group IS NULL OR o.message_group <> ALL(v_locked)) AND o.bytes_before < 16777216
    ORDER BY o.position;
END $$;
