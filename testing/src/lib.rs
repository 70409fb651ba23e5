#![doc = include_str!("../README.md")]

#[cfg(test)]
mod batch_tests;
mod clock;
mod dead_letter;
mod embedded_queue;
mod failing_store;
#[cfg(test)]
mod failing_store_tests;
mod local_queue;
#[cfg(test)]
mod local_queue_tests;
mod local_run;
mod next_jobs;
mod on_tokio;
#[cfg(test)]
mod on_tokio_tests;
mod outgoing;
#[cfg(test)]
mod page_tests;
mod recorder;
mod start;
mod still_busy;
mod translate;
mod worker;

pub use dead_letter::DeadLetter;
pub use drumline::testing::{At, TestMessage, TestRun, TestRuntime, Tester};
pub use failing_store::{Call, FailingStore};
pub use local_queue::LocalQueue;
pub use local_run::LocalRun;
pub use on_tokio::{TOKIO, with_context};
pub use outgoing::Outgoing;
pub use start::Start;
