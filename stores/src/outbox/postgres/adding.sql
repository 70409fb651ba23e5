-- Functions that add jobs to the outbox. May be run again.

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

-- Adds jobs. Those whose ids are known are left as they are. Their positions are in their order; they are inserted by their ids, so that
-- two calls that add the same ones in different orders do not wait for each other.
CREATE OR REPLACE FUNCTION drumline_outbox_add_v1(p_jobs json) RETURNS void
LANGUAGE sql VOLATILE AS $$
  INSERT INTO drumline_outbox (position, id, type, payload, schema_version, queue, message_group, idempotency_key,
    correlation_id, traceparent, message_attributes, due)
  OVERRIDING SYSTEM VALUE
  SELECT position, id, type, payload, schema_version, queue, message_group, idempotency_key, correlation_id, traceparent,
    message_attributes, due
  FROM (
    SELECT nextval('drumline_outbox_position_seq') AS position, job.*
    FROM (SELECT * FROM drumline_outbox_jobs_v1(p_jobs) ORDER BY number) AS job
  ) AS job
  ORDER BY id
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
  ELSIF p_conflict = 'keep' OR v_other.state <> 'waiting' OR v_other.taken IS NOT NULL OR v_other.turn > 0 THEN
    -- One that a relay has had may have been sent: under its id, another payload would count as a duplicate.
    answer := 'waiting';
  ELSE
    UPDATE drumline_outbox
    SET type = v_job.type, payload = v_job.payload, schema_version = v_job.schema_version, queue = v_job.queue,
      message_group = v_job.message_group, idempotency_key = v_job.idempotency_key,
      correlation_id = v_job.correlation_id, traceparent = v_job.traceparent, message_attributes = v_job.message_attributes,
      due = CASE WHEN p_conflict = 'debounce'
        THEN least(v_job.due, v_other.added + p_most * interval '1 millisecond') ELSE v_job.due END,
      due_since = NULL, failures = 0, reason = NULL
    WHERE id = v_other.id;
    PERFORM pg_notify('drumline_outbox', '');
    answer := 'replaced';
  END IF;
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
