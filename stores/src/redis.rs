//! A store in Redis 6.2 or later, or in Valkey.
//!
//! Every call is one round trip: a script, called by its hash, which the server runs atomically and with its own clock. Only
//! the first call of each script after a server's start takes two more round trips, to load the script.
//!
//! # Keys
//!
//! All keys begin with `{drumline}:`; `?prefix=` sets another name. The braces keep them on one node of a cluster, because a
//! script may only access one node. Each key expires by itself.
//!
//! | Key | Holds |
//! | --- | --- |
//! | `job:KEY` | a hash: the claim, and what is known of its job |
//! | `jobs:JOBID` | a sorted set: the keys of a job id, by when they changed; the newest 20 |
//! | `job-progress:KEY` | a string: JSON |
//! | `job-attempts:KEY` | a list of JSON, the oldest first |
//! | `lock:NAME` | a hash: who has the lock, and its counter |
//! | `documents:KIND` | a hash: the documents of a kind, by name; at most 200 |
//! | `tokens:BUCKET` | a number: when the bucket of a rate is full (µs) |
//!
//! `KEY` is the key of an identity. Version 0.1 kept claims under `claim:KEY`, `alias:JOBID`, `progress:JOBID` and
//! `attempts:JOBID`, whose names a producer could choose: the store reads these, and never writes them. Version 0.1 has the
//! same locks.
//!
//! # Settings of the server
//!
//! `maxmemory-policy noeviction`: if the server evicts a claim, its job may run twice. `appendonly yes` if a restart of the
//! server must not lose the records of jobs. A failover to a replica may lose the last writes: see `min-replicas-to-write`.
//!
//! # When it does not answer
//!
//! Calls fail after about three seconds and never hang. A call that finds its connection closed is repeated on the next one:
//! nothing happens twice because of that, except that an attempt may be in the history twice.

mod answers;
pub(crate) mod connection;
mod documents;
mod scripts;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Script, ScriptInvocation, Value};
use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;
use url::Url;

use self::answers::{ClaimReply, JobAnswer};
use self::connection::Connection;
use self::scripts::Scripts;
use crate::document::Document;
use crate::forgotten::Forgotten;
use crate::open::OpenError;
use crate::record::{AttemptRecord, JobRecord, MAX_ATTEMPTS_KEPT, MAX_MATCHES, ProgressRecord};
use crate::store::{Retention, Store, StoreError, millis, to_json};
use crate::tokens::{TokenLease, TokenRequest};

/// The prefix of all keys if the URL sets none.
const PREFIX: &str = "drumline";

/// A [`Store`] in Redis or Valkey.
pub struct RedisStore {
    connection: Connection,
    scripts: Scripts,
    /// The prefix, such as `{drumline}:`.
    prefix: String,
    owner: Arc<str>,
    keep: Retention,
}

impl std::fmt::Debug for RedisStore {
    /// Omits the connection, which contains the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to the server at `url`, like [`open`](crate::open).
    pub async fn connect(url: &Url, owner: Arc<str>, keep: Retention) -> Result<Self, OpenError> {
        let prefix = prefix(url).map_err(OpenError::Url)?;
        let connection = Connection::open(url).await?;
        Ok(Self { connection, scripts: Scripts::new(), prefix: format!("{{{prefix}}}:"), owner, keep })
    }

    fn key(&self, kind: &str, name: &str) -> String {
        format!("{}{kind}:{name}", self.prefix)
    }

    /// Returns a call of a script with the key for this kind of data of a job, and the key of its job id.
    fn of<'a>(&self, script: &'a Script, kind: &str, identity: &Identity) -> ScriptInvocation<'a> {
        let mut call = script.key(self.key(kind, identity.key()));
        call.key(self.key("jobs", identity.job_id()));
        call
    }

    /// Returns a call of a script with a claim's keys, and the arguments that identify the claim.
    fn under<'a>(&self, script: &'a Script, claim: &Claim) -> ScriptInvocation<'a> {
        let mut call = self.of(script, "job", &claim.identity);
        if let Some((lock, _)) = &claim.lock {
            call.key(self.key("lock", lock));
        }
        let lock_token = claim.lock.as_ref().map_or(0, |(_, fencing_token)| *fencing_token);
        call.arg(&*claim.owner).arg(claim.fencing_token).arg(lock_token);
        call.arg(&**claim.identity.key()).arg(MAX_MATCHES);
        call
    }

    /// Adds reads of a claim, its progress and its attempts, with these kinds of keys.
    fn look(&self, call: &mut Pipeline, [claim, progress, attempts]: [&str; 3], name: &str) {
        call.cmd("HGETALL").arg(self.key(claim, name));
        call.cmd("GET").arg(self.key(progress, name));
        call.cmd("LRANGE").arg(self.key(attempts, name)).arg(0).arg(-1);
    }

    async fn held(&self, call: &ScriptInvocation<'_>) -> Result<Ownership, StoreError> {
        let is_ours: bool = self.connection.run(call).await?;
        Ok(if is_ours { Ownership::Kept } else { Ownership::Lost })
    }
}

