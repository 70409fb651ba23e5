-- The outbox of Drumline in PostgreSQL 13 or later: jobs that wait to be sent to SQS. May be run again. An application adds a row in the
-- transaction of the job's cause:
--
--   INSERT INTO drumline_outbox (type, payload) VALUES ('email.send', '{"userId":7}');
--
-- Its role needs INSERT on drumline_outbox. That of a relay needs SELECT, INSERT, UPDATE and DELETE on all of these tables.
--
-- Functions have a version in their name: processes of two versions run beside each other during a deployment.

CREATE TABLE IF NOT EXISTS drumline_outbox (
  -- The jobId of the message: a job that is sent twice is one job.
  id text COLLATE "C" PRIMARY KEY DEFAULT gen_random_uuid()::text CHECK (char_length(id) BETWEEN 1 AND 128),
  type text COLLATE "C" NOT NULL CHECK (type <> ''),
  -- JSON. The text is sent as it is.
  payload text NOT NULL CHECK (payload::json IS NOT NULL),
  schema_version integer NOT NULL DEFAULT 1 CHECK (schema_version > 0),
  -- A URL, an ARN or a name. Default: the queue of the type, by the settings of the relay.
  queue text COLLATE "C",
  -- Jobs of a group are sent in the order of their positions.
  message_group text COLLATE "C" CHECK (message_group <> ''),
  idempotency_key text COLLATE "C",
  correlation_id text COLLATE "C",
  traceparent text COLLATE "C",
  -- Of the message: a JSON object of texts.
  message_attributes text NOT NULL DEFAULT '{}' CHECK (json_typeof(message_attributes::json) = 'object'),
  -- The job is not sent before this time.
  due timestamptz NOT NULL DEFAULT '-infinity',
  -- No two rows have the same unique key at a time. It is held until the job is sent, or until unique_until if that is later.
  unique_key text COLLATE "C",

  -- The columns below are the relay's.
  position bigint GENERATED ALWAYS AS IDENTITY,
  added timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- A relay has a lease of a bucket, and so of whole groups.
  bucket integer NOT NULL GENERATED ALWAYS AS (hashtext(coalesce(message_group, id)) & 63) STORED,
  -- waiting, parked or sent
  state text COLLATE "C" NOT NULL DEFAULT 'waiting',
  -- How often it could not be sent.
  failures integer NOT NULL DEFAULT 0,
  -- Grows whenever it may be taken again: what is concluded of an earlier turn is refused.
  turn integer NOT NULL DEFAULT 0,
  -- Since when it is due, of a job that was put back after it was taken: it holds up the later ones of its group.
  due_since timestamptz,
  -- The reason for which it is parked.
  reason text,
  -- When it was sent, under which message id, and until when it is kept.
  sent timestamptz,
  message_id text,
  expires timestamptz,
  unique_until timestamptz,
  -- The fencing token under which a relay has taken it; of jobs with a unique key only.
  taken bigint
);
-- Those that are due at once: no relay needs to look at those that are due later, however many there are.
CREATE INDEX IF NOT EXISTS drumline_outbox_at_once ON drumline_outbox (position)
  WHERE state = 'waiting' AND due = '-infinity';
CREATE INDEX IF NOT EXISTS drumline_outbox_timed ON drumline_outbox (due)
  WHERE state = 'waiting' AND due > '-infinity';
-- The same of one group.
CREATE INDEX IF NOT EXISTS drumline_outbox_group_at_once ON drumline_outbox (message_group, position)
  WHERE state = 'waiting' AND due = '-infinity' AND message_group IS NOT NULL;
CREATE INDEX IF NOT EXISTS drumline_outbox_group_timed ON drumline_outbox (message_group, due)
  WHERE state = 'waiting' AND due > '-infinity' AND message_group IS NOT NULL;
-- Those that hold up the later ones of their group.
CREATE INDEX IF NOT EXISTS drumline_outbox_put_back ON drumline_outbox (message_group, position)
  WHERE state = 'waiting' AND due_since IS NOT NULL;
CREATE INDEX IF NOT EXISTS drumline_outbox_position ON drumline_outbox (position);
CREATE INDEX IF NOT EXISTS drumline_outbox_parked ON drumline_outbox (position) WHERE state = 'parked';
CREATE INDEX IF NOT EXISTS drumline_outbox_sent ON drumline_outbox (position) WHERE state = 'sent';
CREATE INDEX IF NOT EXISTS drumline_outbox_expires ON drumline_outbox (expires) WHERE state = 'sent';
CREATE UNIQUE INDEX IF NOT EXISTS drumline_outbox_unique_key ON drumline_outbox (unique_key)
  WHERE unique_key IS NOT NULL;

