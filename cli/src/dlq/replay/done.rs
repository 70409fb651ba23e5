//! Letters whose jobs are already done: sent, left, or known to have been sent.

use std::sync::Arc;

use drumline::message::{Intake, Message, TYPE_ATTRIBUTE};
use drumline_dlq::Letter;
use drumline_producer::Outgoing;
use drumline_runtime::Settings;
use url::Url;

use crate::dlq::done_jobs::{DoneJob, LetterJob, done_jobs};
use crate::job_lookup::{Histories, LookupError};

/// The effect of done jobs on a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Consequence {
    /// No job is done: the letter is sent.
    Send,
    /// The letter is sent although its job is done. The records under these keys are deleted.
    RunAgain(Vec<String>),
    /// The letter stays, for this reason.
    Leave(&'static str),
    /// An interrupted batch has sent the letter.
    WasSent,
}

/// The done jobs that may be the job of a letter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DoneJobs {
    /// Jobs that match the letter as it is in the DLQ, if its changes make it another job.
    before: Vec<DoneJob>,
    /// Jobs that match the letter as it is sent.
    sent: Vec<DoneJob>,
}

/// The identity by which a job is looked up.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    id: String,
    job_type: String,
    source: Option<Arc<str>>,
}

/// Returns true if a worker would see another job or another payload than those of the letter.
pub(super) fn is_changed(letter: &Message, sent: &Outgoing) -> bool {
    sent.body != letter.body || sent.attributes.get(TYPE_ATTRIBUTE) != letter.attributes.get(TYPE_ATTRIBUTE)
}

/// Returns the identity of the job that is sent, and that of the unchanged letter if it differs.
fn names(letter: &Letter, sent: &Outgoing, intake: &Intake) -> (Name, Option<Name>) {
    let source = letter.envelope().ok().and_then(|envelope| envelope.source.clone());
    let before = Name {
        id: letter.job_id().to_owned(),
        job_type: letter.job_type().unwrap_or_default().to_owned(),
        source: source.clone(),
    };
    let message =
        Message { body: sent.body.clone(), attributes: (*sent.attributes).clone(), ..Message::default() };
    let after = Name {
        id: sent.job_id.as_deref().unwrap_or(letter.job_id()).to_owned(),
        job_type: sent.job_type.clone(),
        source: intake.decode(&message).map_or(source, |envelope| envelope.source),
    };
    let before = Some(before).filter(|before| *before != after);
    (after, before)
}

impl DoneJobs {
    /// Looks up the done jobs of a letter that is sent to the queue with this URL.
    pub(super) async fn find(
        histories: &Histories,
        settings: &Settings,
        intake: &Intake,
        letter: &Letter,
        (queue_url, sent): (&str, &Outgoing),
    ) -> Result<Self, LookupError> {
        let queue = Url::parse(queue_url).ok().map(|url| settings.for_queue(&url));
        let find = async |name: &Name| {
            let scope = queue.as_ref().and_then(|queue| {
                queue.scope_by_type.get(&name.job_type).or(queue.scope.as_ref()).map(|scope| &**scope)
            });
            let job = LetterJob {
                id: &name.id,
                job_type: &name.job_type,
                source: name.source.as_deref().filter(|source| !source.is_empty()),
                scope,
                queue_url,
                message: letter.original_id(),
            };
            done_jobs(histories, job).await
        };
        let (after, before) = names(letter, sent, intake);
        let before = match &before {
            Some(before) => find(before).await?,
            None => Vec::new(),
        };
        Ok(Self { before, sent: find(&after).await? })
    }

