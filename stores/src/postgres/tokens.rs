//! The statements about tokens of rates: jobs run without this part of the schema.

use sqlx::postgres::PgConnection;
use sqlx::{Error, Row};

use super::connections::Connections;
use super::removal;
use super::schema::is_about_schema;
use super::text::encode;
use crate::store::{StoreError, StoreErrorText};
use crate::tokens::{TokenLease, TokenRequest};

/// Removes buckets that have been full for a minute.
const REMOVE: &str = "DELETE FROM drumline_tokens WHERE bucket = ANY(ARRAY(SELECT bucket FROM drumline_tokens
    WHERE full_at < (extract(epoch FROM now()) - 60) * 1000000 LIMIT 1000 FOR UPDATE SKIP LOCKED))";

pub(super) async fn lease(
    connection: &mut PgConnection,
    request: &TokenRequest,
) -> Result<TokenLease, Error> {
    let sql = "SELECT o_tokens, o_next_in FROM drumline_lease_tokens_v5($1, $2, $3, $4, $5, $6)";
    let mut call = sqlx::query(sql).bind(encode(&request.bucket));
    for number in request.numbers() {
        call = call.bind(number);
    }
    let row = call.fetch_one(connection).await?;
    Ok(TokenLease::answered(row.try_get(0)?, row.try_get(1)?))
}

/// Removes unused buckets, up to a limit. Does nothing if the database lacks this part of the schema.
pub(super) async fn remove_unused(connections: &Connections) -> Result<(), StoreError> {
    match removal::remove(connections, &[REMOVE]).await {
        Err(error) if is_about_schema(&error) => Ok(()),
        removed => removed,
    }
}

/// Explains the error of a database without this part of the schema: the store cannot do this, and repeating the call does not
/// help.
pub(super) fn explained(error: StoreError) -> StoreError {
    if !is_about_schema(&error) {
        return error;
    }
    let text = format!(
        "{error}: have a role that may create tables run the schema again, and grant SELECT, INSERT, UPDATE and DELETE on \
         drumline_tokens"
    );
    StoreError::Refused(StoreErrorText::about(error, text))
}