/// Checks that a URL can be the URL of a server, and contains only known parameters.
pub(crate) fn check(url: &Url) -> Result<(), String> {
    prefix(url)?;
    connection::info(url).map(|_| ())
}

/// Returns the `prefix` of a URL. Braces are refused, because they would change the node of a cluster.
pub(crate) fn prefix(url: &Url) -> Result<String, String> {
    let named = url.query_pairs().find(|(name, _)| name == "prefix");
    let prefix = named.map_or_else(|| PREFIX.to_owned(), |(_, prefix)| prefix.into_owned());
    if prefix.is_empty() || prefix.contains(['{', '}']) {
        return Err("the prefix of a Redis store is a name without braces".to_owned());
    }
    Ok(prefix)
}

impl Store for RedisStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        MaybeReady::later(async move {
            let identity = &request.identity;
            let mut call = self.of(&self.scripts.claim, "job", identity);
            if let Some(lock) = &request.lock {
                call.key(self.key("lock", lock));
            }
            if let Some(old) = &request.legacy_key {
                call.key(self.key("claim", old));
            }
            // Identifies this call, so that it can be repeated.
            let nonce = fastrand::u64(..);
            call.arg(&*self.owner)
                .arg(format!("{:032x}", request.payload_hash))
                .arg(millis(request.length))
                .arg(millis(self.keep.history))
                .arg(millis(self.keep.history.max(self.keep.done)))
                .arg(&**identity.key())
                .arg(&**identity.job_id())
                .arg(&**identity.scope())
                .arg(&**identity.job_type())
                .arg(identity.source().map_or("", |source| source))
                .arg(&*request.queue)
                .arg(&*request.message_id)
                .arg(nonce)
                .arg(MAX_MATCHES)
                .arg(u8::from(request.lock.is_some()))
                .arg(u8::from(request.legacy_key.is_some()));
            let answer: ClaimReply = self.connection.run(&call).await?;
            answers::admission(answer, request, &self.owner)
        })
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.under(&self.scripts.renew, claim);
            call.arg(millis(length)).arg(millis(self.keep.history));
            self.held(&call).await
        })
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.under(&self.scripts.finish, claim);
            call.arg(millis(self.keep.done)).arg(millis(self.keep.history));
            if let Some(result) = result {
                call.arg(result.get());
            }
            self.held(&call).await
        })
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.under(&self.scripts.surrender, claim);
            call.arg(millis(self.keep.history)).arg(u8::from(!how.count_attempt)).arg(u8::from(how.dead));
            if let Some(failure_reason) = &how.failure_reason {
                call.arg(failure_reason);
            }
            self.held(&call).await
        })
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.scripts.checkpoint.key(self.key("job", claim.identity.key()));
            call.arg(&*claim.owner).arg(claim.fencing_token).arg(value.get());
            self.held(&call).await
        })
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.of(&self.scripts.progress, "job-progress", identity);
            call.arg(&**identity.key()).arg(MAX_MATCHES).arg(millis(self.keep.history));
            call.arg(to_json(progress));
            self.connection.run(&call).await
        })
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.of(&self.scripts.attempted, "job-attempts", identity);
            call.arg(&**identity.key()).arg(MAX_MATCHES).arg(millis(self.keep.history));
            call.arg(to_json(attempt)).arg(MAX_ATTEMPTS_KEPT);
            self.connection.run(&call).await
        })
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(async move {
            let mut call = ::redis::pipe();
            call.cmd("ZREVRANGE").arg(self.key("jobs", job_id)).arg(0).arg(-1);
            call.cmd("GET").arg(self.key("alias", job_id));
            self.look(&mut call, ["claim", "progress", "attempts"], job_id);
            call.cmd("TIME");
            let (keys, alias, claim, progress, attempts, time): JobAnswer =
                self.connection.send(&call).await?;
            // This takes a second round trip if there are keys, but it is only for people.
            let mut call = ::redis::pipe();
            for key in &keys {
                self.look(&mut call, ["job", "job-progress", "job-attempts"], key);
            }
            if let Some(old_key) = &alias {
                call.cmd("HGETALL").arg(self.key("claim", old_key));
            }
            let mut found: Vec<Value> =
                if call.is_empty() { Vec::new() } else { self.connection.send(&call).await? };
            let claim = if alias.is_some() { found.pop().unwrap_or(Value::Nil) } else { claim };
            answers::jobs(job_id, found, [claim, progress, attempts], time)
        })
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        MaybeReady::later(async move {
            let mut call = self.scripts.forget.key(self.key("job", key));
            call.arg(millis(self.keep.history));
            let word: String = self.connection.run(&call).await?;
            answers::forgotten(&word)
        })
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        MaybeReady::later(self.get_document(kind, name))
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        MaybeReady::later(self.list_documents(kind))
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        let document = Document { name: name.to_owned(), text: after.to_owned() };
        MaybeReady::later(self.change_document(kind, document, before, keep))
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        MaybeReady::later(self.take_tokens(request))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::later(async move {
            let mut call = ::redis::pipe();
            call.cmd("PING").ignore();
            self.connection.send(&call).await
        })
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
