//! The rows of claims and locks.

use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension, Result, params};

use crate::rules::{Kept, Lock, Rows, Unreadable};

/// The tables of a connection.
pub(super) struct Tables<'a>(pub(super) &'a Connection);

impl Rows for Tables<'_> {
    type Error = rusqlite::Error;

    fn claim(&mut self, key: &str) -> Result<Option<(Kept, u64)>> {
        let mut statement = self.0.prepare_cached("SELECT record, expires FROM claims WHERE key = ?1")?;
        let row: Option<(String, i64)> =
            statement.query_row([key], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((record, expires)) = row else { return Ok(None) };
        let unreadable = |_| Error::FromSqlConversionFailure(0, Type::Text, Unreadable::under(key).into());
        Ok(Some((serde_json::from_str(&record).map_err(unreadable)?, expires.cast_unsigned())))
    }

    fn set_claim(&mut self, key: &str, kept: &Kept, now: u64, expires: u64) -> Result<()> {
        let mut statement = self.0.prepare_cached(
            "INSERT OR REPLACE INTO claims (key, job_id, message_id, record, changed, expires)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        let changed = kept.until.max(now).cast_signed();
        let record = crate::store::to_json(kept);
        statement.execute(params![
            key,
            kept.job_id,
            kept.message_id,
            record,
            changed,
            expires.cast_signed()
        ])?;
        Ok(())
    }

    fn lock(&mut self, name: &str) -> Result<Option<Lock>> {
        let mut statement = self.0.prepare_cached("SELECT owner, token, until FROM locks WHERE name = ?1")?;
        let lock = statement.query_row([name], |row| {
            let (token, until) =
                (row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?.cast_unsigned());
            Ok(Lock { owner: row.get(0)?, token, until })
        });
        lock.optional()
    }

    fn set_lock(&mut self, name: &str, lock: &Lock, expires: u64) -> Result<()> {
        let sql =
            "INSERT OR REPLACE INTO locks (name, owner, token, until, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (token, until) = (lock.token.cast_signed(), lock.until.cast_signed());
        let row = params![name, lock.owner, token, until, expires.cast_signed()];
        self.0.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }

    fn link(&mut self, job_id: &str, key: &str, now: u64, expires: u64) -> Result<()> {
        let sql = "INSERT INTO duplicates (job_id, key, changed, expires) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (job_id, key) DO UPDATE SET expires = max(expires, excluded.expires)";
        let row = params![job_id, key, now.cast_signed(), expires.cast_signed()];
        self.0.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }
}
