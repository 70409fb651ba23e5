//! The buckets of rates: one number for each, which expires when the bucket is full.

use super::RedisStore;
use crate::store::StoreError;
use crate::tokens::{TokenLease, TokenRequest};

impl RedisStore {
    pub(super) async fn take_tokens(&self, request: &TokenRequest) -> Result<TokenLease, StoreError> {
        let mut call = self.scripts.lease_tokens.key(self.key("tokens", &request.bucket));
        for number in request.numbers() {
            call.arg(number);
        }
        let (tokens, next_in): (i64, i64) = self.connection.run(&call).await?;
        Ok(TokenLease::answered(tokens, next_in))
    }
}
