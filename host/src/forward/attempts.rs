//! The open attempts of the application, each with its own token: its reports about them, and its allowed requests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use drumline::core::MAX_CHECKPOINT_BYTES;
use drumline::{Context, Failure};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The number of random bytes in a token: no other process on the machine can guess one.
const TOKEN_BYTES: usize = 16;

/// The number of ended attempts that are remembered, so that an application that still works on one is asked to stop.
const MOST_ENDED: usize = 10_000;

/// The maximum length of a progress unit, in characters.
const MAX_UNIT_CHARS: usize = 64;

/// The maximum size of a request's body; results have a smaller limit.
pub(super) const MAX_BODY: usize = MAX_CHECKPOINT_BYTES;

/// The attempts of a process.
#[derive(Clone, Default)]
pub(super) struct Attempts(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    open: HashMap<String, Attempt>,
    ended: VecDeque<String>,
}

#[derive(Clone)]
struct Attempt {
    context: Context,
    /// The newest checkpoint of this attempt.
    checkpoint: Option<Arc<RawValue>>,
}

/// An open attempt. It ends when this is dropped.
pub(super) struct OpenAttempt {
    attempts: Attempts,
    pub(super) token: String,
}

/// The answer to a request.
pub(super) type Reply = (StatusCode, Bytes);

#[derive(Deserialize)]
struct Progress {
    done: u64,
    total: u64,
    #[serde(default)]
    unit: String,
}

impl Attempts {
    /// Opens an attempt under a new token; `None` if the system has no randomness.
    pub(super) fn open(&self, context: &Context) -> Option<OpenAttempt> {
        let mut bytes = [0; TOKEN_BYTES];
        rustls::crypto::ring::default_provider().secure_random.fill(&mut bytes).ok()?;
        let token = format!("{:032x}", u128::from_be_bytes(bytes));
        let attempt = Attempt { context: context.clone(), checkpoint: None };
        self.known().open.insert(token.clone(), attempt);
        Some(OpenAttempt { attempts: self.clone(), token })
    }

    /// Answers a request for `/attempt/TOKEN` or a path below it.
    pub(super) fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Reply {
        let mut parts = path.trim_matches('/').split('/');
        let (Some("attempt"), Some(token)) = (parts.next(), parts.next()) else {
            return text(StatusCode::NOT_FOUND, "no such path");
        };
        let (what, rest) = (parts.next().unwrap_or_default(), parts.next());
        let attempt = {
            let known = self.known();
            match known.open.get(token) {
                Some(attempt) => attempt.clone(),
                None if known.ended.iter().any(|ended| ended == token) => return stop(),
                None => return text(StatusCode::NOT_FOUND, "no such attempt"),
            }
        };
        if attempt.context.is_cancelled() {
            return stop();
        }
        match (method.as_str(), what, rest) {
            ("GET", "", None) => done(),
            ("POST", "progress", None) => progress(&attempt.context, body),
            ("POST", "checkpoint", None) => self.keep(token, &attempt.context, body),
            ("GET", "checkpoint", None) => kept(attempt),
            ("POST", "result", None) => {
                json(body).map_or_else(|reply| reply, |value| reply_to(attempt.context.set_result(&value)))
            }
            (_, "" | "progress" | "checkpoint" | "result", None) => {
                text(StatusCode::METHOD_NOT_ALLOWED, "POST progress, checkpoint or result; GET checkpoint")
            }
            _ => text(StatusCode::NOT_FOUND, "no such path"),
        }
    }

    fn keep(&self, token: &str, context: &Context, body: &[u8]) -> Reply {
        let value = match json(body) {
            Ok(value) => value,
            Err(reply) => return reply,
        };
        let reply = reply_to(context.checkpoint(&value));
        if reply.0.is_success()
            && let Some(attempt) = self.known().open.get_mut(token)
        {
            attempt.checkpoint = Some(value.into());
        }
        reply
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        let mut known = self.attempts.known();
        known.open.remove(&self.token);
        if known.ended.len() == MOST_ENDED {
            known.ended.pop_front();
        }
        known.ended.push_back(std::mem::take(&mut self.token));
    }
}

fn progress(context: &Context, body: &[u8]) -> Reply {
    match serde_json::from_slice::<Progress>(body) {
        Ok(Progress { done, total, unit }) => {
            let unit: String = unit.chars().filter(|c| !c.is_control()).take(MAX_UNIT_CHARS).collect();
            context.progress(done, total, unit);
            self::done()
        }
        Err(error) => text(
            StatusCode::BAD_REQUEST,
            &format!("needs {{\"done\":1,\"total\":10,\"unit\":\"rows\"}}: {error}"),
        ),
    }
}

/// Returns the newest checkpoint: this attempt's, else an earlier one's.
fn kept(attempt: Attempt) -> Reply {
    let value = attempt.checkpoint.map(|value| value.get().to_owned());
    let value =
        value.or_else(|| attempt.context.resume::<Box<RawValue>>().map(|value| value.get().to_owned()));
    match value {
        Some(value) => (StatusCode::OK, Bytes::from(value)),
        None => done(),
    }
}

fn json(body: &[u8]) -> Result<Box<RawValue>, Reply> {
    serde_json::from_slice(body).map_err(|error| text(StatusCode::BAD_REQUEST, &format!("not JSON: {error}")))
}

fn reply_to(result: Result<(), Failure>) -> Reply {
    match result {
        Ok(()) => done(),
        Err(failure) => text(StatusCode::PAYLOAD_TOO_LARGE, failure.reason()),
    }
}

fn done() -> Reply {
    (StatusCode::NO_CONTENT, Bytes::new())
}

/// Returns the answer for an attempt that has ended: it was lost, stopped, or answered.
fn stop() -> Reply {
    text(StatusCode::CONFLICT, "the attempt is over: stop the work on it")
}

pub(super) fn text(status: StatusCode, text: &str) -> Reply {
    (status, Bytes::from(format!("{text}\n")))
}
