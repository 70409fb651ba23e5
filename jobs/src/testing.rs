//! Helpers for the tests of this crate's jobs.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use drumline::Router;
pub(crate) use drumline_testing::{At, TestMessage, TestRun, Tester, with_context};
use serde_json::Value;

use crate::Settings;

impl Settings {
    /// Returns settings whose files are directly in `folder`.
    pub(crate) fn with_files_in(folder: &Path) -> Self {
        Self { file_root: folder.to_owned(), ..Self::for_folder(folder) }
    }
}

/// Returns a tester of these handlers on tokio.
pub(crate) fn tester(router: Router) -> Tester {
    Tester::new(router).on(drumline_testing::TOKIO)
}

/// Returns the id of a job and the hash of its payload. Jobs with one id must have one hash.
pub(crate) async fn identify(message: TestMessage) -> (String, u128) {
    let run = message.busy().await;
    let request = run.claim_request().unwrap_or_else(|| panic!("{run}"));
    (request.identity.id().to_string(), request.payload_hash)
}

/// Returns the progress of a run as pairs of done and total.
pub(crate) fn progress(run: &TestRun) -> Vec<(u64, u64)> {
    run.progress().iter().map(|progress| (progress.done, progress.total)).collect()
}

/// Returns the result of a run as JSON.
pub(crate) fn result(run: &TestRun) -> Value {
    run.result().unwrap()
}
