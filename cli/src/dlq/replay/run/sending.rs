//! The steps of a batch: its plan is written to disk, its letters are sent to SQS, and the response is recorded.

use std::collections::HashSet;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::journal::{Left, Permitted, Plan};
use drumline_producer::{InDoubt, RESEND_WAIT, SendError, SendOptions, Sent, send_batch};
use drumline_runtime::aws::queue_name;

use super::parts::{Run, Stage, ToDelete};
use crate::dlq::replay::batches::{Batch, Candidate};
use crate::format::{note, now_ms};

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
                let in_doubt = InDoubt::once(is_fifo);
                let options = SendOptions { fifo: is_fifo, in_doubt };
                send_batch(&client, &queue, &options, outgoing).await
            }));
        }
    }

    /// Records SQS's response. The first deletes follow when the record is on disk.
    pub(super) async fn answered(&mut self, answer: Result<Vec<Sent>, SendError>) -> Result<(), ExitError> {
        self.stage = Stage::Idle;
        let Some(batch) = self.planned.take() else { return Ok(()) };
        let SendError { error, done, .. } = match answer {
            Ok(sent) => {
                self.note_answers(&batch, &sent, "SQS's answer does not mention it");
                return Ok(());
            }
            Err(failed) => failed,
        };
        let name = queue_name(&batch.url).to_owned();
        if error.is_in_doubt {
            let is_fifo = batch.is_fifo;
            let rest = self.plan_rest(batch, &done, &error.text);
            if !is_fifo && self.sent_again.is_none() {
                // One batch may be in its queue twice. For further batches this is unknown until the operator resumes the
                // replay.
                self.sent_again = self.journal.log.state().open().map(|plan| plan.batch);
                note(&format!("the answer to a batch is lost, and it is sent once more: {}", error.text));
                self.journal.log.send_again(now_ms());
                self.planned = Some(rest);
                self.stage = Stage::Writing(self.journal.begin_commit());
                return Ok(());
            }
        } else {
            // SQS has accepted none of the batch.
            self.journal.log.answered(&vec![Err(error.text.clone()); batch.letters.len()]);
        }
        let error = self.decider.queue.clients.in_context(error).await;
        Err(ExitError::sqs(error.kind, format!("{name} cannot be sent to: {}", error.text)))
    }

    /// Makes a new plan for the letters of a batch that SQS has not answered for: only they are in doubt.
    fn plan_rest(&mut self, mut batch: Batch, done: &[Sent], why: &str) -> Batch {
        let Some(plan) = self.journal.log.state().open().filter(|_| !done.is_empty()).cloned() else {
            return batch;
        };
        let answered: HashSet<usize> = done.iter().map(|(outgoing, _)| outgoing.line).collect();
        let is_left = |place: &usize| !answered.contains(place);
        let planned = plan.letters.iter().enumerate().filter(|(place, _)| is_left(place));
        let planned = planned.map(|(_, letter)| letter.clone()).collect();
        let (rest, answered): (Vec<_>, Vec<_>) =
            batch.letters.drain(..).enumerate().partition(|(place, _)| is_left(place));
        self.write_answers(plan.letters.len(), done, why);
        for (place, letter) in answered {
            if let Some((_, answer)) = done.iter().find(|(outgoing, _)| outgoing.line == place) {
                self.note_answer(&batch, &letter, answer);
            }
        }
        // Dated like the first attempt, by which SQS may have accepted them.
        self.journal.log.plan(plan.at, &plan.queue, planned);
        Batch { letters: rest.into_iter().map(|(_, letter)| letter).collect(), ..batch }
    }

    /// Records the responses to a batch. Letters without a response were not sent.
    fn note_answers(&mut self, batch: &Batch, sent: &[Sent], missing: &str) {
        let answers = self.write_answers(batch.letters.len(), sent, missing);
        for (letter, answer) in batch.letters.iter().zip(&answers) {
            self.note_answer(batch, letter, answer);
        }
    }

    fn write_answers(&mut self, letters: usize, sent: &[Sent], missing: &str) -> Vec<Result<String, String>> {
        let mut answers = vec![Err(missing.to_owned()); letters];
        for (outgoing, result) in sent {
            if let Some(answer) = answers.get_mut(outgoing.line) {
                answer.clone_from(result);
            }
        }
        self.journal.log.answered(&answers);
        answers
    }

    /// Counts a letter that was sent or stays. On a FIFO queue the letters behind a staying letter stay, too.
    fn note_answer(&mut self, batch: &Batch, letter: &Candidate, answer: &Result<String, String>) {
        let why = match answer {
            Ok(message) => return self.note_first(message, &batch.url, &letter.outgoing),
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
}
