//! `drumline config --check`: checks everything that a worker with these settings needs, with a verdict for each check.

use std::io::Write;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::aws::queue_labels;
use drumline_runtime::{Service, Settings, runtimes};
use serde_json::json;
use tokio::runtime::Handle;

use crate::connection::with_url;
use crate::format::{one_line, table};
use crate::output::print;
use crate::preflight::{Check, Verdict, check_process, check_queue};

pub(crate) fn run(settings: &Settings, service: Service, json: bool) -> Result<ExitCode, ExitError> {
    let (io, handlers) = runtimes()?;
    let checks = io.block_on(checks(settings, service, handlers.handle()));
    handlers.shutdown_background();
    let checks = checks?;
    print(|out| {
        if json {
            for (queue, check) in &checks {
                let mut line = serde_json::to_value(check)?;
                line["queue"] = json!(queue);
                out.json_line(&line)?;
            }
            return Ok(());
        }
        let mut table = table(["CHECK", "VERDICT", "DETAIL", "QUEUE"], out.is_terminal());
        for (queue, check) in &checks {
            let queue = queue.as_deref().unwrap_or_default();
            table.add_row([check.name, check.verdict.label(), &one_line(&check.detail), queue]);
        }
        writeln!(out, "{table}")
    })?;
    let failed = checks.iter().filter(|(_, check)| check.verdict == Verdict::Failed).count();
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        1 => Err(ExitError::unavailable("1 check failed")),
        _ => Err(ExitError::unavailable(format!("{failed} checks failed"))),
    }
}

/// Runs all checks. Each result has its queue if it belongs to one.
async fn checks(
    settings: &Settings,
    service: Service,
    handlers: &Handle,
) -> Result<Vec<(Option<String>, Check)>, ExitError> {
    let mut all: Vec<_> =
        check_process(settings, service, handlers).await.into_iter().map(|check| (None, check)).collect();
    let urls: Vec<_> = settings.queues.iter().map(|queue| &queue.url).collect();
    for (queue, label) in settings.queues.iter().zip(queue_labels(&urls)) {
        let preflight = check_queue(&with_url(queue).await?).await.map_err(ExitError::usage)?;
        all.extend(preflight.checks.into_iter().map(|check| (Some(label.to_string()), check)));
    }
    Ok(all)
}
