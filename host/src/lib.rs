#![doc = include_str!("../README.md")]

pub mod activity;
mod alert_target;
mod attempt_log;
pub mod aws;
mod batch_report;
mod buckets;
mod claims;
mod clock;
mod dead_job_webhook;
mod dead_jobs;
mod descriptors;
mod diagnostics;
mod drive;
mod emf;
#[cfg(test)]
mod every_event;
mod forward;
pub mod gate;
mod handlers;
mod intake;
mod json_lines;
mod limit_diagnostics;
mod limit_watch;
#[cfg(test)]
mod log_lines;
mod log_writer;
pub mod logging;
mod logs;
mod next_jobs;
mod outcome_cache;
pub mod payload;
mod port;
mod program;
mod redact;
mod refill;
mod resources;
mod send_tracer;
mod service;
mod settings;
mod shown;
mod since_sent;
mod span_fields;
mod span_trace;
mod sqs;
mod sqs_price;
mod status;
mod target;
mod tenant_labels;
mod trace;
mod trace_fields;
mod type_labels;
mod unseen;
mod waiting_for;
mod waits;

pub use alert_target::AlertTarget;
pub use batch_report::BatchReport;
pub use buckets::{DURATION_BUCKETS, SINCE_SENT_BUCKETS};
pub use claims::{ClaimStoreClient, StoreOutage, StoreSettings};
pub use dead_job_webhook::DeadJobWebhook;
pub use dead_jobs::DeadJobs;
pub use descriptors::{check_descriptors, http_connections, raise_descriptor_limit};
pub use diagnostics::{Diagnostic, diagnose};
pub use drive::{Driver, DriverConfig, Grace, JobAction, JobAnswer, JobOrder, JobRequests, QueueOrders};
pub use drumline::core::SqsErrorKind;
pub use drumline::message::limits;
pub use drumline::run::{Event, NoopObserver, Observer};
pub use drumline_store::{SecretText, SecretUrl, Store, variable};
pub use emf::EmfLines;
pub use forward::{Forward, ForwardOptions, error_text, forward_to, read_delay};
pub use handlers::runtimes;
pub use intake::{default_scope, intake};
pub use limit_diagnostics::{diagnose_limits, diagnose_rates};
pub use limit_watch::{LimitWatch, RunningLimitWatch};
pub use logs::{JobLog, Logs};
pub use next_jobs::{NextJobRoute, NextJobSender, NextOrigin, outbox_job};
pub use outcome_cache::SharedOutcomeCache;
pub use port::{PORT_PATIENCE, when_free};
pub use program::program;
pub use redact::redacted;
pub use refill::Refill;
pub use send_tracer::{SendSpan, SendTracer, SentMessage, send_tracer, set_send_tracer};
pub use service::{BoxError, FactoryError, RouterFactory, Service, Shutdown, ShutdownHook, make_on};
pub use settings::{
    AllFailed, DlqWatchSettings, Effective, EffectiveType, Environment, FifoStop, GUARD_KINDS,
    GuardAllowance, GuardMode, GuardSettings, HttpAccess, LogFormat, Origin, PermanentFailures, Problem,
    Problems, QueueSettings, SETTINGS, ScheduleSettings, ScheduleTimes, Setting, Settings, TypeValue,
    UnknownVariable,
};
pub use shown::Shown;
pub use since_sent::{age, dwell, pickup_delay};
pub use span_trace::{TraceLayer, traceparent_of_span};
pub use sqs::{BoxFuture, Queue, SqsError};
pub use sqs_price::{DEFAULT_SQS_PRICE, JobCost, SqsPrice};
pub use status::{QueueStatus, ReceiveProblem};
pub use target::TargetHealth;
pub use tenant_labels::{MAX_TENANTS, OTHER_TENANT, TenantLabels, TenantStart};
pub use trace::TraceParent;
pub use type_labels::{MAX_TYPES, OTHER_TYPE, TypeLabels, UNKNOWN_TYPE};
pub use unseen::{is_unseen, write_json};
pub use waiting_for::waiting_for;
pub use waits::waits;
