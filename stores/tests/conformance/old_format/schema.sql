-- What Drumline keeps in PostgreSQL. A worker makes what is missing when it starts; where its role may not, somebody who
-- may runs this file once. Its role needs SELECT, INSERT, UPDATE and DELETE on the tables, and USAGE on the sequence.
--
-- Functions have a version in their name: workers of two versions run beside each other during a deployment.

-- One row per idempotency key. A row whose time is up counts as absent, and is removed at some later time.
CREATE TABLE IF NOT EXISTS drumline_claims (
  key text COLLATE "C" PRIMARY KEY,
  -- running, waiting or done
  state text NOT NULL,
  owner text NOT NULL,
  counter bigint NOT NULL,
  claimed_until timestamptz NOT NULL,
  expires timestamptz NOT NULL,
  -- A hash of the type and the payload, in hexadecimal.
  payload text NOT NULL,
  job_id text NOT NULL,
  job_type text NOT NULL,
  queue text NOT NULL,
  message_id text NOT NULL,
  attempts integer NOT NULL,
  -- What tells the call that was granted from all others.
  nonce bigint NOT NULL,
  lock_counter bigint NOT NULL,
  verdict text,
  -- JSON, as it was given.
  checkpoint text,
  result text
);
-- By hash, because a job's id may be longer than a B-tree takes.
CREATE INDEX IF NOT EXISTS drumline_claims_job_id ON drumline_claims USING hash (job_id);
CREATE INDEX IF NOT EXISTS drumline_claims_expires ON drumline_claims (expires);

