-- Drumline's records by identity, beside those of version 0.1 in schema.sql: claims, progress and attempts have new tables,
-- so that workers of both versions run beside each other; locks are the same. The keys are those of identities: at most
-- 1,024 bytes, without control characters. In ids, types and names, chr(1) || '0' stands for NUL, and chr(1) || '1' for
-- chr(1).

-- One row per identity. A row that has expired counts as absent, and is removed at some later time.
CREATE TABLE IF NOT EXISTS drumline_claims_v2 (
  key text COLLATE "C" PRIMARY KEY,
  -- running, waiting or done
  state text NOT NULL,
  owner text NOT NULL,
  counter bigint NOT NULL,
  claimed_until timestamptz NOT NULL,
  finished timestamptz,
  expires timestamptz NOT NULL,
  -- A hash of the type and the payload, in hexadecimal.
  payload text NOT NULL,
  scope text NOT NULL,
  job_type text COLLATE "C" NOT NULL,
  -- Empty if there is none.
  source text NOT NULL,
  job_id text COLLATE "C" NOT NULL,
  queue text COLLATE "C" NOT NULL,
  message_id text COLLATE "C" NOT NULL,
  attempts integer NOT NULL,
  -- Distinguishes the call that was granted from all others.
  nonce bigint NOT NULL,
  lock_counter bigint NOT NULL,
  verdict text,
  -- JSON, as it was given.
  checkpoint text,
  result text
);
-- By hash, because a job's id may be longer than a B-tree takes.
CREATE INDEX IF NOT EXISTS drumline_claims_v2_job_id ON drumline_claims_v2 USING hash (job_id);
CREATE INDEX IF NOT EXISTS drumline_claims_v2_expires ON drumline_claims_v2 (expires);

