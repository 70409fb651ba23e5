//! The letters that were not deleted: those that are in the DLQ still.
//!
//! A letter that is hidden is not seen, and would be sent although it is there. So nothing is sent while some are hidden.

use std::collections::HashSet;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::letter_id::LetterId;
use tokio::time::Instant;

use crate::dlq::hold::{Held, Hold, HoldOptions};
use crate::dlq::queue::DeadLetterQueue;
use crate::interrupt::unless_interrupted;

/// The time within which SQS's numbers have to show that the look has released its letters.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two questions for them.
const EVERY: Duration = Duration::from_secs(2);

/// Returns the letters that are in the DLQ.
///
/// # Errors
/// If some are hidden before the look or after it, unless that is to be ignored.
pub(super) async fn look(
    queue: &DeadLetterQueue,
    ignore_hidden: bool,
) -> Result<HashSet<LetterId>, ExitError> {
    if !ignore_hidden {
        refuse(queue, queue.hidden)?;
    }
    let mut hold = Hold::begin(queue, HoldOptions::limited(usize::MAX)).await?;
    let mut found = HashSet::new();
    let looked = unless_interrupted(async {
        loop {
            let letters = hold.more().await?;
            if letters.is_empty() {
                return Ok(());
            }
            found.extend(letters.iter().map(Held::id));
        }
    })
    .await;
    hold.end().await;
    looked?;
    if !ignore_hidden {
        unless_interrupted(refuse_after(queue)).await?;
    }
    Ok(found)
}

/// Refuses if letters are hidden after the look. Its own count for a while.
async fn refuse_after(queue: &DeadLetterQueue) -> Result<(), ExitError> {
    let begun = Instant::now();
    loop {
        let hidden = queue.hidden_by_now().await?;
        if hidden == 0 || begun.elapsed() >= PATIENCE {
            return refuse(queue, hidden);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn refuse(queue: &DeadLetterQueue, hidden: usize) -> Result<(), ExitError> {
    if hidden == 0 {
        return Ok(());
    }
    Err(ExitError::other(format!(
        "about {} hidden in {}: what was not deleted of them would be there twice, so nothing was sent; run it again in 10 \
         minutes (--ignore-hidden goes on all the same)",
        if hidden == 1 { "1 letter is".to_owned() } else { format!("{hidden} letters are") },
        queue.name
    )))
}
