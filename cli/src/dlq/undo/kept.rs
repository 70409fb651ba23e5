//! The letters that were not deleted and are still in the DLQ.
//!
//! A hidden letter is not seen, and would be sent although it is in the DLQ. Therefore nothing is sent while letters are
//! hidden.

use std::collections::HashSet;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::letter_id::LetterId;
use tokio::time::Instant;

use crate::dlq::hold::{Held, Hold, HoldOptions};
use crate::dlq::queue::DeadLetterQueue;
use crate::interrupt::unless_interrupted;

/// The time in which SQS's counts must show that the command has released its letters.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time between two requests for the counts.
const EVERY: Duration = Duration::from_secs(2);

/// Returns the letters that are in the DLQ.
///
/// # Errors
///
/// Returns an error if letters are hidden before or after the read, unless hidden letters are ignored.
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

/// Refuses to continue if letters are hidden after the read. For a while, the count includes the read's own letters.
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
        "about {} hidden in {}: those that were not deleted would be in the DLQ twice, so nothing was sent; try again in 10 \
         minutes (or continue with --ignore-hidden)",
        if hidden == 1 { "1 letter is".to_owned() } else { format!("{hidden} letters are") },
        queue.name
    )))
}
