//! Resuming an export: letters that it already contains are not written again.

use std::collections::HashSet;
use std::path::Path;

use drumline_consumer::ExitError;
use drumline_dlq::letter_id::LetterId;
use drumline_dlq::line::Header;

use super::file::{ExportFile, Resumed};
use super::s3::Objects;
use super::sink::Sink;
use crate::dlq::queue::DeadLetterQueue;
use crate::dlq::s3::{StoredExport, is_s3};
use crate::interrupt::unless_interrupted;

/// Opens an export of this DLQ to continue it. Returns its name and the letters that it contains.
///
/// In S3 the export is at `target`, or at `target/NAME` if its name is given.
pub(super) async fn resume(
    target: &str,
    name: Option<&str>,
    queue: &DeadLetterQueue,
) -> Result<(String, Sink, HashSet<LetterId>), ExitError> {
    let (found, sink, letters) = if is_s3(target) {
        let place =
            name.map_or_else(|| target.to_owned(), |name| format!("{}/{name}", target.trim_end_matches('/')));
        unless_interrupted(resume_objects(&place, queue)).await?
    } else {
        resume_file(target, queue)?
    };
    match name {
        Some(name) if name != found => {
            Err(ExitError::usage(format!("{target} is the export {found}, not {name}")))
        }
        _ => Ok((found, sink, letters)),
    }
}

/// Opens an export in a file to continue it.
pub(in crate::dlq) fn resume_file(
    path: &str,
    queue: &DeadLetterQueue,
) -> Result<(String, Sink, HashSet<LetterId>), ExitError> {
    let Resumed { file, header, letters } = ExportFile::resume(Path::new(path))?;
    expect_export_of(&header, path, queue)?;
    Ok((header.name, Sink::File(file), letters))
}

async fn resume_objects(
    place: &str,
    queue: &DeadLetterQueue,
) -> Result<(String, Sink, HashSet<LetterId>), ExitError> {
    let mut stored = StoredExport::open(place, &queue.clients.config).await?;
    expect_export_of(&stored.header, &stored.place(), queue)?;
    let mut letters = HashSet::new();
    while let Some(exported) = stored.next().await? {
        letters.insert(LetterId::of(&exported.message.id));
    }
    let name = stored.header.name.clone();
    Ok((name, Sink::Objects(Box::new(Objects::resume(stored))), letters))
}

/// Returns an error if an export belongs to another DLQ.
fn expect_export_of(header: &Header, place: &str, queue: &DeadLetterQueue) -> Result<(), ExitError> {
    let is_other = header.dlq != queue.name || header.dlq_arn.is_some() && header.dlq_arn != queue.arn;
    if !is_other {
        return Ok(());
    }
    Err(ExitError::usage(format!(
        "{place} is an export of {}, not of {}",
        header.dlq_arn.as_ref().unwrap_or(&header.dlq),
        queue.arn.as_ref().unwrap_or(&queue.name)
    )))
}
