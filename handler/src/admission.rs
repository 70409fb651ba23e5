//! Before the handler: the keys of a job, its claim, and what follows where it has none.

use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::value::RawValue;

use crate::claim::{Admission, Claim, ClaimRequest, Grant, MAX_KEY_BYTES};
use crate::ending::Ending;
use crate::envelope::Envelope;
use crate::failure::bounded;
use crate::invoke::Attempt;
use crate::message::Message;
use crate::payload_hash::payload_hash;
use crate::router::{Keys, Route, undecoded_type};

/// A job that is understood as far as can be without its handler.
pub(crate) struct Work {
    pub(crate) job_type: Arc<str>,
    pub(crate) version: u32,
    pub(crate) job_id: Option<Arc<str>>,
    pub(crate) idempotency_key: Option<Arc<str>>,
    pub(crate) correlation_id: Option<String>,
    pub(crate) payload: Box<RawValue>,
    /// The message is handed on as it is, and its body is the payload.
    is_raw: bool,
}

/// With what a handler starts.
pub(crate) struct Admitted {
    pub(crate) attempt: NonZeroU32,
    pub(crate) claim: Option<Arc<Claim>>,
    pub(crate) checkpoint: Option<Box<RawValue>>,
}

impl Work {
    pub(crate) fn new(route: &Route, message: &Message, envelope: Option<Envelope>) -> Self {
        let Some(e) = envelope else {
            return Self {
                job_type: undecoded_type(message, route),
                version: 1,
                job_id: None,
                idempotency_key: None,
                correlation_id: None,
                payload: RawValue::NULL.to_owned(),
                is_raw: true,
            };
        };
        // A known type shares the route's name; an undecoded message brings its own.
        let job_type =
            if *route.job_type == e.job_type { Arc::clone(&route.job_type) } else { e.job_type.into() };
        Self {
            job_type,
            version: e.version,
            job_id: e.job_id,
            idempotency_key: e.idempotency_key,
            correlation_id: e.correlation_id,
            payload: e.payload,
            is_raw: false,
        }
    }

    pub(crate) fn job_id<'a>(&'a self, message: &'a Message) -> &'a str {
        self.job_id.as_deref().unwrap_or(&message.id)
    }

    fn key<'a>(&'a self, message: &'a Message) -> &'a str {
        self.idempotency_key.as_deref().unwrap_or_else(|| self.job_id(message))
    }

    /// Asks the host for the job's claim.
    pub(crate) async fn admit(&mut self, route: &Route, attempt: &Attempt) -> Result<Admitted, Ending> {
        let request = self.request(route, attempt)?;
        let lock = request.lock.clone();
        let claim = attempt.host.claim(request, &attempt.control);
        let admission = match select(claim, pin!(attempt.control.until_aborted())).await {
            Either::Left((admission, _)) => admission,
            // Should the claim be granted all the same, it expires.
            Either::Right(((), _)) => return Err(Ending::Interrupted),
        };
        let key = || self.key(&attempt.message);
        match admission {
            Admission::Unclaimed => Ok(Admitted { attempt: attempt.number, claim: None, checkpoint: None }),
            Admission::Granted(Grant { claim, attempt, checkpoint }) => {
                Ok(Admitted { attempt, claim: Some(claim), checkpoint })
            }
            Admission::Done(_) => Err(Ending::DoneBefore),
            Admission::Condemned(reason) => Err(Ending::Condemned { reason: bounded(reason) }),
            Admission::Held(remaining) => {
                Err(held(remaining, "another worker or message has the idempotency key", key()))
            }
            Admission::Locked(remaining) => {
                Err(held(remaining, "another job has the lock", &lock.unwrap_or_default()))
            }
            Admission::Mismatch => Err(Ending::Rejected {
                reason: bounded(format!(
                    "the idempotency key {:?} stands for another payload: a new job needs a key of its own",
                    key()
                )),
            }),
            Admission::Unavailable(reason) => Err(Ending::StoreUnavailable { reason: bounded(reason) }),
        }
    }

    fn request(&mut self, route: &Route, attempt: &Attempt) -> Result<ClaimRequest, Ending> {
        let Keys { idempotency_key, lock } = route
            .keys(self.version, &self.payload)
            .map_err(|failure| Ending::Undecodable { reason: failure.into_parts().1 })?;
        if let Some(own) = idempotency_key {
            self.idempotency_key = Some(own.into());
        }
        let message = &attempt.message;
        let job_id = Arc::clone(self.job_id.as_ref().unwrap_or(&message.id));
        let key = Arc::clone(self.idempotency_key.as_ref().unwrap_or(&job_id));
        for (what, text) in
            [("jobId", Some(&*job_id)), ("idempotency key", Some(&*key)), ("lock", lock.as_deref())]
        {
            if text.is_some_and(|text| text.len() > MAX_KEY_BYTES) {
                return Err(Ending::Undecodable {
                    reason: format!("the {what} has more than {MAX_KEY_BYTES} bytes"),
                });
            }
        }
        // A message does not change: under its own id the payload is always the same.
        let payload_hash = if key == message.id {
            0
        } else {
            payload_hash(&self.job_type, if self.is_raw { &message.body } else { self.payload.get() })
        };
        Ok(ClaimRequest {
            key,
            payload_hash,
            lock,
            length: attempt.claim_length,
            job_id,
            job_type: Arc::clone(&self.job_type),
            queue: Arc::clone(&attempt.queue),
            message_id: Arc::clone(&message.id),
            receive_count: message.receive_count,
        })
    }
}

fn held(remaining: Duration, what: &str, key: &str) -> Ending {
    Ending::Held { remaining, reason: bounded(format!("{what} {key:?}")) }
}
