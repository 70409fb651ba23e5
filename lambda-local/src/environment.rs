//! An execution environment: one process that runs one invocation at a time.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::time::sleep;

use crate::function::Function;
use crate::id;
use crate::invoked::{Failure, FailureKind, Invoked};
use crate::process::Process;
use crate::runtime_api::{End, Invocation};

/// The time that Lambda gives a process to request its first event, before it restarts the process within the function's
/// timeout. Here the process has the sum of both.
const INIT_TIME: Duration = Duration::from_secs(10);

/// The largest event and the largest response, in bytes: 6 MB and a little for Lambda's own.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub(crate) const MAX_PAYLOAD: usize = 6 * 1024 * 1024 + 100;

/// An environment in which a function's invocations run, one after the other.
///
/// It starts a process for the first invocation and keeps it for the following ones. A process that timed out is killed, and a
/// process that ended is replaced for the next invocation. An invocation that is cancelled leaves its process running. Dropping
/// the environment kills the process.
#[derive(Debug)]
pub struct ExecutionEnvironment {
    function: Arc<Function>,
    process: Option<Process>,
}

impl ExecutionEnvironment {
    /// Returns an environment that has not started a process yet.
    pub fn new(function: Arc<Function>) -> Self {
        Self { function, process: None }
    }

    /// Invokes the function with this event, and waits until the invocation ends.
    pub async fn invoke(&mut self, event: impl Into<Bytes>) -> Invoked {
        let invoked = self.run(event.into()).await;
        self.function.reports.line(&invoked.report(self.function.memory_mb));
        invoked
    }

    /// Stops the process, if there is one: SIGTERM, and SIGKILL two seconds later.
    pub async fn stop(self) {
        if let Some(process) = self.process {
            process.stop().await;
        }
    }

    async fn run(&mut self, event: Bytes) -> Invoked {
        let init = match accepted(&event) {
            Ok(()) => self.ready().await,
            Err(failure) => Err(failure),
        };
        let init = match init {
            Ok(init) => init,
            Err(failure) => {
                return Invoked {
                    request_id: id::uuid(),
                    result: Err(failure),
                    duration: Duration::ZERO,
                    init: None,
                    max_memory_mb: None,
                };
            }
        };
        let (limit, begun) = (self.function.timeout, Instant::now());
        let process = self.process.as_mut().expect("a process that is ready is kept");
        let mut pending = process.api.invoke(Invocation::new(event).timeout(limit));
        let request_id = pending.request_id().to_owned();
        // Cancel-safe: each branch that is not chosen is cancel-safe, and a result that arrives at the same moment wins.
        let result = tokio::select! {
            biased;
            Some(ended) = pending.ended() => match ended.end {
                End::Response => checked(ended.body),
                End::Error => {
                    Err(Failure::posted(FailureKind::Error, ended.error_type.as_deref(), &ended.body))
                }
            },
            status = process.wait() => {
                let message = format!("RequestId: {request_id} Error: Runtime exited: {}", shown(status));
                Err(Failure::new(FailureKind::Crash, "Runtime.ExitError", message))
            }
            () = sleep(limit) => {
                let secs = limit.as_secs_f64();
                let message = format!("RequestId: {request_id} Error: Task timed out after {secs:.2} seconds");
                Err(Failure::new(FailureKind::Timeout, "Sandbox.Timedout", message))
            }
        };
        let (duration, max_memory_mb) = (begun.elapsed(), process.max_memory_mb());
        let is_gone = |failure: &Failure| matches!(failure.kind, FailureKind::Timeout | FailureKind::Crash);
        if result.as_ref().is_err_and(is_gone)
            && let Some(process) = self.process.take()
        {
            process.kill().await;
        }
        Invoked { request_id, result, duration, init, max_memory_mb }
    }

    /// Waits until a process requests an event: the present one, or a new one. Returns the time that its start took.
    async fn ready(&mut self) -> Result<Option<Duration>, Failure> {
        if let Some(mut process) = self.process.take() {
            let api = Arc::clone(&process.api);
            // Cancel-safe: no branch takes anything. A process that requested an event and then ended is not ready.
            let is_ready = tokio::select! {
                biased;
                _ = process.wait() => false,
                () = api.until_asked() => true,
                () = sleep(INIT_TIME) => false,
            };
            if is_ready {
                self.process = Some(process);
                return Ok(None);
            }
            process.kill().await;
        }
        let failed = |message: String| Failure::new(FailureKind::Init, "Runtime.InitError", message);
        let started = Process::start(&self.function).await;
        let started =
            started.map_err(|error| failed(format!("{}: {error}", self.function.bootstrap.display())));
        let process = self.process.insert(started?);
        let (limit, api) = (INIT_TIME + self.function.timeout, Arc::clone(&process.api));
        // Cancel-safe: no branch takes anything. A process that requested an event and then ended is not ready.
        let failure = tokio::select! {
            biased;
            status = process.wait() => match api.init_errors().last() {
                Some(error) => {
                    let (header, body) = (error.error_type.as_deref(), error.body.to_string());
                    Failure::posted(FailureKind::Init, header, body.as_bytes())
                }
                None => failed(format!("the process ended before it asked for an event: {}", shown(status))),
            },
            () = api.until_asked() => return Ok(Some(process.started.elapsed())),
            () = sleep(limit) => {
                failed(format!("the process did not ask for an event within {} s", limit.as_secs()))
            }
        };
        if let Some(process) = self.process.take() {
            process.kill().await;
        }
        Err(failure)
    }
}

fn shown(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Returns an error for an event that Lambda would refuse.
fn accepted(event: &Bytes) -> Result<(), Failure> {
    if event.len() <= MAX_PAYLOAD {
        return Ok(());
    }
    let message = format!("the event has {} bytes, and Lambda accepts {MAX_PAYLOAD} at most", event.len());
    Err(Failure::new(FailureKind::Error, "RequestEntityTooLargeException", message))
}

/// Returns the response if Lambda would pass it on.
fn checked(response: Bytes) -> Result<Bytes, Failure> {
    if response.len() <= MAX_PAYLOAD {
        return Ok(response);
    }
    let message =
        format!("the response has {} bytes, and Lambda passes on {MAX_PAYLOAD} at most", response.len());
    Err(Failure::new(FailureKind::Error, "Function.ResponseSizeTooLarge", message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_too_large_event_is_refused_before_a_process_starts() {
        let mut environment = ExecutionEnvironment::new(Arc::new(Function::new("/no/such/program")));
        let refused = environment.invoke(vec![b' '; MAX_PAYLOAD + 1]).await.result.unwrap_err();
        assert_eq!(refused.error_type, "RequestEntityTooLargeException", "{refused}");
        let accepted = environment.invoke(vec![b' '; MAX_PAYLOAD]).await.result.unwrap_err();
        assert_eq!(accepted.kind, FailureKind::Init, "{accepted}");
    }
}
