//! Buckets of rates in a table of texts.

use super::snapshot::Snapshot;
use crate::rules::after;
use crate::store::{StoreError, now_us};
use crate::tokens::{KEPT, TokenLease, TokenRequest, lease};

/// Returns the key of a bucket.
pub(super) fn key(request: &TokenRequest) -> String {
    format!("tokens:{}", request.bucket)
}

pub(super) fn take(
    snapshot: &mut Snapshot,
    request: &TokenRequest,
    now_ms: u64,
) -> Result<TokenLease, StoreError> {
    let key = key(request);
    let full_at: Option<u64> = snapshot.current(&key, now_ms)?;
    let (leased, full_at) = lease(request, full_at.unwrap_or(0), now_us());
    if leased.tokens > 0 {
        snapshot.set(&key, &full_at, after(full_at / 1_000, KEPT));
    }
    Ok(leased)
}
