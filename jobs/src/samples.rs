//! Sample jobs for trying Drumline: they need no account and no network, and show every relevant ending.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! use drumline_jobs::{Settings, samples};
//!
//! let jobs = samples::prepare(folder)?;
//! let router = samples::router(&Settings::for_folder(folder));
//! # assert!(jobs.len() > 5 && router.types().count() == 11);
//! # Ok(()) }
//! ```

mod handlers;
#[cfg(feature = "images")]
mod images;
mod sales;
mod sample;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use drumline::Router;
use serde_json::json;

use crate::settings::{FILE_ROOT, SAMPLE_JOBS, Settings};
#[cfg(feature = "mail")]
use crate::settings::{MAIL_OUTBOX, MAIL_TEMPLATES};
#[cfg(not(feature = "images"))]
use sample::dead;
use sample::{file_url, job};

pub use sample::{Expect, Sample};

/// The duration of the slow sample: with a visibility timeout of a few seconds, it outlives its lease several times.
pub const SLOW_JOB: Duration = Duration::from_secs(8);

/// The attempt at which the flaky sample succeeds: a queue's `maxReceiveCount` must be at least this.
pub const FLAKY_SUCCEEDS_AT: u32 = 3;

/// The committed files of the samples, with their target paths.
const FILES: &[(&str, &[u8])] = &[
    #[cfg(feature = "images")]
    ("data/images/lake.jpg", include_bytes!("../samples/lake.jpg")),
    #[cfg(feature = "images")]
    ("data/images/portrait.jpg", include_bytes!("../samples/portrait.jpg")),
    #[cfg(feature = "images")]
    ("data/images/drum.png", include_bytes!("../samples/drum.png")),
    #[cfg(feature = "images")]
    ("data/images/bomb.png", include_bytes!("../samples/bomb.png")),
    #[cfg(feature = "mail")]
    ("mail-templates/users.json", include_bytes!("../samples/mail-templates/users.json")),
    #[cfg(feature = "mail")]
    ("mail-templates/welcome.subject.txt", include_bytes!("../samples/mail-templates/welcome.subject.txt")),
    #[cfg(feature = "mail")]
    ("mail-templates/welcome.txt", include_bytes!("../samples/mail-templates/welcome.txt")),
    #[cfg(feature = "mail")]
    ("mail-templates/welcome.html", include_bytes!("../samples/mail-templates/welcome.html")),
];

/// Returns the jobs of [`router`](crate::router()), plus `sample.flaky` and `sample.slow`, which only the samples use.
pub fn router(settings: &Settings) -> Router {
    crate::router::router(settings).handle(handlers::flaky).handle(handlers::slow)
}

/// Returns the variables with which a process runs the sample jobs in `folder`, with
/// [`router_if_enabled`](crate::router_if_enabled).
pub fn variables(folder: &Path) -> Vec<(String, String)> {
    let under = |name: &str| folder.join(name).display().to_string();
    let variables = [
        (SAMPLE_JOBS, "on".to_owned()),
        (FILE_ROOT, under("data")),
        #[cfg(feature = "mail")]
        (MAIL_OUTBOX, under("outbox")),
        #[cfg(feature = "mail")]
        (MAIL_TEMPLATES, under("mail-templates")),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Writes the sample images, mail templates and sales into `folder`, which is created if it is missing. Returns jobs of the
/// built-in types to send. They fit a router made with [`Settings::for_folder`] for the same folder.
pub fn prepare(folder: &Path) -> io::Result<Vec<Sample>> {
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    for (name, bytes) in FILES {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, bytes)?;
    }
    let data = folder.join("data");
    let mut samples = Vec::new();
    #[cfg(feature = "images")]
    samples.extend(images::made(&data));
    samples.push(report(&data)?);
    #[cfg(feature = "mail")]
    samples.push(mail(&folder));
    samples.push(Sample {
        label: format!("fails twice, succeeds at attempt {FLAKY_SUCCEEDS_AT}"),
        body: job("flaky", "sample.flaky", &json!({ "succeedsAt": FLAKY_SUCCEEDS_AT })),
        expect: Expect::Done,
        outputs: vec![],
    });
    samples.push(Sample {
        label: format!("runs {} s, longer than its visibility timeout", SLOW_JOB.as_secs()),
        body: job("slow", "sample.slow", &json!({ "seconds": SLOW_JOB.as_secs() })),
        expect: Expect::Done,
        outputs: vec![],
    });
    #[cfg(feature = "images")]
    samples.extend(images::poison(&data));
    #[cfg(not(feature = "images"))]
    samples.extend(poison(&data));
    Ok(samples)
}

/// Writes the table for the report.
fn report(folder: &Path) -> io::Result<Sample> {
    let reports = folder.join("reports");
    fs::create_dir_all(&reports)?;
    fs::write(reports.join("sales.csv"), sales::csv())?;
    let target = reports.join("sales-by-country");
    let payload = json!({
        "source": file_url(&reports.join("sales.csv")),
        "target": file_url(&target),
        "groupBy": "country",
        "value": "amount",
        "title": "Drum sales by country",
    });
    Ok(Sample {
        label: format!("a report of {} sales, as CSV and HTML", sales::COUNT),
        body: job("sales", "report.generate", &payload),
        expect: Expect::Done,
        outputs: vec![target.with_extension("csv"), target.with_extension("html")],
    })
}

#[cfg(feature = "mail")]
fn mail(folder: &Path) -> Sample {
    let payload = json!({ "deliveryId": "welcome-ada", "templateId": "welcome", "userId": "ada" });
    Sample {
        label: "a welcome mail, into the outbox".into(),
        body: job("welcome-mail", "email.send", &payload),
        expect: Expect::Done,
        outputs: vec![folder.join("outbox/welcome-ada.eml")],
    }
}

/// Returns messages that no attempt can fix, for the job type that every build has.
#[cfg(not(feature = "images"))]
fn poison(folder: &Path) -> Vec<Sample> {
    let reports = folder.join("reports");
    let missing = json!({
        "source": file_url(&reports.join("missing.csv")),
        "target": file_url(&reports.join("never")),
        "groupBy": "country",
        "value": "amount",
    });
    vec![
        dead("a report of a table that is not there", job("missing", "report.generate", &missing)),
        dead(
            "a payload that does not fit its type",
            job("misfit", "report.generate", &json!({ "source": 42 })),
        ),
    ]
}

#[cfg(test)]
#[path = "samples/samples_tests.rs"]
mod tests;
