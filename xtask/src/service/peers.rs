//! The servers of shared stores: Redis, PostgreSQL, `DynamoDB`.

use std::thread;

use anyhow::Result;
use crossbeam_channel::Receiver;

use super::dynamodb::{self, DynamoDb};
use super::postgres::{self, Postgres};
use super::redis::{self, Redis};
use crate::interrupt::Interrupted;
use crate::process::Process;

/// Their installations, made once by [`prepare`], which may download them.
pub struct Installations {
    redis: redis::Installation,
    postgres: postgres::Installation,
    dynamodb: dynamodb::Installation,
}

/// Running servers; dropping stops them.
pub struct Peers {
    redis: Redis,
    postgres: Postgres,
    dynamodb: DynamoDb,
}

/// Finds installed servers, and downloads missing ones.
pub fn prepare(interrupts: &Receiver<Interrupted>) -> Result<Installations> {
    Ok(Installations {
        redis: redis::prepare(interrupts)?,
        postgres: postgres::prepare(interrupts)?,
        dynamodb: dynamodb::prepare(interrupts)?,
    })
}

impl Peers {
    /// Starts all concurrently, because starting is mostly waiting, and returns when all respond.
    pub fn start(installations: &Installations, interrupts: &Receiver<Interrupted>) -> Result<Self> {
        let Installations { redis, postgres, dynamodb } = installations;
        thread::scope(|scope| {
            let postgres = scope.spawn(|| Postgres::start(postgres, interrupts));
            let dynamodb = scope.spawn(|| DynamoDb::start(dynamodb, interrupts));
            let redis = Redis::start(redis, interrupts);
            let postgres = postgres.join().expect("a start reports errors and does not panic");
            let dynamodb = dynamodb.join().expect("a start reports errors and does not panic");
            Ok(Self { redis: redis?, postgres: postgres?, dynamodb: dynamodb? })
        })
    }

    /// Returns the variables for the tests.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        [self.redis.env(), self.postgres.env(), self.dynamodb.env()].concat()
    }

    /// Returns the running processes by name, to wait for them.
    pub fn processes(&mut self) -> [(&'static str, &mut Process); 3] {
        [
            ("Redis", self.redis.process()),
            ("PostgreSQL", self.postgres.process()),
            ("DynamoDB", self.dynamodb.process()),
        ]
    }
}
