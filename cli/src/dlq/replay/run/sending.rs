//! A batch on its way: its plan to the disk, its letters to SQS, and the answer back.

use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::journal::{Left, Permitted, Plan};
use drumline_producer::{InDoubt, SendOptions, Sent, send_batch};
use drumline_runtime::SqsError;
use drumline_runtime::aws::queue_name;

use super::parts::{Run, Stage, ToDelete};
use crate::format::{note, now_ms};

/// The wait before a batch is sent once more, since the answer to it was lost.
const RESEND_WAIT: Duration = Duration::from_secs(1);

impl Run<'_> {
    pub(super) fn written(&mut self, written: std::io::Result<()>) -> Result<(), ExitError> {
        let Stage::Writing(commit) = std::mem::replace(&mut self.stage, Stage::Idle) else { return Ok(()) };
        let permitted = self.journal.end_commit(commit.bytes(), written)?;
        self.permit(permitted);
        Ok(())
    }

    pub(super) fn permit(&mut self, permitted: Permitted) {
        let Permitted { send, delete } = permitted;
        let letters: Vec<ToDelete> = delete
            .iter()
            .filter_map(|(batch, place, letter)| ToDelete::planned(*batch, *place, letter))
            .collect();
        if !letters.is_empty() {
            self.delete_held(letters);
        }
        if let Some(Plan { queue, batch: number, .. }) = send
            && let Some(batch) = &self.planned
            && let Some(target) = self.decider.origins.with_url(&queue)
        {
            let (client, is_fifo) = (target.client.clone(), batch.is_fifo);
            let outgoing = batch.letters.iter().enumerate();
            let outgoing = outgoing.map(|(place, letter)| {
                let mut outgoing = letter.outgoing.clone();
                outgoing.line = place;
                outgoing
            });
            let outgoing = outgoing.collect();
            let wait = if self.sent_again == Some(number) { RESEND_WAIT } else { Duration::ZERO };
            self.stage = Stage::Sending(tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                // A FIFO queue drops a batch that it has taken already.
                let in_doubt = if is_fifo { InDoubt::SendAgain } else { InDoubt::Stop };
                let options = SendOptions { delay_secs: None, fifo: is_fifo, in_doubt };
                send_batch(&client, &queue, &options, outgoing).await
            }));
        }
    }

    /// Writes SQS's answer down. The first deletes follow when it is on disk.
    pub(super) async fn answered(&mut self, answer: Result<Vec<Sent>, SqsError>) -> Result<(), ExitError> {
        self.stage = Stage::Idle;
        let Some(batch) = self.planned.take() else { return Ok(()) };
        let sent = match answer {
            Ok(sent) => sent,
            Err(error) if error.is_in_doubt && !batch.is_fifo && self.sent_again.is_none() => {
                // One batch may be in its queue twice: of further ones that is not known before the operator resumes the replay.
                self.sent_again = self.journal.log.state().open().map(|plan| plan.batch);
                note(&format!("the answer to a batch is lost, and it is sent once more: {}", error.text));
                self.journal.log.send_again(now_ms());
                self.planned = Some(batch);
                self.stage = Stage::Writing(self.journal.begin_commit());
                return Ok(());
            }
            Err(error) => {
                // SQS may have taken it, if its answer was lost: then the plan stays in doubt, and a resume sends it again.
                if !error.kind.passes() {
                    let text = error.text.clone();
                    self.journal.log.answered(&vec![Err(text); batch.letters.len()]);
                }
                let error = self.decider.queue.clients.in_context(error).await;
                let name = queue_name(&batch.url);
                return Err(ExitError::sqs(error.kind, format!("{name} cannot be sent to: {}", error.text)));
            }
        };
        let mut answers = vec![Err("SQS's answer does not mention it".to_owned()); batch.letters.len()];
        for (outgoing, result) in sent {
            if let Some(answer) = answers.get_mut(outgoing.line) {
                *answer = result;
            }
        }
        self.journal.log.answered(&answers);
        for (letter, answer) in batch.letters.iter().zip(&answers) {
            let why = match answer {
                Ok(message) => {
                    self.note_first(message, &batch.url, &letter.outgoing);
                    continue;
                }
                Err(why) => why,
            };
            self.not_sent(1);
            self.leave(&letter.letter, Left::SendFailed, why);
            if batch.is_fifo
                && let Some(group) = &letter.outgoing.group
            {
                self.decider.order.stay_all(&batch.url, group);
                let behind = self.batches.take_group(&batch.url, group);
                self.not_sent(behind.len());
                for behind in behind {
                    self.leave(&behind.letter, Left::BehindOther, &Left::BehindOther.to_string());
                }
            }
        }
        Ok(())
    }
}
