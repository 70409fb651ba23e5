//! The items that map job ids to jobs. Only people need them, so their writes are best effort.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use drumline::message::Identity;
use tokio::time::timeout;

use super::changes::Change;
use super::items::{Id, expiration, number, string};
use super::table::Table;
use crate::record::MAX_MATCHES;
use crate::store::{Retention, StoreError, now_ms};

/// The longest job id that fits into a partition key, of 2,048 bytes. A job with a longer one is not found by it.
pub(super) const MAX_JOB_ID_BYTES: usize = 2_000;

/// The time limit of the write, for which a claim waits. Many jobs with one job id share an item, which accepts about 1,000
/// writes a second.
const WRITE: Duration = Duration::from_millis(250);

/// The longest run: SQS's longest visibility timeout. A job's record is written at its end, and must be found as long as it is
/// kept.
const LONGEST_RUN: Duration = Duration::from_secs(12 * 60 * 60);

/// Maps a job id to the key of an identity. If there are too many keys, only the newest one is kept.
pub(super) async fn add(table: &Table, identity: &Identity, keep: Retention) {
    if identity.job_id().len() > MAX_JOB_ID_BYTES {
        return;
    }
    match timeout(WRITE, write(table, identity, keep)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "job will not be found by its id"),
        Err(_) => tracing::debug!("job may not be found by its id"),
    }
}

async fn write(table: &Table, identity: &Identity, keep: Retention) -> Result<(), StoreError> {
    let until = number(expiration(now_ms(), LONGEST_RUN + keep.history.max(keep.done)));
    let keys = AttributeValue::Ss(vec![identity.key().to_string()]);
    let change = || Change::of(Id::JobIds(identity.job_id())).set("expiration", until.clone());
    let added = change().add("keys", keys.clone()).only_if_room("keys", string(identity.key()), MAX_MATCHES);
    match table.write(vec![added]).await? {
        Ok(()) => Ok(()),
        Err(_) => table.put(change().set("keys", keys)).await,
    }
}
