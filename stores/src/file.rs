//! A store in one SQLite file on this machine: for one or several workers on one host, and for development.
//!
//! Several processes and the command line can open the file at once. Every call is one transaction on a thread that owns the
//! connection. The file is in WAL mode, so there are two more files beside it, `-wal` and `-shm`; these require a single host:
//! the file must not be on NFS, EFS or another network file system. A commit is synced to disk before the call returns, so a
//! mark survives a power failure. Expired rows are removed about once a minute. The store uses this machine's clock.
//!
//! A call fails after about three seconds, for example while another process has the file locked.

mod database;
mod documents;
mod histories;
mod path;
mod rows;
mod thread;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{Claim, ClaimRequest, ClaimResult, MaybeReady, Ownership, ReleaseClaim};
use drumline::message::Identity;
use serde_json::value::RawValue;

use self::rows::Tables;
use self::thread::Thread;
use crate::document::Document;
use crate::document_rules;
use crate::forgotten::Forgotten;
use crate::open::OpenError;
use crate::record::{AttemptRecord, JobRecord, ProgressRecord};
use crate::rules;
use crate::store::{Retention, Store, StoreError};
use crate::tokens::{TokenLease, TokenRequest};

pub(crate) use self::path::path;

/// A [`Store`] in a file.
pub struct FileStore {
    thread: Thread,
    owner: Arc<str>,
    keep: Retention,
}

impl std::fmt::Debug for FileStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileStore").field("owner", &self.owner).finish_non_exhaustive()
    }
}

impl FileStore {
    /// Opens the file at `path`, and creates it if it is missing. Its folder must exist.
    pub async fn open(path: &Path, owner: Arc<str>, keep: Retention) -> Result<Self, OpenError> {
        Ok(Self { thread: Thread::start(path.to_path_buf()).await?, owner, keep })
    }

    /// Checks that the file at `path` can be opened or created, without changing anything.
    pub(crate) async fn reach(path: &Path) -> Result<(), OpenError> {
        let path = path.to_path_buf();
        let checked = tokio::task::spawn_blocking(move || database::check(&path)).await;
        checked.unwrap_or_else(|error| {
            Err(OpenError::Unavailable(StoreError::Unanswered(error.to_string().into())))
        })
    }
}

impl Store for FileStore {
    fn claim<'a>(&'a self, request: &'a ClaimRequest) -> MaybeReady<'a, Result<ClaimResult, StoreError>> {
        let (request, owner, keep) = (request.clone(), Arc::clone(&self.owner), self.keep);
        let call =
            self.thread.call(move |on, now| rules::claim(&mut Tables(on), &request, &owner, keep, now));
        MaybeReady::later(call)
    }

