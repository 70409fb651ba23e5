//! Before a message is sent: the reasons for which a run would refuse it, without running anything.

use crate::api::decoded::{Decoded, TypedJob};
use crate::api::router::Router;
use crate::core::reason::{bounded, panic_message};
use crate::message::encoded_body::EncodedBody;
use crate::message::intake::Intake;
use crate::message::sqs_message::Message;
use crate::run::claiming::Work;

/// The result of [`Router::precheck`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precheck {
    /// A run would pass the job to its handler, unless the store objects.
    Accepted,
    /// A run would fail permanently before its handler begins, or panic, for this reason.
    Refused(String),
    /// This router cannot know, for this reason: it has no handler for the type or not for its version, or it hands messages on
    /// unchanged.
    NotChecked(String),
}

impl Router {
    /// Checks a message as a run does at its beginning: its envelope, its type and version, its payload, the keys that its code
    /// computes, and the fields that its queue requires. Runs no handler and no layer, so a payload that only a layer makes
    /// readable is refused. Upcasters, `Deserialize` and the code of keys do run.
    ///
    /// ```
    /// use drumline::message::{Intake, Message};
    /// use drumline::run::Precheck;
    /// use drumline::{Context, Failure, Job, Router};
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Welcome {
    ///     user_id: u64,
    /// }
    /// impl Job for Welcome {
    ///     const TYPE: &'static str = "welcome";
    /// }
    /// async fn welcome(_: Context, welcome: Welcome) -> Result<(), Failure> {
    ///     println!("welcome, {}", welcome.user_id);
    ///     Ok(())
    /// }
    ///
    /// let router = Router::new().handle(welcome);
    /// let body = r#"{"type":"welcome","payload":{"user_id":"seven"}}"#;
    /// let message = Message { body: body.into(), ..Message::default() };
    /// let Precheck::Refused(reason) = router.precheck(&message, &Intake::default()) else { panic!() };
    /// assert!(reason.starts_with("the payload does not fit welcome: invalid type: string"));
    /// ```
    pub fn precheck(&self, message: &Message, intake: &Intake) -> Precheck {
        if self.passthrough_route().is_some() {
            return Precheck::NotChecked("messages are handed on as they are".to_owned());
        }
        match EncodedBody::of(message) {
            Ok(None) => {}
            Ok(Some(_)) => return Precheck::NotChecked("the payload is in S3 or compressed".to_owned()),
            Err(error) => return Precheck::Refused(bounded(error.0)),
        }
        let envelope = match intake.decode(message) {
            Ok(envelope) => envelope,
            Err(error) => return Precheck::Refused(bounded(error.0)),
        };
        let Some(route) = self.route(&envelope.job_type) else {
            if envelope.is_s3_test {
                return Precheck::Accepted;
            }
            return Precheck::NotChecked(bounded(self.missing(&envelope.job_type)));
        };
        if let Some(reason) = route.newer(envelope.version) {
            return Precheck::NotChecked(reason);
        }
        let mut work = Work::new(route, message, Some(envelope), intake);
        let Decoded { job, keys } = match route.decode(work.version, &work.payload) {
            Ok(decoded) => decoded,
            Err(panic) => return panicked(panic.as_ref()),
        };
        if let Err(ending) = work.take_key(keys.as_ref()) {
            return Precheck::Refused(ending.reason().unwrap_or_default().to_owned());
        }
        match job {
            TypedJob::Valid(_) | TypedJob::Undecoded => Precheck::Accepted,
            TypedJob::Invalid(failure) => Precheck::Refused(failure.reason().to_owned()),
            TypedJob::Panicked(panic) => panicked(panic.as_ref()),
        }
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Precheck {
    Precheck::Refused(bounded(format!("its code panics: {}", panic_message(panic))))
}

#[cfg(test)]
#[path = "precheck_tests.rs"]
mod tests;
