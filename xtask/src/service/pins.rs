//! The versions of the servers of shared stores.

use std::path::PathBuf;

use crate::project;

/// Returns the folder of this repository that pins them.
pub(super) fn folder() -> PathBuf {
    project::root().join("infra/peers")
}