-- Wakes the relays. Without the trigger they find new rows when they look again, about once a second.
CREATE OR REPLACE FUNCTION drumline_outbox_notify_v1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('drumline_outbox', '');
  RETURN NULL;
END $$;
DO $$
BEGIN
  IF NOT EXISTS (
    SELECT FROM pg_trigger WHERE tgrelid = 'drumline_outbox'::regclass AND tgname = 'drumline_outbox_notify'
  ) THEN
    CREATE TRIGGER drumline_outbox_notify AFTER INSERT ON drumline_outbox
      FOR EACH STATEMENT EXECUTE FUNCTION drumline_outbox_notify_v1();
  END IF;
END $$;

-- The relays that are alive, by their names.
CREATE TABLE IF NOT EXISTS drumline_outbox_relays (
  relay text COLLATE "C" PRIMARY KEY,
  until timestamptz NOT NULL
);

-- The relay that has a bucket, as long as it is alive. The token grows with every new one.
CREATE TABLE IF NOT EXISTS drumline_outbox_buckets (
  bucket integer PRIMARY KEY,
  relay text COLLATE "C",
  token bigint NOT NULL DEFAULT 0
);

-- Texts that change together with rows: the states of timetables.
CREATE TABLE IF NOT EXISTS drumline_outbox_states (
  name text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);

-- Who leads what, and until when.
CREATE TABLE IF NOT EXISTS drumline_outbox_leases (
  name text COLLATE "C" PRIMARY KEY,
  owner text NOT NULL,
  token bigint NOT NULL,
  until timestamptz NOT NULL
);

CREATE OR REPLACE FUNCTION drumline_outbox_after_v1(p_milliseconds bigint) RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp() + p_milliseconds * interval '1 millisecond'
$$;

-- The time of a job that is due after some milliseconds, or at a time in milliseconds since 1970; at once without either. One whose
-- time has passed is due from now, so that it does not count as late by the time before it was added.
CREATE OR REPLACE FUNCTION drumline_outbox_due_v1(p_after bigint, p_at bigint) RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(clock_timestamp() + p_after * interval '1 millisecond',
    CASE WHEN p_at IS NOT NULL THEN greatest(timestamptz 'epoch' + p_at * interval '1 millisecond', clock_timestamp()) END,
    '-infinity')
$$;

-- Jobs as an array of JSON objects, whose payloads and attributes are texts.
CREATE OR REPLACE FUNCTION drumline_outbox_jobs_v1(p_jobs json) RETURNS TABLE (
  number bigint, id text, type text, payload text, schema_version integer, queue text, message_group text,
  idempotency_key text, correlation_id text, traceparent text, message_attributes text, due timestamptz
)
LANGUAGE sql VOLATILE AS $$
  SELECT number, id, type, payload, schema_version, queue, message_group, idempotency_key, correlation_id, traceparent,
    message_attributes, drumline_outbox_due_v1(after, at)
  FROM ROWS FROM (json_to_recordset(p_jobs) AS (
    id text, type text, payload text, schema_version integer, queue text, message_group text, idempotency_key text,
    correlation_id text, traceparent text, message_attributes text, after bigint, at bigint
  )) WITH ORDINALITY AS job (id, type, payload, schema_version, queue, message_group, idempotency_key, correlation_id,
    traceparent, message_attributes, after, at, number)
$$;

-- Adds jobs, in their order. Those whose ids are known are left as they are.
CREATE OR REPLACE FUNCTION drumline_outbox_add_v1(p_jobs json) RETURNS void
LANGUAGE sql VOLATILE AS $$
  INSERT INTO drumline_outbox (id, type, payload, schema_version, queue, message_group, idempotency_key, correlation_id,
    traceparent, message_attributes, due)
  SELECT id, type, payload, schema_version, queue, message_group, idempotency_key, correlation_id, traceparent, message_attributes,
    due
  FROM drumline_outbox_jobs_v1(p_jobs) ORDER BY number
  -- Without the name of a column, for which the role would need more than INSERT.
  ON CONFLICT DO NOTHING
$$;

-- Adds a job, which is all of p_jobs, unless another one holds its key. Answers with a word, and with the id of the other one.
-- p_conflict is keep, replace or debounce; p_most is for how long the last one may put the other one off.
CREATE OR REPLACE FUNCTION drumline_outbox_add_unique_v1(
  p_jobs json, p_key text, p_window bigint, p_conflict text, p_most bigint, p_take_from text,
  OUT answer text, OUT holder text
)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_other drumline_outbox;
  v_job record;
