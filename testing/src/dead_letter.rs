//! A message in the DLQ.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use drumline::message::{Attribute, from_json};
use drumline_queue::PeekedMessage;
use serde::Deserialize;

use crate::recorder::Recorder;
use crate::translate;

/// A message in the DLQ, with the reason of its last failure. Its `Display` form is one line.
///
/// ```
/// use drumline_testing::LocalQueue;
/// # use drumline::{Context, Failure, Job, Router};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "mail.welcome"; }
/// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Err(Failure::reject("no such user")) }
/// # fn router() -> Router { Router::new().handle(welcome) }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let local = LocalQueue::start(router()).await;
/// let id = local.job(&Welcome { user_id: 0 }).attribute("tenant", "blue").send();
/// local.until_idle().await;
/// let letter = &local.dead_letters()[0];
/// assert_eq!((&letter.message_id, letter.attributes["tenant"].as_text()), (&id, Some("blue")));
/// assert_eq!(letter.to_string(), format!("mail.welcome, message {id}: no such user"));
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The id of the message that failed. With `permanent_failures = "dead-letter"` this is the id of the original, not of the
    /// copy.
    pub message_id: Arc<str>,
    /// The job type named in the body or in the attribute `messageType`.
    pub job_type: Option<String>,
    /// The reason of the last failure. `None` if no run of the message ended.
    pub reason: Option<String>,
    /// The number of receives of the original message.
    pub receive_count: u32,
    /// The body.
    pub body: String,
    /// The attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// The message group.
    pub group: Option<String>,
}

/// The type in the native envelope and in CloudEvents.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    job_type: String,
}

impl DeadLetter {
    pub(crate) fn of(message: PeekedMessage, recorder: &Recorder) -> Self {
        let attributes = translate::attributes(&message.attributes);
        let text = |name: &str| attributes.get(name).and_then(Attribute::as_text).map(str::to_owned);
        // A copy starts with a receive count of its own: report the original's.
        let (message_id, receive_count) = match text("DrumlineMessageId") {
            Some(original) => {
                let receives = recorder.receives(&original);
                (Arc::from(original), receives.unwrap_or(message.receive_count))
            }
            None => (message.message_id, message.receive_count),
        };
        let run = recorder.last_run(&message_id);
        let reason = text("DrumlineReason").or_else(|| run.as_ref()?.reason().map(str::to_owned));
        let typed = || from_json::<Typed>(&message.body).ok().map(|typed| typed.job_type);
        Self {
            job_type: text("messageType").or_else(typed),
            reason,
            receive_count,
            body: message.body.to_string(),
            group: message.message_group_id.map(|group| group.to_string()),
            message_id,
            attributes,
        }
    }
}

impl fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job_type = self.job_type.as_deref().unwrap_or("no type");
        let reason = self.reason.as_deref().unwrap_or("no run of it ended");
        write!(f, "{job_type}, message {}: {reason}", self.message_id)
    }
}
