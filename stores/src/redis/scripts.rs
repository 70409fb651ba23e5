//! The scripts.

use ::redis::Script;

/// The part shared by all scripts that write data for lookups.
const JOB_IDS: &str = include_str!("scripts/job_ids.lua");

pub(super) struct Scripts {
    pub(super) claim: Script,
    pub(super) renew: Script,
    pub(super) finish: Script,
    pub(super) surrender: Script,
    pub(super) checkpoint: Script,
    pub(super) progress: Script,
    pub(super) attempted: Script,
    pub(super) forget: Script,
    pub(super) put_document: Script,
    pub(super) lease_tokens: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let with_job_ids = |script: &str| Script::new(&format!("{JOB_IDS}{script}"));
        Self {
            claim: with_job_ids(include_str!("scripts/claim.lua")),
            renew: with_job_ids(include_str!("scripts/renew.lua")),
            finish: with_job_ids(include_str!("scripts/finish.lua")),
            surrender: with_job_ids(include_str!("scripts/surrender.lua")),
            checkpoint: Script::new(include_str!("scripts/checkpoint.lua")),
            progress: with_job_ids(include_str!("scripts/progress.lua")),
            attempted: with_job_ids(include_str!("scripts/attempted.lua")),
            forget: with_job_ids(include_str!("scripts/forget.lua")),
            put_document: Script::new(include_str!("scripts/put_document.lua")),
            lease_tokens: Script::new(include_str!("scripts/lease_tokens.lua")),
        }
    }
}
