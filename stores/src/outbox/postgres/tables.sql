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
  due timestamptz NOT NULL DEFAULT '-infinity' CHECK (due < '10000-01-01 00:00:00+00'),
  -- No two rows have the same unique key at a time. It is held until the job is sent, or until unique_until if that is later.
  unique_key text COLLATE "C",

  -- The columns below are the relay's.
  position bigint GENERATED ALWAYS AS IDENTITY,
  added timestamptz NOT NULL DEFAULT clock_timestamp() CHECK (isfinite(added)),
  -- A relay has a lease of a bucket, and so of whole groups.
  bucket integer NOT NULL GENERATED ALWAYS AS (hashtext(coalesce(message_group, id)) & 63) STORED,
  -- waiting, parked or sent
  state text COLLATE "C" NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'parked', 'sent')),
  -- How often it could not be sent.
  failures integer NOT NULL DEFAULT 0,
  -- Grows whenever it may be taken again: what is concluded of an earlier turn is refused.
  turn integer NOT NULL DEFAULT 0,
  -- Since when it is due, of a job that was put back after it was taken: it holds up the later ones of its group.
  due_since timestamptz,
  -- The reason for which it is parked, or was put back last.
  reason text,
  -- When it was sent, under which message id, and until when it is kept.
  sent timestamptz,
  message_id text,
  expires timestamptz,
  unique_until timestamptz,
  -- The fencing token under which a relay has taken it; of jobs with a unique key only.
  taken bigint
);
-- The positions of jobs that are added together, by whichever role.
GRANT USAGE ON SEQUENCE drumline_outbox_position_seq TO PUBLIC;
-- The indexes, each if it is missing: CREATE INDEX IF NOT EXISTS would wait for all transactions that have inserted, and those that insert
-- would wait behind it.
DO $$
DECLARE
  v_there text[] := ARRAY(
    SELECT c.relname::text FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = 'drumline_outbox'::regclass
  );
BEGIN
  -- Those that are due at once: no relay needs to look at those that are due later, however many there are.
  IF 'drumline_outbox_at_once' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_at_once ON drumline_outbox (position)
      WHERE state = 'waiting' AND due = '-infinity';
  END IF;
  IF 'drumline_outbox_timed' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_timed ON drumline_outbox (due)
      WHERE state = 'waiting' AND due > '-infinity';
  END IF;
  -- The same of one group. Their conditions are written in another way, so that the planner cannot mistake the indexes above, of whose
  -- rows it may know little, for these.
  IF 'drumline_outbox_group_at_once' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_group_at_once ON drumline_outbox (message_group, position)
      WHERE state = 'waiting' AND due <= '-infinity' AND message_group IS NOT NULL;
  END IF;
  IF 'drumline_outbox_group_timed' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_group_timed ON drumline_outbox (message_group, due)
      WHERE state = 'waiting' AND due <> '-infinity' AND message_group IS NOT NULL;
  END IF;
  -- Those that hold up the later ones of their group.
  IF 'drumline_outbox_put_back' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_put_back ON drumline_outbox (message_group, position)
      WHERE state = 'waiting' AND due_since IS NOT NULL;
  END IF;
  IF 'drumline_outbox_position' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_position ON drumline_outbox (position);
  END IF;
  IF 'drumline_outbox_parked' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_parked ON drumline_outbox (position) WHERE state = 'parked';
  END IF;
  IF 'drumline_outbox_sent' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_sent ON drumline_outbox (position) WHERE state = 'sent';
  END IF;
  IF 'drumline_outbox_expires' <> ALL(v_there) THEN
    CREATE INDEX drumline_outbox_expires ON drumline_outbox (expires) WHERE state = 'sent';
  END IF;
  IF 'drumline_outbox_unique_key' <> ALL(v_there) THEN
    CREATE UNIQUE INDEX drumline_outbox_unique_key ON drumline_outbox (unique_key)
      WHERE unique_key IS NOT NULL;
  END IF;
END $$;

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
