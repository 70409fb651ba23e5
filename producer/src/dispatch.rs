//! Sends many jobs to their queues: packs them into batches, and returns a result for each job.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;

use crate::error::ProduceError;
use crate::later::keep_all;
use crate::pack::{Outgoing, Packer};
use crate::partial_failure::{FailedJob, PartialFailure};
use crate::prepared::Prepared;
use crate::receipt::Receipt;
use crate::target_queue::TargetQueue;

/// The number of batches that are sent at once to a standard queue: enough to hide the round-trip time.
const BATCHES_AT_ONCE: usize = 8;

/// A job to send, or the error why it is not sent.
pub(crate) struct Entry {
    pub(crate) job_type: String,
    pub(crate) prepared: Result<Prepared, NotPrepared>,
}

/// A job that was refused before it was sent.
pub(crate) struct NotPrepared {
    pub(crate) error: ProduceError,
    /// Its FIFO queue and message group, if both are known: later jobs of the group must not run before it.
    pub(crate) group: Option<(TargetQueue, Arc<str>)>,
}

/// A job's message with its result. The message's `line` is the index of the job.
type Outcome = (Outgoing, Result<Receipt, ProduceError>);

/// Sends all jobs that can be sent, and adds waiting jobs to their outbox. Returns the receipts in the order of the jobs if all
/// succeeded.
pub(crate) async fn dispatch(entries: Vec<Entry>) -> Result<Vec<Receipt>, PartialFailure> {
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    let mut queues: Vec<(TargetQueue, Vec<Outgoing>)> = Vec::new();
    let mut waiting: Vec<Prepared> = Vec::new();
    let mut stopped: HashSet<(String, Arc<str>)> = HashSet::new();
    for (position, Entry { job_type, prepared }) in entries.into_iter().enumerate() {
        match prepared {
            // It is added to its group when it is due.
            Ok(mut job @ Prepared { wait: Some(_), .. }) => {
                job.outgoing.line = position;
                waiting.push(job);
            }
            Ok(Prepared { queue, outgoing, wait: None }) => {
                let outgoing = Outgoing { line: position, ..outgoing };
                let group = outgoing.group.as_ref().filter(|_| !stopped.is_empty());
                if group.is_some_and(|group| stopped.contains(&(queue.url().to_owned(), Arc::clone(group)))) {
                    let error = queue.out_of_order(&outgoing);
                    failed.push(FailedJob {
                        position,
                        job_type,
                        error,
                        prepared: Some(Prepared { queue, outgoing, wait: None }),
                    });
                    continue;
                }
                match queues.iter_mut().find(|(known, _)| *known == queue) {
                    Some((_, messages)) => messages.push(outgoing),
                    None => queues.push((queue, vec![outgoing])),
                }
            }
            Err(NotPrepared { error, group }) => {
                stopped.extend(group.map(|(queue, group)| (queue.url().to_owned(), group)));
                failed.push(FailedJob { position, job_type, error, prepared: None });
            }
        }
    }
    let outcomes = join_all(queues.into_iter().map(|(queue, messages)| async move {
        let outcomes = send_all_to(&queue, messages).await;
        (queue, outcomes)
    }));
    for (queue, outcomes) in outcomes.await {
        for (outgoing, result) in outcomes {
            let position = outgoing.line;
            match result {
                Ok(receipt) => sent.push((position, receipt)),
                Err(error) => failed.push(FailedJob {
                    position,
                    job_type: outgoing.job_type.clone(),
                    error,
                    prepared: Some(Prepared { queue: queue.clone(), outgoing, wait: None }),
                }),
            }
        }
    }
    for (job, result) in keep_all(waiting).await {
        let (position, job_type) = (job.outgoing.line, job.outgoing.job_type.clone());
        match result {
            Ok(receipt) => sent.push((position, receipt)),
            Err(error) => failed.push(FailedJob { position, job_type, error, prepared: Some(job) }),
        }
    }
    sent.sort_by_key(|(position, _)| *position);
    failed.sort_by_key(|job| job.position);
    if failed.is_empty() {
        Ok(sent.into_iter().map(|(_, receipt)| receipt).collect())
    } else {
        Err(PartialFailure { sent, failed })
    }
}

async fn send_all_to(queue: &TargetQueue, messages: Vec<Outgoing>) -> Vec<Outcome> {
    let batches = pack(messages);
    if queue.is_fifo() {
        return send_in_order(queue, batches).await;
    }
    let sending = stream::iter(batches).map(|batch| queue.send_batch(batch));
    sending.buffer_unordered(BATCHES_AT_ONCE).collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// Sends one batch after the other. After a job that was not sent, no later job of its group is sent, because it would run
/// first.
async fn send_in_order(queue: &TargetQueue, batches: Vec<Vec<Outgoing>>) -> Vec<Outcome> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut stopped: HashSet<Arc<str>> = HashSet::new();
    for batch in batches {
        let is_stopped =
            |message: &Outgoing| message.group.as_ref().is_some_and(|group| stopped.contains(group));
        let (left, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_stopped);
        outcomes.extend(left.into_iter().map(|message| {
            let error = queue.out_of_order(&message);
            (message, Err(error))
        }));
        if batch.is_empty() {
            continue;
        }
        let results = queue.send_batch(batch).await;
        let failed = results.iter().filter(|(_, result)| result.is_err());
        stopped.extend(failed.filter_map(|(message, _)| message.group.clone()));
        outcomes.extend(results);
    }
    outcomes
}

fn pack(messages: Vec<Outgoing>) -> Vec<Vec<Outgoing>> {
    let mut packer = Packer::default();
    let mut batches: Vec<_> = messages.into_iter().filter_map(|message| packer.push(message)).collect();
    batches.extend(packer.finish());
    batches
}