-- How far jobs are, as JSON.
CREATE TABLE IF NOT EXISTS drumline_progress_v2 (
  key text COLLATE "C" PRIMARY KEY,
  job_id text COLLATE "C" NOT NULL,
  progress text NOT NULL,
  changed timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS drumline_progress_v2_job_id ON drumline_progress_v2 USING hash (job_id);
CREATE INDEX IF NOT EXISTS drumline_progress_v2_expires ON drumline_progress_v2 (expires);

-- Attempts that did not succeed, as JSON.
CREATE TABLE IF NOT EXISTS drumline_attempts_v2 (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text COLLATE "C" NOT NULL,
  job_id text COLLATE "C" NOT NULL,
  attempt text NOT NULL,
  changed timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS drumline_attempts_v2_key ON drumline_attempts_v2 (key, id);
CREATE INDEX IF NOT EXISTS drumline_attempts_v2_job_id ON drumline_attempts_v2 USING hash (job_id);
CREATE INDEX IF NOT EXISTS drumline_attempts_v2_expires ON drumline_attempts_v2 (expires);

-- Other job ids of an identity: those of duplicates, and those that it had before.
CREATE TABLE IF NOT EXISTS drumline_duplicates_v2 (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS drumline_duplicates_v2_job_id ON drumline_duplicates_v2 USING hash (job_id);
CREATE INDEX IF NOT EXISTS drumline_duplicates_v2_expires ON drumline_duplicates_v2 (expires);

-- Has a key be found by another job id. Two who add the same at once add it twice, which does no harm.
CREATE OR REPLACE FUNCTION drumline_duplicate_v2(p_job_id text, p_key text, p_expires timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE drumline_duplicates_v2 SET expires = greatest(expires, p_expires) WHERE job_id = p_job_id AND key = p_key;
  IF NOT FOUND THEN
    INSERT INTO drumline_duplicates_v2 (job_id, key, expires) VALUES (p_job_id, p_key, p_expires);
  END IF;
END $$;

-- Asks for a claim, and for its lock. Answers with a word, what that word needs, and the run of a job that is done.
-- p_old_key is where version 0.1 kept the job, or NULL.
CREATE OR REPLACE FUNCTION drumline_claim_v2(
  p_key text, p_old_key text, p_payload text, p_lock text, p_length bigint, p_history bigint, p_owner text, p_scope text,
  p_job_type text, p_source text, p_job_id text, p_queue text, p_message_id text, p_nonce bigint,
  OUT answer text, OUT number bigint, OUT attempt integer, OUT value text, OUT lock_counter bigint,
  OUT run_job_id text, OUT run_message_id text, OUT run_queue text, OUT run_owner text, OUT run_finished bigint
)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_known drumline_claims_v2;
  v_old drumline_claims;
  v_is_new boolean;
  v_is_absent boolean;
  v_is_old boolean := false;
  v_is_claimed boolean;
BEGIN
  number := 0; attempt := 0; lock_counter := 0;
  LOOP
    -- Of those who ask at once for a new key, one makes its row, and the others wait for it here.
    INSERT INTO drumline_claims_v2 (key, state, owner, counter, claimed_until, expires, payload, scope, job_type, source,
      job_id, queue, message_id, attempts, nonce, lock_counter)
    VALUES (p_key, 'running', p_owner, 1, drumline_after_v1(p_length), drumline_after_v1(p_length + p_history),
      p_payload, p_scope, p_job_type, p_source, p_job_id, p_queue, p_message_id, 1, p_nonce, 0)
    ON CONFLICT (key) DO NOTHING;
    v_is_new := FOUND;
    EXIT WHEN v_is_new;
    SELECT * INTO v_known FROM drumline_claims_v2 WHERE key = p_key FOR UPDATE;
    -- It is gone where it was removed in this moment.
    EXIT WHEN FOUND;
  END LOOP;

  v_is_absent := v_is_new OR v_known.expires <= clock_timestamp();
  IF v_is_absent THEN
    -- Absent; but the counter of an expired row may as well go on.
    v_known.counter := coalesce(v_known.counter, 0);
    v_known.state := 'waiting'; v_known.payload := ''; v_known.message_id := NULL; v_known.attempts := 0;
    v_known.job_id := p_job_id; v_known.verdict := NULL; v_known.checkpoint := NULL;
  END IF;
  v_is_claimed := v_known.state = 'running' AND v_known.claimed_until > clock_timestamp();
  IF p_old_key IS NOT NULL AND v_known.state <> 'done' AND NOT v_is_claimed THEN
    -- A record that a producer may have chosen in another place does not count; nor does one that may be of another
    -- source, which version 0.1 did not keep.
    SELECT * INTO v_old FROM drumline_claims AS c
    WHERE c.key = p_old_key AND c.expires > clock_timestamp()
      AND c.queue = p_queue AND c.job_type = p_job_type AND c.payload = p_payload
      AND (p_source = '' OR c.message_id = p_message_id);
    IF FOUND THEN
      v_known.counter := greatest(v_known.counter, v_old.counter);
      -- A worker of version 0.1 that runs beside this one may have taken over the job of a newer record: what it has
      -- done, runs or has failed is known from here only.
      v_is_old := v_is_absent OR v_old.state = 'done'
        OR v_old.state = 'running' AND v_old.claimed_until > clock_timestamp()
        OR v_old.verdict IS NOT NULL AND v_old.message_id = p_message_id;
    END IF;
    IF v_is_old THEN
      v_known.state := v_old.state; v_known.owner := v_old.owner; v_known.claimed_until := v_old.claimed_until;
      v_known.payload := v_old.payload; v_known.job_id := v_old.job_id; v_known.queue := v_old.queue;
      v_known.message_id := v_old.message_id; v_known.attempts := v_old.attempts; v_known.nonce := NULL;
      v_known.verdict := v_old.verdict; v_known.checkpoint := v_old.checkpoint; v_known.result := v_old.result;
      v_known.finished := NULL;
    END IF;
  END IF;

  v_is_claimed := v_known.state = 'running' AND v_known.claimed_until > clock_timestamp();
  IF (v_is_claimed OR v_known.state = 'done') AND v_known.payload <> p_payload THEN
    answer := 'mismatch';
  ELSIF v_known.state = 'done' THEN
    answer := 'done'; value := v_known.result;
    run_job_id := v_known.job_id; run_message_id := v_known.message_id; run_queue := v_known.queue;
    run_owner := v_known.owner; run_finished := floor(extract(epoch FROM v_known.finished) * 1000)::bigint;
    IF v_known.job_id <> p_job_id AND NOT v_is_old THEN
      PERFORM drumline_duplicate_v2(p_job_id, p_key, v_known.expires);
    END IF;
  ELSIF v_known.verdict IS NOT NULL AND v_known.message_id = p_message_id THEN
    answer := 'condemned'; value := v_known.verdict;
  ELSIF v_is_claimed AND v_known.nonce = p_nonce THEN
    -- The answer to this very call was lost, and it is asked again.
    answer := 'granted'; number := v_known.counter; attempt := v_known.attempts; value := v_known.checkpoint;
    lock_counter := v_known.lock_counter;
  ELSIF v_is_claimed THEN
    answer := 'held'; number := drumline_left_v1(v_known.claimed_until);
  END IF;
  IF answer IS NULL AND p_lock IS NOT NULL THEN
    lock_counter := drumline_lock_v1(p_lock, p_owner, p_length, p_history);
    IF lock_counter < 0 THEN
      answer := 'locked'; number := -lock_counter; lock_counter := 0;
    END IF;
  END IF;
  IF answer IS NOT NULL THEN
    IF v_is_new THEN
      DELETE FROM drumline_claims_v2 WHERE key = p_key;
    END IF;
    RETURN;
  END IF;

  number := v_known.counter + 1;
  attempt := CASE WHEN v_known.message_id = p_message_id THEN v_known.attempts + 1 ELSE 1 END;
  value := CASE WHEN v_known.payload = p_payload THEN v_known.checkpoint END;
  IF NOT v_is_new OR v_is_old OR p_lock IS NOT NULL THEN
    UPDATE drumline_claims_v2 AS c
    SET state = 'running', owner = p_owner, counter = drumline_claim_v2.number,
      claimed_until = drumline_after_v1(p_length), expires = drumline_after_v1(p_length + p_history), finished = NULL,
      payload = p_payload, scope = p_scope, job_type = p_job_type, source = p_source, job_id = p_job_id,
      queue = p_queue, message_id = p_message_id, attempts = drumline_claim_v2.attempt, nonce = p_nonce,
      lock_counter = drumline_claim_v2.lock_counter, verdict = NULL, checkpoint = drumline_claim_v2.value, result = NULL
    WHERE c.key = p_key;
  END IF;
  IF v_known.job_id <> p_job_id AND NOT v_is_old THEN
    -- The job is still found by the id that it had before.
    PERFORM drumline_duplicate_v2(v_known.job_id, p_key, drumline_after_v1(p_length + p_history));
  END IF;
  answer := 'granted';
END $$;

-- Has a claim, and its lock, last longer. Answers with whether it is still the owner's.
CREATE OR REPLACE FUNCTION drumline_renew_v2(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_length bigint, p_history bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM FROM drumline_claims_v2
  WHERE key = p_key AND owner = p_owner AND counter = p_counter AND state = 'running' AND expires > clock_timestamp()
  FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_lock IS NOT NULL THEN
    UPDATE drumline_locks
    SET claimed_until = drumline_after_v1(p_length), expires = drumline_after_v1(p_length + p_history)
    WHERE name = p_lock AND owner = p_owner AND counter = p_lock_counter;
    IF NOT FOUND THEN
      RETURN false;
    END IF;
  END IF;
  UPDATE drumline_claims_v2
  SET claimed_until = drumline_after_v1(p_length), expires = drumline_after_v1(p_length + p_history)
  WHERE key = p_key;
  RETURN true;
END $$;

-- Marks a job as done, and gives its lock back. Answers with whether the claim was the owner's.
CREATE OR REPLACE FUNCTION drumline_finish_v2(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_result text, p_done bigint,
  p_history bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_state text;
BEGIN
  SELECT state INTO v_state FROM drumline_claims_v2
  WHERE key = p_key AND owner = p_owner AND counter = p_counter AND expires > clock_timestamp()
  FOR UPDATE;
  IF NOT FOUND OR v_state = 'waiting' THEN
    RETURN false;
  ELSIF v_state = 'done' THEN
    RETURN true;
  END IF;
  IF p_lock IS NOT NULL THEN
    UPDATE drumline_locks
    SET owner = '', claimed_until = '-infinity', expires = drumline_after_v1(p_history)
    WHERE name = p_lock AND owner = p_owner AND counter = p_lock_counter;
    IF NOT FOUND THEN
      RETURN false;
    END IF;
  END IF;
  UPDATE drumline_claims_v2
  SET state = 'done', finished = clock_timestamp(), result = p_result, checkpoint = NULL,
    expires = drumline_after_v1(p_done)
  WHERE key = p_key;
  RETURN true;
END $$;

-- Gives a claim up, and its lock. Answers with whether the claim was the owner's.
CREATE OR REPLACE FUNCTION drumline_surrender_v2(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_spared integer, p_verdict text,
  p_history bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_state text;
BEGIN
  SELECT state INTO v_state FROM drumline_claims_v2
  WHERE key = p_key AND owner = p_owner AND counter = p_counter AND expires > clock_timestamp()
  FOR UPDATE;
  IF NOT FOUND OR v_state = 'done' THEN
    RETURN false;
  ELSIF v_state = 'waiting' THEN
    RETURN true;
  END IF;
  UPDATE drumline_claims_v2
  SET state = 'waiting', claimed_until = clock_timestamp(), attempts = attempts - p_spared, verdict = p_verdict,
    expires = drumline_after_v1(p_history)
  WHERE key = p_key;
  IF p_lock IS NOT NULL THEN
    UPDATE drumline_locks
    SET owner = '', claimed_until = '-infinity', expires = drumline_after_v1(p_history)
    WHERE name = p_lock AND owner = p_owner AND counter = p_lock_counter;
  END IF;
  RETURN true;
END $$;
