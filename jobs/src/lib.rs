//! The jobs that Drumline's own binaries host: `image.process`, `email.send`, `billing.charge` and
//! `report.generate`. A team replaces this crate with its own; until then it shows what handlers look like when they do
//! real work.
//!
//! `image.process` comes with the feature `images`, `email.send` with `mail`, and sources and targets in S3 with `s3`: all
//! are on by default. Without them the crate needs no image codec, no mail client and no client of S3.
//!
//! ```
//! use drumline_jobs::Settings;
//! # fn main() -> Result<(), Vec<drumline_jobs::InvalidSetting>> {
//! let settings = Settings::from_lookup(|name| std::env::var(name).ok())?;
//! let router = drumline_jobs::router(&settings);
//! assert_eq!(router.types().collect::<Vec<_>>(), ["billing.charge", "email.send", "image.process", "report.generate"]);
//! # Ok(()) }
//! ```
//!
//! # `image.process`
//! ```json
//! {
//!   "source": "s3://photos/42/original.jpg",
//!   "outputs": [
//!     {
//!       "target": "s3://photos/42/320.webp",
//!       "operations": [
//!         { "resize": { "width": 320, "height": 240, "fit": "inside" } },
//!         { "convert": { "format": "webp", "quality": 80 } }
//!       ]
//!     }
//!   ]
//! }
//! ```
//! - A source is a JPEG, PNG, WebP or GIF (its first frame), as `file://` or `s3://`. It is decoded once for all
//!   outputs, turned upright by its EXIF orientation, and refused by its header where it claims too many pixels.
//!   Metadata is not carried over.
//! - `resize` fits the image inside a box of `width` by `height` pixels. The shape is kept; nothing is ever enlarged.
//!   `fit` may be left out.
//! - `convert` names the `format` (`webp`, `avif`, `jpeg`, `png`) and a `quality` of 1 to 100 (defaults: WebP 80,
//!   AVIF 60, JPEG 82; PNG has none). Without it the source's format is kept. JPEG lays transparency on white.
//! - There are 1 to 32 outputs of one or both operations, in this order. All are made before the first is written,
//!   and each is written whole or not at all.
//! - The job's idempotency key is the SHA-256 of its payload: where claims are kept, the same payload is done once. Two
//!   payloads are the same if they are equal as JSON values: the order of fields makes no difference, a default that only
//!   one of them names does.
//! - **A source that changes under the same name needs a `revision`** in the payload, such as S3's version id: without it a
//!   job for the new content is a duplicate of the job for the old one. A revision changes the key and nothing else. It
//!   belongs to `schemaVersion` 2, so that a worker of an older build retries the message.
//! - The result names what was made: `{"outputs": [{"url": URL, "contentType": "image/webp", "width": 320, "height": 213,
//!   "bytes": 9876}]}`. Outputs that do not fit into a result are counted as `omitted`.
//! - All decoded images of the process share `DRUMLINE_IMAGE_MEMORY`: a job waits until its part is free. A full-size WebP of a
//!   photo of 48 megapixels with a colour profile needs 820 MB, a thumbnail of it 170 MB. An AVIF has at most 16 megapixels.
//!
//! Rejected: a source that does not exist, is no image, is damaged or too large; images that need more than
//! `DRUMLINE_IMAGE_MEMORY`; a file outside `DRUMLINE_FILE_ROOT`.
//! Undecodable: operations that do not fit together. Retried: everything that may pass, such as network faults,
//! throttling, a full disk, and denied access, since permissions are mended without sending the job again.
//!
//! # `email.send`
//! ```json
//! { "deliveryId": "welcome-42", "templateId": "welcome", "userId": "42" }
//! ```
//! - The mail is made from `TEMPLATE.subject.txt`, `TEMPLATE.txt` and, where there is one, `TEMPLATE.html`, in
//!   [Jinja's syntax](https://docs.rs/minijinja/latest/minijinja/syntax/index.html). They know `user.id`,
//!   `user.name`, `user.email` and `deliveryId`; any other name is an error, never an empty text. HTML is escaped.
//!   `include`, `import` and `extends` reach the files of that folder only.
//! - The user is looked up in `users.json` beside the templates: `{"42": {"name": "Ada", "email": "ada@example.com"}}`.
//! - `delivery:DELIVERY_ID` is the job's idempotency key: where claims are kept, there is one mail for each `deliveryId`,
//!   even if the jobs' own ids differ. To send a mail again, give it a new one. Another template or user under a `deliveryId` that
//!   was sent is rejected.
//! - The `Message-ID` is made of the `deliveryId`, so that mail systems recognise a second copy; in an outbox the
//!   second copy replaces the first. It is the job's result: `{"messageId": "<welcome-42@example.com>"}`.
//!
//! Rejected: an unknown user or template, a template that fails, an address that is none, control characters (such as line
//! ends) in a name, an address or a subject, a mail server's final no (5xx). Retried: 4xx, an unreachable server, and a
//! refused login, because then the settings are at fault, not the job.
//!
//! # `billing.charge`
//! ```json
//! { "chargeId": "inv-2026-42", "customerId": "c-7", "amount": 1999, "currency": "EUR", "description": "A snare drum" }
//! ```
//! - The amount is in the currency's minor unit, 1 to 99,999,999. The description may be left out.
//! - The job goes to `DRUMLINE_BILLING_URL` as JSON by `POST`, with these fields. The header `Idempotency-Key` is
//!   `charge:CHARGE_ID` at every attempt and after every redrive: the provider has to charge once for it, whatever happens.
//! - The same key is the job's idempotency key, and `customer:CUSTOMER_ID` is its lock: where claims are kept, a charge that
//!   is done is not sent again, and no two charges of a customer run at once.
//! - The provider answers with a 2xx and `{"id": "ch_1", "status": "succeeded"}`; the job's result is then
//!   `{"providerId": "ch_1"}`. Or it declines: a 402, or a 2xx with `"status": "declined"`, and a `reason`.
//!
//! | the provider | the charge |
//! |---|---|
//! | 2xx with `succeeded` | done |
//! | 402, or 2xx with `declined` | rejected with the provider's reason |
//! | 400, 410, 413, 415, 422 | rejected |
//! | 401, 403, 404, 405, 407, a redirect | retried: the settings are at fault, not the job |
//! | 409: it is at work on the key | retried |
//! | 408, 425, 429, anything else | retried |
//! | 5xx, a timeout, a connection that breaks after the request, a 2xx that makes no sense | retried; it may have charged |
//! | cannot be connected to, or is not set | retried; it has not charged |
//!
//! `Retry-After` is honoured in seconds or as a date. How often it is tried in all is the runtime's setting, not the job's.
//!
//! # `report.generate`
//! ```json
//! {
//!   "source": "s3://sales/2026.csv",
//!   "target": "s3://sales/reports/2026-by-country",
//!   "groupBy": "country",
//!   "value": "amount",
//!   "title": "Sales of 2026"
//! }
//! ```
//! - The source is a CSV file of any size with a header, as `file://` or `s3://`. For each distinct value of the column
//!   `groupBy` it is told how many records there are, and sum, minimum, maximum and mean of the column `value`.
//! - `TARGET.csv` has the groups by name, for programs. `TARGET.html` has a chart and a table for people, and needs nothing
//!   else: no script, no network. Both depend on the source alone, byte for byte, however often the job was interrupted. The
//!   result names them: `{"csv": URL, "html": URL, "records": 5000, "groups": 12, "sum": "812345.50"}`. The title may be left
//!   out.
//! - The job's idempotency key is the SHA-256 of its payload, as for images. A source that changes under the same
//!   name needs a `revision` here as well, such as the day of a daily report.
//! - Sums are exact. A value has up to 12 digits before the decimal point and up to 6 after it, such as `-1234.56`: no
//!   exponent, no separators of thousands. A mean is rounded to two digits more than the values have.
//! - A name that a spreadsheet would run as a formula (it begins with `=`, `+`, `-` or `@`, and is no plain number) gets a
//!   leading `'` in `TARGET.csv`; `DRUMLINE_CSV_FORMULAS=keep` leaves it as it is.
//! - CSV is as in RFC 4180: UTF-8 with commas; quoted fields may hold commas and line ends; lines end by LF, CRLF or CR; a
//!   byte order mark and empty lines are skipped. A record has up to 1 MiB.
//! - The source is streamed: an attempt holds a megabyte or two of it, whatever its size.
//! - Every second, and when it is stopped, the sums so far are kept, and the next attempt goes on behind the last record
//!   of them: by seeking in a file, by `Range` and `If-Match` in S3. A source that has changed meanwhile (length or
//!   modification time, `ETag`) begins anew. What is kept has to fit into a checkpoint: hence at most 1,000 groups, whose
//!   names have at most 16,000 bytes together.
//! - Progress is told in records. How many there are is not known before the end without reading everything twice; until
//!   then the total is an estimate, from the bytes read and the source's size. At the end it is exact.
//!
//! Rejected: a source or a column that does not exist, an empty source, too many groups, and a record that does not fit
//! (too few or too many fields, a value that is no number), with its number and line: a report that leaves out what it
//! cannot read would look right and be wrong. Retried: all else, as for images, and a source that changes while it is read.

