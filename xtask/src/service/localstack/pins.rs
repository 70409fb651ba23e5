//! LocalStack's version and settings.

use std::path::PathBuf;

use crate::project;

/// Returns the folder of this repository that pins them.
pub(super) fn folder() -> PathBuf {
    project::root().join("infra/localstack")
}
