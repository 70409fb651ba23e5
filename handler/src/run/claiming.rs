//! Before the handler: the identity of a job, its claim, and the ending if the claim is not granted.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use serde_json::value::RawValue;

use crate::api::decoded::Keys;
use crate::api::router::{Route, passthrough_type};
use crate::core::claim::{
    Claim, ClaimRequest, ClaimResult, ClaimStep, Claimed, Grant, MAX_KEY_BYTES, PriorRun,
};
use crate::core::ending::{Duplicate, DuplicateCause, Ending};
use crate::core::next_job::is_next_job_id;
use crate::core::reason::bounded;
use crate::message::aws_events::SNS_REPLAYED;
use crate::message::envelope::Envelope;
use crate::message::identity::{Identity, KeyScope, MAX_SOURCE_BYTES, MAX_TYPE_BYTES};
use crate::message::intake::{Intake, RequiredFields};
use crate::message::job_id_attribute::JobIdAttribute;
use crate::message::payload_hash::{json_payload_hash, payload_hash};
use crate::message::sqs_message::{Attribute, Message};
use crate::run::attempt::Attempt;

/// A job, decoded as far as is possible without its handler.
pub(crate) struct Work {
    pub(crate) job_type: Arc<str>,
    pub(crate) version: u32,
    pub(crate) job_id: Option<Arc<str>>,
    pub(crate) idempotency_key: Option<Arc<str>>,
    pub(crate) source: Option<Arc<str>>,
    pub(crate) correlation_id: Option<Arc<str>>,
    pub(crate) attributes: BTreeMap<String, Attribute>,
    pub(crate) payload: Box<RawValue>,
    /// The identity according to the envelope, until the job's own key is known.
    pub(crate) identity: Arc<Identity>,
    /// The lock that another job holds, once the store has reported it.
    pub(crate) busy_lock: Option<Arc<str>>,
    required: RequiredFields,
    is_replay: bool,
    is_named: bool,
    replay: Option<Replay>,
    /// The message is handed on unchanged, and its body is the payload.
    is_raw: bool,
}

/// The relation of a message that names its job in an attribute to the message that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    Same,
    Changed,
}

/// The state with which a handler starts.
pub(crate) struct Admitted {
    pub(crate) attempt: NonZeroU32,
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) checkpoint: Option<Box<RawValue>>,
    /// The new deadline, if the run had to wait before its handler.
    pub(crate) deadline: Option<Instant>,
}

impl Work {
    pub(crate) fn new(route: &Route, message: &Message, envelope: Option<Envelope>, intake: &Intake) -> Self {
        let is_raw = envelope.is_none();
        let envelope = envelope
            .unwrap_or_else(|| Envelope::bare(&*passthrough_type(message, route), RawValue::NULL.to_owned()));
        // A known type shares the route's name; an undecoded message has its own.
        let job_type = if *route.job_type.name == envelope.job_type {
            Arc::clone(&route.job_type.name)
        } else {
            envelope.job_type.as_str().into()
        };
        let identity = identity(intake, &job_type, &envelope, message);
        let replay = named(&envelope, message)
            .map(|attribute| if attribute.is_changed { Replay::Changed } else { Replay::Same });
        // S3's test event has no producer that could add a field.
        let required =
            if envelope.is_s3_test { RequiredFields::default() } else { intake.required_of(&job_type) };
        Self {
            job_type,
            version: envelope.version,
            job_id: envelope.job_id,
            idempotency_key: envelope.idempotency_key,
            source: envelope.source,
            correlation_id: envelope.correlation_id.map(Arc::from),
            attributes: envelope.attributes,
            payload: envelope.payload,
            identity: Arc::new(identity),
            is_replay: envelope.is_replay,
            busy_lock: None,
            required,
            is_named: envelope.is_named || replay.is_some(),
            replay,
            is_raw,
        }
    }

