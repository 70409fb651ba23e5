//! Where handlers run, and what is lent to them.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use std::any::Any;

use drumline::core::{Admission, Answer, ClaimRequest, Claimed, DeliveryId};
use drumline::run::{AttemptInfo, Host, Observer};
use serde_json::value::RawValue;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::books::Books;
use crate::drive::input::Input;

/// One runtime on one thread for SQS and the ledgers, and one on threads of its own for handlers: a handler that blocks
/// its thread delays no renewal, and no response.
pub fn runtimes() -> std::io::Result<(Runtime, Runtime)> {
    let io = Builder::new_current_thread().enable_all().thread_name("drumline-sqs").build()?;
    let handlers = Builder::new_multi_thread().enable_all().thread_name("drumline-job").build()?;
    Ok((io, handlers))
}

/// Runs blocking work on tokio's blocking threads, and lends runs the books and the queue's observer.
pub(crate) struct TokioHost {
    pub(crate) books: Option<Books>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) max_receives: Option<NonZeroU32>,
    /// The timeouts of job types that have their own.
    pub(crate) handler_timeout_by_type: HashMap<String, Duration>,
}

impl TokioHost {
    /// Passes an input to the loop, at once if there is room, and then answers.
    fn send<T: Send + 'static>(&self, input: Input, answer: T) -> Answer<'_, T> {
        match self.inputs.try_send(input) {
            // The loop only goes away when the queue is drained.
            Ok(()) | Err(TrySendError::Closed(_)) => Answer::now(answer),
            Err(TrySendError::Full(input)) => Answer::later(async move {
                drop(self.inputs.send(input).await);
                answer
            }),
        }
    }
}

impl Host for TokioHost {
    fn spawn_blocking(&self, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }

    fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    fn started(&self, delivery: DeliveryId, job_type: &Arc<str>) -> Answer<'_, Option<Duration>> {
        let Some(&timeout) = self.handler_timeout_by_type.get(&**job_type) else { return Answer::now(None) };
        self.send(Input::Typed(delivery, Arc::clone(job_type)), Some(timeout))
    }

    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> Answer<'a, Result<Admission, String>> {
        match &self.books {
            Some(books) => books.claim(request),
            None => Answer::now(Ok(Admission::Unclaimed)),
        }
    }

    fn claimed(&self, delivery: DeliveryId, answer: Claimed) -> Answer<'_, ()> {
        self.send(Input::Claimed(delivery, answer), ())
    }

    fn sleep(&self, time: Duration, deadline: Instant) -> Answer<'_, bool> {
        let end = tokio::time::Instant::now() + time;
        if end.into_std() > deadline {
            return Answer::now(false);
        }
        Answer::later(async move {
            tokio::time::sleep_until(end).await;
            true
        })
    }

    fn max_receives(&self) -> Option<NonZeroU32> {
        self.max_receives
    }

    fn checkpoint(&self, attempt: &AttemptInfo, value: Box<RawValue>) {
        if let Some(books) = &self.books {
            books.journal().checkpoint(attempt, value);
        }
    }

    fn extension(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.books.as_ref().map(|books| books.store().as_any())
    }
}
