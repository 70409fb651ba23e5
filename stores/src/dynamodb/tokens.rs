//! The buckets of rates: one item for each, changed only if it is the same as when it was read.

use std::time::Duration;

use super::changes::Change;
use super::items::{Id, expiration, number};
use super::table::{Failure, Table};
use crate::store::{StoreError, now_us};
use crate::tokens::{KEPT, TOKEN_VALIDITY, TokenLease, TokenRequest, lease};

/// The number of times that other workers may change the bucket between a read and its write.
const ROUNDS: usize = 5;

/// The wait after that: other workers have got the tokens meanwhile.
const LATER: Duration = Duration::from_millis(50);

pub(super) async fn take(table: &Table, request: &TokenRequest) -> Result<TokenLease, StoreError> {
    let id = Id::Tokens(&request.bucket);
    let mut seen = table.read_even_expired(id).await?.map(|item| item.full_at);
    for _ in 0..ROUNDS {
        let (leased, full_at) = lease(request, seen.unwrap_or(0), now_us());
        if leased.tokens == 0 {
            return Ok(leased);
        }
        let change = match seen {
            Some(seen) => Change::of(id).only_if("full_at", "=", number(seen)),
            None => Change::of(id).only_if_absent(),
        };
        let change = change.set("full_at", number(full_at));
        let change = change.set("expiration", number(expiration(full_at / 1_000, KEPT)));
        match table.write(vec![change]).await? {
            Ok(()) => return Ok(leased),
            Err(failures) => {
                seen = failures.into_iter().next().and_then(|failure| match failure {
                    Failure::Unmet(item) => item.map(|item| item.full_at),
                    Failure::Met => None,
                });
            }
        }
    }
    Ok(TokenLease { tokens: 0, valid_for: TOKEN_VALIDITY, next_in: LATER.mul_f64(0.5 + fastrand::f64()) })
}