-- What no two jobs work on at once. The owner is empty while nobody has the lock; the counter stays.
CREATE TABLE IF NOT EXISTS drumline_locks (
  name text COLLATE "C" PRIMARY KEY,
  owner text NOT NULL,
  counter bigint NOT NULL,
  claimed_until timestamptz NOT NULL,
  expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS drumline_locks_expires ON drumline_locks (expires);

-- How far jobs are, as JSON.
CREATE TABLE IF NOT EXISTS drumline_jobs (
  job_id text COLLATE "C" PRIMARY KEY,
  progress text NOT NULL,
  expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS drumline_jobs_expires ON drumline_jobs (expires);

-- Attempts that did not succeed, as JSON.
CREATE TABLE IF NOT EXISTS drumline_attempts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id text COLLATE "C" NOT NULL,
  attempt text NOT NULL,
  expires timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS drumline_attempts_job_id ON drumline_attempts (job_id, id);
CREATE INDEX IF NOT EXISTS drumline_attempts_expires ON drumline_attempts (expires);

CREATE OR REPLACE FUNCTION drumline_after_v1(milliseconds bigint) RETURNS timestamptz
LANGUAGE sql VOLATILE AS $$
  SELECT clock_timestamp() + milliseconds * interval '1 millisecond'
$$;

CREATE OR REPLACE FUNCTION drumline_left_v1(until timestamptz) RETURNS bigint
LANGUAGE sql VOLATILE AS $$
  SELECT greatest(0, ceil(extract(epoch FROM until - clock_timestamp()) * 1000))::bigint
$$;

-- Acquires a lock, and answers with its counter; or with how long it is still held, as a negative number.
CREATE OR REPLACE FUNCTION drumline_lock_v1(p_name text, p_owner text, p_length bigint, p_history bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  v_counter bigint;
  v_until timestamptz;
BEGIN
  LOOP
    INSERT INTO drumline_locks (name, owner, counter, claimed_until, expires)
    VALUES (p_name, p_owner, 1, drumline_after_v1(p_length), drumline_after_v1(p_length + p_history))
    ON CONFLICT (name) DO NOTHING;
    IF FOUND THEN
      RETURN 1;
    END IF;
    UPDATE drumline_locks
    SET owner = p_owner, counter = counter + 1,
      claimed_until = drumline_after_v1(p_length), expires = drumline_after_v1(p_length + p_history)
    WHERE name = p_name AND claimed_until <= clock_timestamp()
    RETURNING counter INTO v_counter;
    IF FOUND THEN
      RETURN v_counter;
    END IF;
    SELECT claimed_until INTO v_until FROM drumline_locks WHERE name = p_name;
    IF FOUND AND v_until > clock_timestamp() THEN
      RETURN -greatest(1, drumline_left_v1(v_until));
    END IF;
    -- It was given back or removed in this moment.
  END LOOP;
END $$;

-- Asks for a claim, and for its lock. Answers with a word, and what that word needs.
CREATE OR REPLACE FUNCTION drumline_claim_v1(
  p_key text, p_payload text, p_lock text, p_length bigint, p_history bigint, p_owner text, p_job_id text,
  p_job_type text, p_queue text, p_message_id text, p_nonce bigint,
  OUT answer text, OUT number bigint, OUT attempt integer, OUT value text, OUT lock_counter bigint
)
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_known drumline_claims;
  v_is_new boolean;
  v_is_claimed boolean;
BEGIN
  number := 0; attempt := 0; lock_counter := 0;
  LOOP
    -- Of those who ask at once for a new key, one makes its row, and the others wait for it here.
    INSERT INTO drumline_claims (key, state, owner, counter, claimed_until, expires, payload, job_id, job_type, queue,
      message_id, attempts, nonce, lock_counter)
    VALUES (p_key, 'running', p_owner, 1, drumline_after_v1(p_length), drumline_after_v1(p_length + p_history),
      p_payload, p_job_id, p_job_type, p_queue, p_message_id, 1, p_nonce, 0)
    ON CONFLICT (key) DO NOTHING;
    v_is_new := FOUND;
    EXIT WHEN v_is_new;
    SELECT * INTO v_known FROM drumline_claims WHERE key = p_key FOR UPDATE;
    -- It is gone where it was removed in this moment.
    EXIT WHEN FOUND;
  END LOOP;

  IF v_is_new THEN
    number := 1; attempt := 1;
  ELSE
    IF v_known.expires <= clock_timestamp() THEN
      -- Absent; but its counter may as well go on.
      v_known.state := 'waiting'; v_known.payload := ''; v_known.message_id := NULL; v_known.attempts := 0;
      v_known.verdict := NULL; v_known.checkpoint := NULL;
    END IF;
    v_is_claimed := v_known.state = 'running' AND v_known.claimed_until > clock_timestamp();
    IF (v_is_claimed OR v_known.state = 'done') AND v_known.payload <> p_payload THEN
      answer := 'mismatch';
      RETURN;
    ELSIF v_known.state = 'done' THEN
      answer := 'done'; value := v_known.result;
      RETURN;
    ELSIF v_known.verdict IS NOT NULL AND v_known.message_id = p_message_id THEN
      answer := 'condemned'; value := v_known.verdict;
      RETURN;
    ELSIF v_is_claimed AND v_known.nonce = p_nonce THEN
      -- The answer to this very call was lost, and it is asked again.
      answer := 'granted'; number := v_known.counter; attempt := v_known.attempts; value := v_known.checkpoint;
      lock_counter := v_known.lock_counter;
      RETURN;
    ELSIF v_is_claimed THEN
      answer := 'held'; number := drumline_left_v1(v_known.claimed_until);
      RETURN;
    END IF;
    number := v_known.counter + 1;
    attempt := CASE WHEN v_known.message_id = p_message_id THEN v_known.attempts + 1 ELSE 1 END;
    value := CASE WHEN v_known.payload = p_payload THEN v_known.checkpoint END;
  END IF;

  IF p_lock IS NOT NULL THEN
    lock_counter := drumline_lock_v1(p_lock, p_owner, p_length, p_history);
    IF lock_counter < 0 THEN
      IF v_is_new THEN
        DELETE FROM drumline_claims WHERE key = p_key;
      END IF;
      answer := 'locked'; number := -lock_counter; attempt := 0; value := NULL; lock_counter := 0;
      RETURN;
    END IF;
  END IF;
  IF NOT v_is_new OR p_lock IS NOT NULL THEN
    UPDATE drumline_claims AS c
    SET state = 'running', owner = p_owner, counter = drumline_claim_v1.number,
      claimed_until = drumline_after_v1(p_length), expires = drumline_after_v1(p_length + p_history),
      payload = p_payload, job_id = p_job_id, job_type = p_job_type, queue = p_queue, message_id = p_message_id,
      attempts = drumline_claim_v1.attempt, nonce = p_nonce, lock_counter = drumline_claim_v1.lock_counter,
      verdict = NULL, checkpoint = drumline_claim_v1.value, result = NULL
    WHERE c.key = p_key;
  END IF;
  answer := 'granted';
END $$;

-- Has a claim, and its lock, last longer. Answers with whether it is still the owner's.
CREATE OR REPLACE FUNCTION drumline_renew_v1(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_length bigint, p_history bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
BEGIN
  PERFORM FROM drumline_claims
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
  UPDATE drumline_claims
  SET claimed_until = drumline_after_v1(p_length), expires = drumline_after_v1(p_length + p_history)
  WHERE key = p_key;
  RETURN true;
END $$;

-- Marks a job as done, and gives its lock back. Answers with whether the claim was the owner's.
CREATE OR REPLACE FUNCTION drumline_finish_v1(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_result text, p_done bigint,
  p_history bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_state text;
BEGIN
  SELECT state INTO v_state FROM drumline_claims
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
  UPDATE drumline_claims
  SET state = 'done', result = p_result, checkpoint = NULL, expires = drumline_after_v1(p_done)
  WHERE key = p_key;
  RETURN true;
END $$;

-- Gives a claim up, and its lock. Answers with whether the claim was the owner's.
CREATE OR REPLACE FUNCTION drumline_surrender_v1(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_spared integer, p_verdict text,
  p_history bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_state text;
BEGIN
  SELECT state INTO v_state FROM drumline_claims
  WHERE key = p_key AND owner = p_owner AND counter = p_counter AND expires > clock_timestamp()
  FOR UPDATE;
  IF NOT FOUND OR v_state = 'done' THEN
    RETURN false;
  ELSIF v_state = 'waiting' THEN
    RETURN true;
  END IF;
  UPDATE drumline_claims
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
