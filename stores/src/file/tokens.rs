//! The buckets of rates.

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::rules::after;
use crate::store::now_us;
use crate::tokens::{KEPT, TokenLease, TokenRequest, lease};

pub(super) fn take(connection: &Connection, request: &TokenRequest) -> Result<TokenLease> {
    // Read within the transaction: other processes may have taken tokens since the call began.
    let now = now_us();
    let mut known = connection.prepare_cached("SELECT full_at FROM tokens WHERE bucket = ?1")?;
    let full_at: Option<i64> = known.query_row([&request.bucket], |row| row.get(0)).optional()?;
    let (leased, full_at) = lease(request, full_at.unwrap_or(0).cast_unsigned(), now);
    if leased.tokens > 0 {
        let expires = after(full_at / 1_000, KEPT);
        let put = "INSERT OR REPLACE INTO tokens (bucket, full_at, expires) VALUES (?1, ?2, ?3)";
        let row = params![request.bucket, full_at.cast_signed(), expires.cast_signed()];
        connection.prepare_cached(put)?.execute(row)?;
    }
    Ok(leased)
}
