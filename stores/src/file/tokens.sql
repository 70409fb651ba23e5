-- What was added to the tables, for files that were made before: workers of older versions use those files still, so their version
-- stays. The buckets of rates: when each is full (microseconds), by the clock of this machine.
CREATE TABLE IF NOT EXISTS tokens (
  bucket TEXT PRIMARY KEY, full_at INTEGER NOT NULL, expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tokens_expires ON tokens (expires);
