//! Deletes the record that a job is done.

use super::changes::Change;
use super::items::{COMPLETED, INPROGRESS, Id, expiration, number, string};
use super::table::Table;
use crate::forgotten::Forgotten;
use crate::store::{Retention, StoreError, now_ms};

/// The number of times that the item may change between its read and its write.
const ROUNDS: usize = 10;

/// Turns a done job into a released one with the same counter.
pub(super) async fn forget(table: &Table, key: &str, keep: Retention) -> Result<Forgotten, StoreError> {
    for _ in 0..ROUNDS {
        let Some(seen) = table.read(Id::Job(key)).await? else { return Ok(Forgotten::Absent) };
        let now = now_ms();
        if seen.is_claimed(now) {
            return Ok(Forgotten::Running);
        }
        if !seen.is_done() {
            return Ok(Forgotten::NotDone);
        }
        let forgotten = Change::of(Id::Job(key))
            .only_if("status", "=", string(COMPLETED))
            .only_if("counter", "=", number(seen.fencing_token))
            .set("status", string(INPROGRESS))
            .set("in_progress_expiration", number(0))
            .set("expiration", number(expiration(now, keep.history)))
            .set("attempts", number(0))
            .remove("finished_at")
            .remove("data")
            .remove("verdict")
            .remove("dead");
        if table.write(vec![forgotten]).await?.is_ok() {
            return Ok(Forgotten::Done);
        }
    }
    Err(StoreError::Unanswered(format!("DynamoDB: the item of the key {key:?} changes all the time").into()))
}
