//! Workers of version 0.1 as their stores see them: Redis runs the scripts of that version and PostgreSQL its functions; items
//! of DynamoDB are written like that version wrote them.

#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
mod redis;

use std::time::Duration;

use drumline::core::ClaimRequest;
use drumline_store::{AttemptRecord, ProgressRecord};

use crate::world::{Kind, LONG, World};

/// The schema of version 0.1.
#[cfg(feature = "postgres")]
pub const SCHEMA: &str = include_str!("old_format/schema.sql");

/// The arguments of a claim.
#[derive(Debug, Clone)]
#[allow(clippy::struct_field_names, reason = "they are called so everywhere")]
pub struct Job {
    pub key: String,
    pub job_id: String,
    pub job_type: String,
    pub queue: String,
    pub message_id: String,
    pub payload: u128,
    pub lock: Option<String>,
    pub length: Duration,
    pub history: Duration,
}

impl Job {
    /// Returns the job of a request.
    pub fn of(request: &ClaimRequest) -> Self {
        Self {
            key: request.identity.id().to_string(),
            job_id: request.identity.job_id().to_string(),
            job_type: request.identity.job_type().to_string(),
            queue: request.queue.to_string(),
            message_id: request.message_id.to_string(),
            payload: request.payload_hash,
            lock: request.lock.clone(),
            length: request.length,
            history: LONG,
        }
    }
}

/// The result of a claim: a word, and the counter and the attempt if it was granted.
pub type Answer = (String, u64, u32);

/// The owner of all claims.
pub const OWNER: &str = "a worker of version 0.1";

pub enum Worker {
    #[cfg(feature = "redis")]
    Redis(redis::Worker),
    #[cfg(feature = "postgres")]
    Postgres(postgres::Worker),
    #[cfg(feature = "dynamodb")]
    DynamoDb(dynamodb::Worker),
}

/// Calls the same function of each store.
macro_rules! each {
    ($worker:expr, $each:ident => $call:expr) => {
        match $worker {
            #[cfg(feature = "redis")]
            Worker::Redis($each) => $call,
            #[cfg(feature = "postgres")]
            Worker::Postgres($each) => $call,
            #[cfg(feature = "dynamodb")]
            Worker::DynamoDb($each) => $call,
        }
    };
}

impl Worker {
    pub async fn start(world: &World) -> Self {
        // Opening the store creates the tables.
        world.worker("one").await;
        match world.kind {
            Kind::Memory => unreachable!("keeps nothing"),
            #[cfg(feature = "file")]
            Kind::File => unreachable!("did not exist"),
            #[cfg(feature = "redis")]
            Kind::Redis => Self::Redis(redis::Worker::start(world.at()).await),
            #[cfg(feature = "postgres")]
            Kind::Postgres => Self::Postgres(postgres::Worker::start(world.at()).await),
            #[cfg(feature = "dynamodb")]
            Kind::DynamoDb => Self::DynamoDb(dynamodb::Worker::start(world).await),
        }
    }

    pub async fn claim(&mut self, job: &Job) -> Answer {
        each!(self, worker => worker.claim(job).await)
    }

    /// Requests a claim that is granted, and returns its counter.
    pub async fn granted(&mut self, job: &Job) -> u64 {
        let (word, fencing_token, _) = self.claim(job).await;
        assert_eq!(word, "granted");
        fencing_token
    }

    pub async fn checkpoint(&mut self, job: &Job, fencing_token: u64, value: &str) {
        assert!(each!(self, worker => worker.checkpoint(job, fencing_token, value).await));
    }

    pub async fn finish(&mut self, job: &Job, fencing_token: u64, result: &str) {
        assert!(each!(self, worker => worker.finish(job, fencing_token, result).await));
    }

    pub async fn release_claim(&mut self, job: &Job, fencing_token: u64, failure_reason: Option<&str>) {
        assert!(each!(self, worker => worker.release_claim(job, fencing_token, failure_reason).await));
    }

    pub async fn attempted(&mut self, job: &Job, attempt: &AttemptRecord) {
        let attempt = serde_json::to_string(attempt).unwrap();
        each!(self, worker => worker.attempted(job, &attempt).await);
    }

    pub async fn progress(&mut self, job: &Job, progress: &ProgressRecord) {
        let progress = serde_json::to_string(progress).unwrap();
        each!(self, worker => worker.progress(job, &progress).await);
    }
}

pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}

pub fn payload(job: &Job) -> String {
    format!("{:032x}", job.payload)
}
