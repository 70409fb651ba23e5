//! The S3 requests for exports: objects are written once, listed and read.

mod bucket;
mod listing;
mod stored;

pub(super) use bucket::{Bucket, is_s3};
pub(super) use listing::object_key;
pub(super) use stored::StoredExport;