BEGIN
  SELECT * INTO v_job FROM drumline_outbox_jobs_v1(p_jobs);
  LOOP
    SELECT * INTO v_other FROM drumline_outbox WHERE unique_key = p_key FOR UPDATE;
    IF FOUND AND v_other.id <> v_job.id
      AND (v_other.unique_until <= clock_timestamp() OR v_other.id = p_take_from) THEN
      UPDATE drumline_outbox SET unique_key = NULL WHERE id = v_other.id;
    ELSIF FOUND THEN
      EXIT;
    END IF;
    INSERT INTO drumline_outbox (id, type, payload, schema_version, queue, message_group, idempotency_key,
      correlation_id, traceparent, message_attributes, due, unique_key, unique_until)
    VALUES (v_job.id, v_job.type, v_job.payload, v_job.schema_version, v_job.queue, v_job.message_group,
      v_job.idempotency_key, v_job.correlation_id, v_job.traceparent, v_job.message_attributes, v_job.due, p_key,
      drumline_outbox_after_v1(p_window))
    ON CONFLICT DO NOTHING;
    -- If neither was added nor is known, another one has got the key in this moment.
    IF FOUND OR EXISTS (SELECT FROM drumline_outbox WHERE id = v_job.id) THEN
      answer := 'new';
      RETURN;
    END IF;
  END LOOP;

  holder := v_other.id;
  IF v_other.id = v_job.id THEN
    answer := 'new';
  ELSIF v_other.state = 'sent' THEN
    answer := 'sent';
  ELSIF p_conflict = 'keep' OR v_other.state <> 'waiting' OR EXISTS (
    SELECT FROM drumline_outbox_buckets WHERE bucket = v_other.bucket AND token = v_other.taken
  ) THEN
    answer := 'waiting';
  ELSE
    UPDATE drumline_outbox
    SET type = v_job.type, payload = v_job.payload, schema_version = v_job.schema_version, queue = v_job.queue,
      message_group = v_job.message_group, idempotency_key = v_job.idempotency_key,
      correlation_id = v_job.correlation_id, traceparent = v_job.traceparent, message_attributes = v_job.message_attributes,
      due = CASE WHEN p_conflict = 'debounce'
        THEN least(v_job.due, v_other.added + p_most * interval '1 millisecond') ELSE v_job.due END,
      due_since = NULL, failures = 0, turn = turn + 1, taken = NULL
    WHERE id = v_other.id;
    PERFORM pg_notify('drumline_outbox', '');
    answer := 'replaced';
  END IF;
END $$;

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
  v_chosen bigint[];
