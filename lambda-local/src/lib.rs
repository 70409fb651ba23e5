#![doc = include_str!("../README.md")]

mod batching;
mod environment;
mod function;
mod id;
mod invoked;
mod logs;
mod mapping;
mod poller;
mod process;
mod response;
pub mod runtime_api;
mod sqs_event;

pub use environment::ExecutionEnvironment;
pub use function::{DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT, Function, FunctionProblem, MAX_TIMEOUT};
pub use invoked::{Failure, FailureKind, Invoked};
pub use logs::LogSink;
pub use mapping::{Mapping, MappingProblem, VISIBILITY_FACTOR};
pub use poller::{MappedQueue, MappingEvent, MappingObserver};
pub use response::Verdict;
pub use sqs_event::sqs_record;