    /// Requests the job's claim from the host. `keys` are those that its code computes, `None` if its payload could not be
    /// decoded.
    pub(crate) async fn admit(&mut self, keys: Option<Keys>, attempt: &Attempt) -> Result<Admitted, Ending> {
        let mut request = self.request(keys, attempt)?;
        let mut admission = ask(&mut request, attempt).await?;
        let mut is_resumed = true;
        if self.is_changed_message() && matches!(admission, ClaimResult::Mismatch) {
            // The job runs or is done with its first payload.
            request.payload_hash = 0;
            admission = ask(&mut request, attempt).await?;
            is_resumed = false;
        }
        let lock = request.lock;
        let id = self.identity.id();
        match admission {
            ClaimResult::Unclaimed => {
                Ok(Admitted { attempt: attempt.number, claim: None, checkpoint: None, deadline: None })
            }
            ClaimResult::Granted(Grant { claim, attempt: number, checkpoint, takeover }) => {
                let granted = Arc::clone(&claim);
                let (answer, waits) = match takeover {
                    None => (Claimed::Granted(granted), false),
                    Some(takeover) => (Claimed::TakenOver(granted, takeover), true),
                };
                attempt.host.claimed(attempt.delivery, answer).await;
                if attempt.control.cancelled().is_some() {
                    // The handler would be stopped immediately after its start.
                    return Err(Ending::StoreUnavailable { reason: "the claim came too late".to_owned() });
                }
                let deadline = if waits { Some(until_begin(attempt).await?) } else { None };
                let checkpoint = checkpoint.filter(|_| is_resumed);
                Ok(Admitted { attempt: number, claim: Some(claim), checkpoint, deadline })
            }
            ClaimResult::Done(prior) => Err(self.done_before(*prior, &attempt.message)),
            ClaimResult::FailedPermanently(reason) => {
                Err(Ending::FailedPermanently { reason: bounded(reason) })
            }
            ClaimResult::Busy(remaining) => {
                Err(held(remaining, "another worker or message runs the job", id))
            }
            ClaimResult::Locked(remaining) => {
                self.busy_lock = lock.as_deref().map(Arc::from);
                Err(held(remaining, "another job has the lock", &lock.unwrap_or_default()))
            }
            ClaimResult::Mismatch => Err(Ending::Rejected {
                reason: bounded(format!(
                    "the job {id:?} of this type and scope runs or has run with another payload: a new job needs an \
                     idempotencyKey or jobId of its own"
                )),
            }),
        }
    }

    fn done_before(&self, prior: PriorRun, message: &Message) -> Ending {
        let cause = if prior.message_id == *message.id {
            DuplicateCause::Redelivered
        } else if self.is_replay || self.replay.is_some() || message.attribute(SNS_REPLAYED).is_some() {
            DuplicateCause::Replayed
        } else {
            DuplicateCause::Duplicate
        };
        Ending::DoneBefore(Box::new(Duplicate { cause, prior }))
    }

    fn request(&mut self, keys: Option<Keys>, attempt: &Attempt) -> Result<ClaimRequest, Ending> {
        let message = &attempt.message;
        self.take_key(keys.as_ref())?;
        let Keys { idempotency_key, scope, lock } = keys.unwrap_or_default();
        // The text is the same as the computed key, and is shared since the key was taken.
        let computed = idempotency_key.and_then(|_| self.idempotency_key.clone());
        let is_global = computed.is_some() && scope == KeyScope::Global;
        if let Some(key) = computed {
            let job_id = Arc::clone(self.identity.job_id());
            let job_scope = Arc::clone(self.identity.scope());
            let identity = match scope {
                KeyScope::Job => {
                    Identity::new(job_scope, Arc::clone(&self.job_type), self.source.as_deref(), key)
                }
                KeyScope::Global => Identity::global(job_scope, Arc::clone(&self.job_type), key),
            };
            self.identity = Arc::new(identity.with_job_id(job_id));
        }
        // Version 0.1 knew no scope but the queue's name. Records of a scope with another meaning do not count.
        let before_queue = self.identity.scope().strip_suffix(&*attempt.queue);
        let is_of_queue = before_queue.is_some_and(|before| before.is_empty() || before.ends_with(':'));
        let looks_up_old = attempt.intake.legacy_keys && is_of_queue;
        // A message does not change: under its own id the payload is always the same, unless a replay has changed it. Payloads
        // of several types share a global key.
        let id = self.identity.id();
        let is_unchanged = self.is_message() && !self.is_changed_message();
        let payload_hash = if is_unchanged || is_global || self.follows() {
            0
        } else if self.is_raw {
            payload_hash(&self.job_type, &message.body)
        } else {
            json_payload_hash(&self.job_type, &self.payload)
        };
        Ok(ClaimRequest {
            legacy_key: (looks_up_old && !is_global).then(|| Arc::clone(id)),
            identity: Arc::clone(&self.identity),
            payload_hash,
            lock,
            length: attempt.claim_length,
            queue: Arc::clone(&attempt.queue),
            message_id: Arc::clone(&message.id),
            receive_count: attempt.number.get(),
        })
    }

    /// Returns true if the job's only id is that of its message, or of the message that is replayed.
    fn is_message(&self) -> bool {
        self.idempotency_key.is_none() && self.job_id.is_none()
    }

    fn is_changed_message(&self) -> bool {
        self.is_message() && self.replay == Some(Replay::Changed)
    }

    /// Returns true for a job that follows on another one. Each attempt at that one may give it another payload, but it is the
    /// same job.
    fn follows(&self) -> bool {
        self.job_id.as_deref().is_some_and(is_next_job_id)
    }

    /// Takes the key that the job's code computes, and makes all checks of the job that need no store. `keys` is `None` if the
    /// payload could not be decoded.
    pub(crate) fn take_key(&mut self, keys: Option<&Keys>) -> Result<(), Ending> {
        if let Some(key) = keys.and_then(|keys| keys.idempotency_key.as_deref()) {
            self.idempotency_key = Some(key.into());
        }
        // If the payload does not fit, the job's code might have computed a key, so the key is not reported as missing.
        self.check(keys.and_then(|keys| keys.lock.as_deref()), keys.is_none())
    }