mod billing;
#[cfg(feature = "mail")]
mod email;
#[cfg(feature = "images")]
mod image;
mod key;
mod location;
mod name;
mod report;
pub mod samples;
mod settings;
mod storage;

use std::sync::Arc;

use drumline::Router;

use storage::Storage;

pub use settings::{
    BILLING_TIMEOUT, BILLING_TOKEN, BILLING_URL, CSV_FORMULAS, FILE_ROOT, IMAGE_MEMORY, InvalidSetting,
    MAIL_FROM, MAIL_OUTBOX, MAIL_TEMPLATES, MAX_PIXELS, MAX_SOURCE_BYTES, SAMPLE_JOBS, SMTP_URL, Settings,
    VARIABLES,
};

/// The handlers of all jobs above that are built in.
///
/// Nothing is connected to before the first job needs it. The handlers expect to run on tokio, as both hosts do.
pub fn router(settings: &Settings) -> Router {
    let storage = Arc::new(Storage::new(settings));
    let router = Router::new().handle(billing::Biller::new(settings));
    #[cfg(feature = "mail")]
    let router = router.handle(email::EmailSender::new(settings));
    #[cfg(feature = "images")]
    let router = router.handle(image::ImageProcessor::new(settings, Arc::clone(&storage)));
    router.handle(report::ReportGenerator::new(storage, settings.formulas))
}

