-- What was added to version 3: a done job can be forgotten, and texts that processes share. Kept apart from that version, so that a
-- database that was set up for it is brought up to date; jobs run without it. May be run again.

-- Texts of a kind, by name.
CREATE TABLE IF NOT EXISTS drumline_documents (
  kind text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  changed timestamptz NOT NULL,
  expires timestamptz NOT NULL,
  PRIMARY KEY (kind, name)
);
CREATE INDEX IF NOT EXISTS drumline_documents_expires ON drumline_documents (expires);

-- Changes a document if its text is p_before (NULL for none), or p_after already. Answers with whether it has that text now.
CREATE OR REPLACE FUNCTION drumline_put_document_v4(
  p_kind text, p_name text, p_before text, p_after text, p_keep bigint, p_most bigint
) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_value text;
BEGIN
  LOOP
    SELECT CASE WHEN expires > clock_timestamp() THEN value END INTO v_value FROM drumline_documents
    WHERE kind = p_kind AND name = p_name FOR UPDATE;
    EXIT WHEN FOUND;
    IF p_before IS NOT NULL THEN
      RETURN false;
    END IF;
    -- Of those who make it at once, one makes its row, and the others wait for it here.
    INSERT INTO drumline_documents (kind, name, value, changed, expires)
    VALUES (p_kind, p_name, p_after, clock_timestamp(), '-infinity') ON CONFLICT (kind, name) DO NOTHING;
  END LOOP;
  IF v_value IS DISTINCT FROM p_before AND v_value IS DISTINCT FROM p_after THEN
    RETURN false;
  END IF;
  UPDATE drumline_documents SET value = p_after, changed = clock_timestamp(), expires = drumline_after_v1(p_keep)
  WHERE kind = p_kind AND name = p_name;
  DELETE FROM drumline_documents WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM drumline_documents WHERE kind = p_kind AND expires > clock_timestamp()
    ORDER BY changed DESC OFFSET p_most FOR UPDATE SKIP LOCKED));
  DELETE FROM drumline_documents WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM drumline_documents WHERE expires <= clock_timestamp() LIMIT p_most FOR UPDATE SKIP LOCKED));
  RETURN true;
END $$;

-- Has a done job count as one that waits for its next attempt, under the same counter. Answers with a word.
CREATE OR REPLACE FUNCTION drumline_forget_v4(p_key text, p_history bigint) RETURNS text
LANGUAGE plpgsql VOLATILE SET lock_timeout = '2s' AS $$
DECLARE
  v_known drumline_claims_v2;
BEGIN
  SELECT * INTO v_known FROM drumline_claims_v2 WHERE key = p_key AND expires > clock_timestamp() FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'absent';
  ELSIF v_known.state = 'running' AND v_known.claimed_until > clock_timestamp() THEN
    RETURN 'running';
  ELSIF v_known.state <> 'done' THEN
    RETURN 'not done';
  END IF;
  UPDATE drumline_claims_v2
  SET state = 'waiting', claimed_until = clock_timestamp(), finished = NULL, attempts = 0, verdict = NULL, result = NULL,
    expires = drumline_after_v1(p_history)
  WHERE key = p_key;
  RETURN 'done';
END $$;