BEGIN
  WITH ready AS (
    -- Of those that are due at once and of those that have a time, each gets every other place, so that neither waits for
    -- the end of the other.
    (SELECT o.position, o.message_group, row_number() OVER (ORDER BY o.position) AS turn
    FROM drumline_outbox AS o
    WHERE o.state = 'waiting' AND o.due = '-infinity' AND o.bucket = ANY(v_buckets) AND o.position <> ALL(p_taken)
      AND (o.message_group IS NULL OR o.message_group <> ALL(p_groups) AND NOT EXISTS (
        SELECT FROM drumline_outbox AS h
        WHERE h.state = 'waiting' AND h.due_since IS NOT NULL AND h.message_group = o.message_group
          AND h.position < o.position AND h.due > v_now
      ))
    ORDER BY o.position LIMIT p_max)
    UNION ALL
    (SELECT o.position, o.message_group, row_number() OVER (ORDER BY o.due) AS turn
    FROM drumline_outbox AS o
    WHERE o.state = 'waiting' AND o.due > '-infinity' AND o.due <= v_now AND o.bucket = ANY(v_buckets)
      AND o.position <> ALL(p_taken)
      AND (o.message_group IS NULL OR o.message_group <> ALL(p_groups) AND NOT EXISTS (
        SELECT FROM drumline_outbox AS h
        WHERE h.state = 'waiting' AND h.due_since IS NOT NULL AND h.message_group = o.message_group
          AND h.position < o.position AND h.due > v_now
      ))
    ORDER BY o.due LIMIT p_max)
  ), chosen AS MATERIALIZED (
    SELECT position, message_group FROM ready ORDER BY turn, position LIMIT p_max
  ), mixed AS MATERIALIZED (
    -- Groups some of whose jobs have a time: their places go to their first jobs that are due.
    SELECT message_group, count(*) AS places FROM chosen AS c
    WHERE message_group IS NOT NULL AND EXISTS (
      SELECT FROM drumline_outbox AS o
      WHERE o.state = 'waiting' AND o.due > '-infinity' AND o.due <= v_now AND o.message_group = c.message_group
    )
    GROUP BY message_group
  )
  SELECT array_agg(position) INTO v_chosen FROM (
    SELECT position FROM chosen
    WHERE message_group IS NULL OR message_group NOT IN (SELECT message_group FROM mixed)
    UNION ALL
    SELECT first.position FROM mixed, LATERAL (
      SELECT due_jobs.position FROM (
        (SELECT o.position FROM drumline_outbox AS o
        WHERE o.state = 'waiting' AND o.due = '-infinity' AND o.message_group IS NOT NULL
          AND o.message_group = mixed.message_group
        ORDER BY o.position LIMIT mixed.places)
        UNION ALL
        (SELECT o.position FROM drumline_outbox AS o
        WHERE o.state = 'waiting' AND o.due > '-infinity' AND o.due <= v_now AND o.message_group IS NOT NULL
          AND o.message_group = mixed.message_group
        ORDER BY o.position LIMIT mixed.places)
      ) AS due_jobs
      WHERE NOT EXISTS (
        SELECT FROM drumline_outbox AS h
        WHERE h.state = 'waiting' AND h.due_since IS NOT NULL AND h.message_group = mixed.message_group
          AND h.position < due_jobs.position AND h.due > v_now
      )
      ORDER BY due_jobs.position LIMIT mixed.places
    ) AS first
  ) AS all_chosen;

  -- One that is replaced in this moment is either marked first, and stays as it is, or may be due later now.
  UPDATE drumline_outbox AS o SET taken = b.token FROM drumline_outbox_buckets AS b
  WHERE o.position = ANY(v_chosen) AND o.unique_key IS NOT NULL AND o.state = 'waiting' AND o.due <= v_now
    AND b.bucket = o.bucket AND b.bucket = ANY(v_buckets);
  RETURN QUERY
    SELECT o.id, o.type, o.payload, o.schema_version, o.queue, o.message_group, o.idempotency_key, o.correlation_id,
      o.traceparent, o.message_attributes,
      CASE WHEN o.due > '-infinity' THEN floor(extract(epoch FROM o.due) * 1000)::bigint END,
      floor(extract(epoch FROM o.added) * 1000)::bigint, o.failures, o.position, o.bucket, o.turn, b.token
    FROM (
      SELECT *, sum(octet_length(q.payload)) OVER (ORDER BY q.position) - octet_length(q.payload) AS bytes_before
      FROM drumline_outbox AS q WHERE q.position = ANY(v_chosen)
    ) AS o
    JOIN drumline_outbox_buckets AS b ON b.bucket = o.bucket AND b.bucket = ANY(v_buckets)
    WHERE o.state = 'waiting' AND o.due <= v_now AND (o.unique_key IS NULL OR o.taken = b.token)
      AND o.bytes_before < 16777216
    ORDER BY o.position;
END $$;

-- Gives a named text another one, and adds jobs with it: both or neither. Answers with whether it has that text now.
CREATE OR REPLACE FUNCTION drumline_outbox_change_v1(p_name text, p_before text, p_after text, p_jobs json) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_value text;
BEGIN
  LOOP
    SELECT value INTO v_value FROM drumline_outbox_states WHERE name = p_name FOR UPDATE;
    IF v_value IS NOT DISTINCT FROM p_after THEN
      RETURN true;
    ELSIF v_value IS DISTINCT FROM p_before THEN
      RETURN false;
    ELSIF p_after IS NULL THEN
      DELETE FROM drumline_outbox_states WHERE name = p_name;
      EXIT;
    ELSIF v_value IS NOT NULL THEN
      UPDATE drumline_outbox_states SET value = p_after WHERE name = p_name;
      EXIT;
    END IF;
    INSERT INTO drumline_outbox_states (name, value) VALUES (p_name, p_after) ON CONFLICT (name) DO NOTHING;
    EXIT WHEN FOUND;
    -- Another one has made it in this moment.
  END LOOP;
  PERFORM drumline_outbox_add_v1(p_jobs);
  RETURN true;
END $$;

-- Marks a job of the store as done and adds its next jobs: both or neither. Answers with whether the claim was the owner's.
CREATE OR REPLACE FUNCTION drumline_outbox_finish_v1(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_result text, p_done bigint,
  p_history bigint, p_jobs json
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  IF NOT drumline_finish_v3(p_key, p_owner, p_counter, p_lock, p_lock_counter, p_result, p_done, p_history) THEN
    RETURN false;
  END IF;
  PERFORM drumline_outbox_add_v1(p_jobs);
  RETURN true;
END $$;
