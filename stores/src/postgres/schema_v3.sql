-- What was added to version 2: the state of a job whose last attempt has failed. Kept apart from that version, so that a
-- database that was set up for it is brought up to date. May be run again.

-- Marks a job as done, and gives its lock back. Answers with whether the claim was the owner's.
CREATE OR REPLACE FUNCTION drumline_finish_v3(
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
  IF NOT FOUND OR v_state IN ('waiting', 'dead') THEN
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
CREATE OR REPLACE FUNCTION drumline_surrender_v3(
  p_key text, p_owner text, p_counter bigint, p_lock text, p_lock_counter bigint, p_spared integer, p_verdict text,
  p_history bigint, p_dead boolean
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
  ELSIF v_state IN ('waiting', 'dead') THEN
    RETURN true;
  END IF;
  UPDATE drumline_claims_v2
  SET state = CASE WHEN p_dead THEN 'dead' ELSE 'waiting' END, claimed_until = clock_timestamp(),
    attempts = attempts - p_spared, verdict = p_verdict, expires = drumline_after_v1(p_history)
  WHERE key = p_key;
  IF p_lock IS NOT NULL THEN
    UPDATE drumline_locks
    SET owner = '', claimed_until = '-infinity', expires = drumline_after_v1(p_history)
    WHERE name = p_lock AND owner = p_owner AND counter = p_lock_counter;
  END IF;
  RETURN true;
END $$;