    fn renew<'a>(
        &'a self,
        claim: &'a Claim,
        length: Duration,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        let (claim, keep) = (claim.clone(), self.keep);
        MaybeReady::later(
            self.thread.call(move |on, now| rules::renew(&mut Tables(on), &claim, length, keep, now)),
        )
    }

    fn finish<'a>(
        &'a self,
        claim: &'a Claim,
        result: Option<&'a RawValue>,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        let (claim, keep, result) = (claim.clone(), self.keep, result.map(|result| result.get().to_owned()));
        MaybeReady::later(
            self.thread.call(move |on, now| rules::finish(&mut Tables(on), &claim, result, keep, now)),
        )
    }

    fn release_claim<'a>(
        &'a self,
        claim: &'a Claim,
        how: &'a ReleaseClaim,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        let (claim, how, keep) = (claim.clone(), how.clone(), self.keep);
        MaybeReady::later(
            self.thread.call(move |on, now| rules::release(&mut Tables(on), &claim, &how, keep, now)),
        )
    }

    fn checkpoint<'a>(
        &'a self,
        claim: &'a Claim,
        value: &'a RawValue,
    ) -> MaybeReady<'a, Result<Ownership, StoreError>> {
        let (claim, value) = (claim.clone(), value.get().to_owned());
        MaybeReady::later(
            self.thread.call(move |on, now| rules::checkpoint(&mut Tables(on), &claim, value, now)),
        )
    }

    fn progress<'a>(
        &'a self,
        identity: &'a Identity,
        progress: &'a ProgressRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        let (identity, progress, keep) = (identity.clone(), progress.clone(), self.keep);
        let call = self.thread.call(move |on, now| histories::progress(on, &identity, &progress, keep, now));
        MaybeReady::later(call)
    }

    fn attempted<'a>(
        &'a self,
        identity: &'a Identity,
        attempt: &'a AttemptRecord,
    ) -> MaybeReady<'a, Result<(), StoreError>> {
        let (identity, attempt, keep) = (identity.clone(), attempt.clone(), self.keep);
        let call = self.thread.call(move |on, now| histories::attempted(on, &identity, &attempt, keep, now));
        MaybeReady::later(call)
    }

    fn jobs<'a>(&'a self, job_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        let job_id = job_id.to_owned();
        MaybeReady::later(self.thread.call(move |on, now| histories::jobs(on, &job_id, now)))
    }

    fn recent(&self, limit: usize) -> MaybeReady<'_, Result<Vec<JobRecord>, StoreError>> {
        MaybeReady::later(self.thread.call(move |on, now| histories::recent(on, limit, now)))
    }

    fn of_message<'a>(&'a self, message_id: &'a str) -> MaybeReady<'a, Result<Vec<JobRecord>, StoreError>> {
        let message_id = message_id.to_owned();
        MaybeReady::later(self.thread.call(move |on, now| histories::of_message(on, &message_id, now)))
    }

    fn forget<'a>(&'a self, key: &'a str) -> MaybeReady<'a, Result<Forgotten, StoreError>> {
        let (key, keep) = (key.to_owned(), self.keep);
        MaybeReady::later(self.thread.call(move |on, now| rules::forget(&mut Tables(on), &key, keep, now)))
    }

    fn document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
    ) -> MaybeReady<'a, Result<Option<String>, StoreError>> {
        MaybeReady::later(async move {
            document_rules::check_name(kind, name)?;
            let (kind, name) = (kind.to_owned(), name.to_owned());
            self.thread.call(move |on, now| documents::get(on, &kind, &name, now)).await
        })
    }

    fn documents<'a>(&'a self, kind: &'a str) -> MaybeReady<'a, Result<Vec<Document>, StoreError>> {
        MaybeReady::later(async move {
            document_rules::check_kind(kind)?;
            let kind = kind.to_owned();
            self.thread.call(move |on, now| documents::list(on, &kind, now)).await
        })
    }

    fn put_document<'a>(
        &'a self,
        kind: &'a str,
        name: &'a str,
        before: Option<&'a str>,
        after: &'a str,
        keep: Duration,
    ) -> MaybeReady<'a, Result<bool, StoreError>> {
        MaybeReady::later(async move {
            document_rules::check_name(kind, name)?;
            document_rules::check_text(after)?;
            let (kind, before) = (kind.to_owned(), before.map(str::to_owned));
            let document = Document { name: name.to_owned(), text: after.to_owned() };
            let put = move |on: &_, now| documents::put(on, &kind, &document, before.as_deref(), keep, now);
            self.thread.call(put).await
        })
    }

    fn lease_tokens<'a>(
        &'a self,
        request: &'a TokenRequest,
    ) -> MaybeReady<'a, Result<TokenLease, StoreError>> {
        let request = request.clone();
        MaybeReady::later(self.thread.call(move |on, _| tokens::take(on, &request)))
    }

    fn ping(&self) -> MaybeReady<'_, Result<(), StoreError>> {
        MaybeReady::later(self.thread.call(|on, _| on.query_row("SELECT 1", [], |_| Ok(()))))
    }

    fn as_any(&self) -> &(dyn std::any::Any + Send + Sync) {
        self
    }
}