    /// Checks that the message has all that its queue requires, and no value that is too long for the store.
    fn check(&self, lock: Option<&str>, may_have_key: bool) -> Result<(), Ending> {
        let has_key = self.idempotency_key.is_some() || may_have_key;
        if let Some(missing) = self.required.missing(has_key, self.is_named) {
            let has_aws_id = !self.is_named && self.job_id.is_some();
            let hint =
                if missing == "jobId" && has_aws_id { ": AWS assigned the id that it has" } else { "" };
            return Err(Ending::InvalidPayload {
                reason: format!("the message has no `{missing}`, which its queue or type requires{hint}"),
            });
        }
        let texts = [
            ("type", Some(&*self.job_type), MAX_TYPE_BYTES),
            ("source", self.source.as_deref(), MAX_SOURCE_BYTES),
            ("jobId", self.job_id.as_deref(), MAX_KEY_BYTES),
            ("idempotency key", self.idempotency_key.as_deref(), MAX_KEY_BYTES),
            ("lock", lock, MAX_KEY_BYTES),
        ];
        for (name, text, most) in texts {
            if text.is_some_and(|text| text.len() > most) {
                return Err(Ending::InvalidPayload {
                    reason: format!("the {name} has more than {most} bytes"),
                });
            }
        }
        Ok(())
    }
}

/// Requests a claim until the store responds. The ledger decides whether the run repeats the request, runs without a claim or
/// gives up.
async fn ask(request: &mut ClaimRequest, attempt: &Attempt) -> Result<ClaimResult, Ending> {
    let Attempt { host, control, delivery, .. } = attempt;
    loop {
        let error = match select(host.claim(request), pin!(control.until_aborted())).await {
            Either::Left((Ok(admission), _)) => return Ok(admission),
            Either::Left((Err(error), _)) => error,
            // If the claim is granted anyway, it expires.
            Either::Right(((), _)) => {
                let reason = "the store did not answer in time".to_owned();
                return Err(Ending::StoreUnavailable { reason });
            }
        };
        host.claimed(*delivery, Claimed::Unanswered(error.clone())).await;
        match select(pin!(control.until_claim_step()), pin!(control.until_cancelled())).await {
            Either::Left((ClaimStep::Ask(length), _)) => request.length = length,
            Either::Left((ClaimStep::RunUnclaimed, _)) => return Ok(ClaimResult::Unclaimed),
            Either::Left((ClaimStep::GiveUp | ClaimStep::Begin(_), _)) | Either::Right(_) => {
                let reason = bounded(format!("the store does not answer: {error}"));
                return Err(Ending::StoreUnavailable { reason });
            }
        }
    }
}

/// Waits until the ledger starts a run whose claim was taken over. Returns its deadline.
async fn until_begin(attempt: &Attempt) -> Result<Instant, Ending> {
    let control = &attempt.control;
    match select(pin!(control.until_claim_step()), pin!(control.until_cancelled())).await {
        Either::Left((ClaimStep::Begin(deadline), _)) => Ok(deadline),
        Either::Left(_) | Either::Right(_) => Err(Ending::Interrupted),
    }
}

/// The identity of a job according to its envelope. The key that the job's code computes is added later.
pub(crate) fn identity(
    intake: &Intake,
    job_type: &Arc<str>,
    envelope: &Envelope,
    message: &Message,
) -> Identity {
    // An id that is too long for the store fails the job, and its history is found by the message's id.
    let kept = |id: &Option<Arc<str>>| id.as_ref().filter(|id| id.len() <= MAX_KEY_BYTES).cloned();
    let (job_id, key) = (kept(&envelope.job_id), kept(&envelope.idempotency_key));
    let (scope, source) = (Arc::clone(intake.scope_of(job_type)), envelope.source.as_deref());
    let message_id =
        named(envelope, message).map_or_else(|| Arc::clone(&message.id), |named| named.id.into());
    let identity = match key.or_else(|| job_id.clone()) {
        Some(id) => Identity::new(scope, Arc::clone(job_type), source, id),
        None => Identity::of_message(scope, Arc::clone(job_type), source, Arc::clone(&message_id)),
    };
    identity.with_job_id(job_id.unwrap_or(message_id))
}

/// The job that an attribute names, if the envelope names none.
fn named<'a>(envelope: &Envelope, message: &'a Message) -> Option<JobIdAttribute<'a>> {
    JobIdAttribute::of(message).filter(|_| envelope.job_id.is_none())
}

/// The identity of a message whose body is not a job.
pub(crate) fn unread(intake: &Intake, message: &Message) -> Identity {
    let id = JobIdAttribute::of(message).map_or_else(|| Arc::clone(&message.id), |named| named.id.into());
    Identity::of_message(Arc::clone(&intake.scope), "", None, id)
}

fn held(remaining: Duration, what: &str, key: &str) -> Ending {
    Ending::Busy { remaining, reason: bounded(format!("{what} {key:?}")) }
}

#[cfg(test)]
#[path = "claiming_tests.rs"]
mod tests;
