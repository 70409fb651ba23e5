-- Times are in milliseconds since the Unix epoch. A row that has expired counts as absent, and is removed at some later time.

-- One row per identity; `record` is JSON.
CREATE TABLE claims (
  key TEXT PRIMARY KEY, job_id TEXT NOT NULL, message_id TEXT NOT NULL, record TEXT NOT NULL, changed INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX claims_job_id ON claims (job_id);
CREATE INDEX claims_message_id ON claims (message_id);
CREATE INDEX claims_changed ON claims (changed);
CREATE INDEX claims_expires ON claims (expires);

-- Who acquired each lock last. The owner is empty once it was released.
CREATE TABLE locks (
  name TEXT PRIMARY KEY, owner TEXT NOT NULL, token INTEGER NOT NULL, until INTEGER NOT NULL, expires INTEGER NOT NULL
);
CREATE INDEX locks_expires ON locks (expires);

-- How far jobs are, as JSON.
CREATE TABLE progress (
  key TEXT PRIMARY KEY, job_id TEXT NOT NULL, progress TEXT NOT NULL, changed INTEGER NOT NULL, expires INTEGER NOT NULL
);
CREATE INDEX progress_job_id ON progress (job_id);
CREATE INDEX progress_expires ON progress (expires);

-- Attempts that did not succeed, as JSON.
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, job_id TEXT NOT NULL, message_id TEXT NOT NULL, attempt TEXT NOT NULL,
  changed INTEGER NOT NULL, expires INTEGER NOT NULL
);
CREATE INDEX attempts_key ON attempts (key, id);
CREATE INDEX attempts_job_id ON attempts (job_id);
CREATE INDEX attempts_message_id ON attempts (message_id);
CREATE INDEX attempts_changed ON attempts (changed);
CREATE INDEX attempts_expires ON attempts (expires);

-- Other job ids of an identity: those of duplicates, and those that it had before.
CREATE TABLE duplicates (
  job_id TEXT NOT NULL, key TEXT NOT NULL, changed INTEGER NOT NULL, expires INTEGER NOT NULL, PRIMARY KEY (job_id, key)
);
CREATE INDEX duplicates_expires ON duplicates (expires);

PRAGMA user_version = 1;
