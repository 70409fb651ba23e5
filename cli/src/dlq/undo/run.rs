//! Sends the letters of an undo batch by batch. Each batch is recorded on disk before the next one is sent.

use std::collections::HashSet;
use std::sync::Arc;

use drumline_consumer::ExitError;
use drumline_dlq::action::Counts;
use drumline_dlq::journal::deduplication_id;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::line::Exported;
use drumline_dlq::undo::put_back;
use drumline_producer::{InDoubt, Outgoing, Packer, RESEND_WAIT, SendError, SendOptions, Sent, send_batch};
use drumline_runtime::aws::is_fifo;

use super::export::Export;
use super::progress::Progress;
use crate::dlq::action_log::ActionLog;
use crate::dlq::queue::DeadLetterQueue;
use crate::format::note;

/// The result of an undo.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) put_back: usize,
    /// True if a batch was sent again because the response to it was lost. After a second lost response the operator must
    /// decide.
    has_sent_again: bool,
    /// The number of letters of batches whose responses were lost. They may have been sent twice.
    pub(super) doubtful: usize,
    /// The number of letters that SQS refused, and the reason for the last of them.
    pub(super) left: usize,
    pub(super) why: Option<String>,
    /// The number of letters without room for their origin, and for their message's id.
    pub(super) lack_origin: usize,
    pub(super) lack_id: usize,
}

impl Tally {
    pub(super) fn counts(&self) -> Counts {
        let counts = [("putBack", self.put_back), ("left", self.left)];
        counts.into_iter().map(|(name, count)| (name.to_owned(), count as u64)).collect()
    }
}

/// Returns true if a letter must be put back: it was not put back before, and is not in the DLQ.
pub(super) fn is_wanted(exported: &Exported, progress: &Progress, kept: &HashSet<LetterId>) -> bool {
    !progress.was_sent(exported.line) && !kept.contains(&LetterId::of(&exported.message.id))
}

/// Puts back all letters that must be put back.
pub(super) async fn put_all_back(
    queue: &DeadLetterQueue,
    undone: &str,
    mut export: Export,
    kept: &HashSet<LetterId>,
    progress: &mut Progress,
    tally: &mut Tally,
    log: &ActionLog,
) -> Result<(), ExitError> {
    let fifo = is_fifo(&queue.name);
    let options = SendOptions { fifo, in_doubt: InDoubt::once(fifo) };
    let mut packer = Packer::default();
    while let Some(exported) = export.next().await? {
        if !is_wanted(&exported, progress, kept) {
            continue;
        }
        if let Some(batch) = packer.push(outgoing(exported, undone, tally)) {
            send(queue, &options, batch, progress, tally, log).await?;
        }
    }
    match packer.finish() {
        Some(batch) => send(queue, &options, batch, progress, tally, log).await,
        None => Ok(()),
    }
}

fn outgoing(exported: Exported, undone: &str, tally: &mut Tally) -> Outgoing {
    let Exported { line, message, .. } = exported;
    let back = put_back(&message);
    tally.lack_origin += usize::from(back.lacks_origin);
    tally.lack_id += usize::from(back.lacks_id);
    Outgoing {
        line: usize::try_from(line).unwrap_or(usize::MAX),
        attributes: Arc::new(back.attributes),
        // The same id when an undo is resumed: SQS drops a message that is sent twice within five minutes.
        deduplication_id: deduplication_id(&format!("undo {undone}"), &message.id),
        group: message.group.as_deref().map(Arc::from),
        trace_header: message.trace_header.clone(),
        job_type: exported.job_type.unwrap_or_default(),
        body: message.body,
        ..Outgoing::default()
    }
}

async fn send(
    queue: &DeadLetterQueue,
    options: &SendOptions,
    batch: Vec<Outgoing>,
    progress: &mut Progress,
    tally: &mut Tally,
    log: &ActionLog,
) -> Result<(), ExitError> {
    let client = &queue.clients.calls;
    let (mut left, mut was_in_doubt) = (batch, false);
    loop {
        let answer = send_batch(client, &queue.url, options, left).await;
        let (sent, failed) = match answer {
            Ok(sent) => (sent, None),
            Err(SendError { error, done, left, .. }) => (done, Some((error, left))),
        };
        note_sent(sent, progress, tally)?;
        let Some((error, rest)) = failed else { break };
        if error.is_in_doubt && !std::mem::replace(&mut was_in_doubt, true) {
            tally.doubtful += rest.len();
        }
        let may_send_again = error.is_in_doubt && options.in_doubt == InDoubt::Stop;
        if !may_send_again || std::mem::replace(&mut tally.has_sent_again, true) {
            let text = format!("{} cannot be sent to: {}", queue.name, error.text);
            return Err(ExitError::sqs(error.kind, text));
        }
        note(&format!("the answer to a batch is lost, and it is sent once more: {}", error.text));
        tokio::time::sleep(RESEND_WAIT).await;
        left = rest;
    }
    log.report(tally.counts());
    log.stop_asked().map_or(Ok(()), |reason| Err(ExitError::other(reason)))
}

/// Records which letters are in the DLQ again.
fn note_sent(sent: Vec<Sent>, progress: &mut Progress, tally: &mut Tally) -> Result<(), ExitError> {
    let mut lines = Vec::new();
    for (message, result) in sent {
        match result {
            Ok(_) => lines.push(message.line as u64),
            Err(why) => {
                tally.left += 1;
                tally.why = Some(why);
            }
        }
    }
    progress.add(&lines)?;
    tally.put_back += lines.len();
    Ok(())
}