/// The router of this repository's binaries: the jobs above, if [`SAMPLE_JOBS`] is `on`.
///
/// # Errors
/// All problems with the settings of the jobs as text; or that there is nothing to run, so that an application's messages
/// are not taken for sample jobs.
pub fn router_if_enabled(lookup: impl Fn(&str) -> Option<String>) -> Result<Router, String> {
    let switch = lookup(SAMPLE_JOBS).unwrap_or_default();
    let switch = match switch.trim() {
        "on" => None,
        "" | "off" => return Err(NOTHING_TO_RUN.to_owned()),
        _ => Some(InvalidSetting { name: SAMPLE_JOBS, problem: "must be one of on, off".to_owned() }),
    };
    let problems = match (switch, Settings::from_lookup(lookup)) {
        (None, Ok(settings)) => return Ok(router(&settings)),
        (switch, settings) => switch.into_iter().chain(settings.err().unwrap_or_default()),
    };
    Err(problems.map(|problem| problem.to_string()).collect::<Vec<_>>().join("\n  "))
}

/// The two ways to give this repository's binaries something to run.
const NOTHING_TO_RUN: &str = "nothing to run: set DRUMLINE_FORWARD_TO (--forward-to) to the http:// address of your application to \
     have it handle the messages, or DRUMLINE_SAMPLE_JOBS=on to run the sample jobs of this repository";

#[cfg(test)]
mod testing;

#[cfg(all(test, feature = "images", feature = "mail"))]
mod deep_tests {
    use drumline::core::Ending;

    use super::*;

    /// A nesting of more than 128 levels is refused before it fills the stack.
    #[tokio::test]
    async fn a_payload_that_is_nested_too_deep_is_undecodable() {
        let folder = tempfile::tempdir().expect("a folder");
        let router = router(&Settings::for_folder(folder.path()));
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for job_type in ["billing.charge", "email.send", "image.process", "report.generate"] {
            let in_field = format!(r#"{{"source":{deep},"chargeId":{deep},"deliveryId":{deep}}}"#);
            for payload in [&deep, &in_field] {
                let body = format!(r#"{{"type":"{job_type}","payload":{payload}}}"#);
                let ending =
                    testing::attempt(&router, body, 1, Arc::default(), drumline::core::RunControl::new())
                        .await;
                assert!(matches!(ending, Ending::Undecodable { .. }), "{job_type}: {ending:?}");
            }
        }
    }
}
