//! The refusal of sources that are too large.

use drumline::Failure;

/// Returns the rejection of a source that is larger than a job may read.
pub(super) fn too_large(what: impl std::fmt::Display, max_bytes: u64) -> Failure {
    Failure::reject(format_args!(
        "{what} is larger than {max_bytes} bytes ({})",
        crate::settings::MAX_SOURCE_BYTES
    ))
}