    /// Returns the effect on the letter. `again` lets done jobs run again. `interrupted_at` is the time of a batch that may
    /// have sent the letter.
    pub(super) fn consequence(&self, again: bool, interrupted_at: Option<u64>) -> Consequence {
        if self.before.is_empty() && self.sent.is_empty() {
            return Consequence::Send;
        }
        if let Some(at) = interrupted_at {
            // Marks are deleted before a plan is on disk, so a job that was done later has run since.
            let has_run = |job: &DoneJob| {
                job.is_certain && !job.is_own_message && job.finished_at_ms.is_some_and(|done| done >= at)
            };
            return if self.sent.iter().any(has_run) {
                Consequence::WasSent
            } else {
                Consequence::Leave("its job is done, and it may have been sent by the interrupted batch")
            };
        }
        if !again {
            return Consequence::Leave("its job is done");
        }
        if self.sent.iter().any(|job| !job.is_certain) {
            return Consequence::Leave(
                "a job of its id and type is done, perhaps another one: its scope or source is not known (DRUMLINE_SCOPE)",
            );
        }
        Consequence::RunAgain(self.sent.iter().map(|job| job.key.clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use drumline::message::Attribute;
    use drumline_dlq::fix::{Fix, apply};

    use super::*;
    use crate::dlq::replay::outgoing::outgoing;

    fn done(finished_at_ms: u64) -> DoneJob {
        DoneJob {
            key: "key".to_owned(),
            is_certain: true,
            is_own_message: false,
            finished_at_ms: Some(finished_at_ms),
        }
    }

    #[test]
    fn a_letter_in_doubt_was_sent_if_its_job_is_done_since() {
        let left = |jobs: DoneJobs| matches!(jobs.consequence(true, Some(7)), Consequence::Leave(_));
        let sent = |job| DoneJobs { before: Vec::new(), sent: vec![job] };
        for again in [false, true] {
            assert_eq!(sent(done(7)).consequence(again, Some(7)), Consequence::WasSent);
        }
        assert!(left(sent(done(6))), "it was done when the batch was planned");
        assert!(left(sent(DoneJob { finished_at_ms: None, ..done(8) })));
        assert!(left(sent(DoneJob { is_certain: false, ..done(8) })), "perhaps another job");
        assert!(left(sent(DoneJob { is_own_message: true, ..done(8) })), "in the letter itself");
        assert!(left(DoneJobs { before: vec![done(8)], sent: Vec::new() }), "by its type of before");
        assert_eq!(DoneJobs::default().consequence(false, Some(7)), Consequence::Send);
    }

    #[test]
    fn a_done_job_runs_again_only_by_consent() {
        let both =
            DoneJobs { before: vec![done(1)], sent: vec![DoneJob { key: "new".to_owned(), ..done(1) }] };
        let before = DoneJobs { before: vec![done(1)], sent: Vec::new() };
        for jobs in [&both, &before] {
            assert_eq!(jobs.consequence(false, None), Consequence::Leave("its job is done"));
        }
        assert_eq!(both.consequence(true, None), Consequence::RunAgain(vec!["new".to_owned()]));
        assert_eq!(before.consequence(true, None), Consequence::RunAgain(Vec::new()));
        let doubtful = DoneJobs { before: Vec::new(), sent: vec![DoneJob { is_certain: false, ..done(1) }] };
        assert!(matches!(doubtful.consequence(true, None), Consequence::Leave(_)));
    }

    #[test]
    fn after_a_change_of_type_both_jobs_are_looked_up() {
        let intake = Intake::default();
        let message = Message {
            id: "m-1".into(),
            body: "raw".to_owned(),
            attributes: BTreeMap::from([(TYPE_ATTRIBUTE.to_owned(), Attribute::text("a.b"))]),
            ..Message::default()
        };
        let letter = Letter::new(message, &intake);
        let sent = |fixes: &[Fix]| {
            let fixed = apply(&letter, fixes, &intake).unwrap();
            outgoing(&letter, &fixed, &intake, "INC-42").unwrap()
        };
        let same = sent(&[]);
        assert!(!is_changed(letter.message(), &same));
        assert_eq!(names(&letter, &same, &intake).1, None);
        let retyped = sent(&[Fix::type_to("c.d")]);
        assert!(retyped.body == letter.message().body && is_changed(letter.message(), &retyped));
        let (after, before) = names(&letter, &retyped, &intake);
        assert_eq!((&*after.job_type, &*after.id), ("c.d", "m-1"));
        assert_eq!(before.map(|before| before.job_type).as_deref(), Some("a.b"));
    }

    #[test]
    fn a_letter_has_the_source_of_its_event() {
        let intake = Intake::default();
        let event = |source: &str| {
            format!(r#"{{"specversion":"1.0","type":"a.b","id":"1","source":"{source}","data":{{}}}}"#)
        };
        let message = Message { id: "m-1".into(), body: event("/a"), ..Message::default() };
        let letter = Letter::new(message, &intake);
        let fixed = apply(&letter, &[Fix::set("/source=/b").unwrap()], &intake).unwrap();
        let sent = outgoing(&letter, &fixed, &intake, "INC-42").unwrap();
        let (after, before) = names(&letter, &sent, &intake);
        assert_eq!(after.source.as_deref(), Some("/b"));
        assert_eq!(before.unwrap().source.as_deref(), Some("/a"));
    }
}
