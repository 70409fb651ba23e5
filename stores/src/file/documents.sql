-- What was added to the tables, for files that were made before: workers of older versions use those files still, so their version
-- stays. Texts that processes share; the one with the largest id changed last.
CREATE TABLE IF NOT EXISTS documents (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, expires INTEGER NOT NULL,
  UNIQUE (kind, name)
);
CREATE INDEX IF NOT EXISTS documents_expires ON documents (expires);
