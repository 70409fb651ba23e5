//! `drumline config`: prints the settings in force, including tables, and the source of each.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use comfy_table::{ContentArrangement, Table, presets};
use drumline::run::NoopObserver;
use drumline_consumer::ExitError;
use drumline_runtime::aws::{AwsQueue, queue_name, queue_url};
use drumline_runtime::{
    Effective, EffectiveType, Environment, Origin, Service, Settings, TypeValue, runtimes, waits,
};
use drumline_timetable::Timetable;
use serde_json::json;

use crate::check;
use crate::connection::connect_to;
use crate::format::{note, one_line, table};
use crate::output::{Out, Output, print};
use crate::service::router_if_made;
use crate::settings_args::{Every, SettingsArgs};

/// Prints each setting in force with its source, or all problems
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  {program} config
  {program} config --config worker.toml --output json | jq -r 'select(.origin != \"default\") | .key'
  {program} config --check

Exit status: 0 ok, 64 bad configuration, 69 SQS does not answer, or a check of --check failed, 1 any other error.")]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    settings: SettingsArgs<Every>,
    /// Also print the retry delays of each queue
    ///
    /// The command asks SQS for the redrive policy and the retention of each queue, and prints the retry delays that fit
    /// them. It needs sqs:GetQueueAttributes.
    #[arg(long, conflicts_with = "check")]
    ask: bool,
    /// Check everything that a worker with these settings needs
    ///
    /// The checks cover endpoint, region, credentials, queue, DLQ, permissions, store and application. They receive, change
    /// and delete no message. If a check fails, the exit status is 69.
    #[arg(long)]
    check: bool,
    /// Columns for people, or one JSON object per line
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn config(
    args: &ConfigArgs,
    environment: &Environment,
    service: Service,
) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read(environment);
    let mut settings = settings.map_err(|problems| ExitError::usage(problems.to_string()))?;
    Timetable::from_settings(&settings).map_err(|problems| ExitError::usage(problems.to_string()))?;
    for variable in &settings.unknown_variables {
        note(&variable.to_string());
    }
    if args.ask {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(fit_waits(&mut settings))?;
    }
    let json = args.output == Output::Json;
    if args.check {
        return check::run(&settings, service, json);
    }
    let types = job_types(&settings, service)?;
    print(
        |out| {
            if json { write_rows(out, &settings, &types) } else { write_tables(out, &settings, &types) }
        },
    )?;
    Ok(ExitCode::SUCCESS)
}

fn write_rows(out: &mut Out, settings: &Settings, types: &[EffectiveType]) -> io::Result<()> {
    for row in settings.effective.iter().chain(&rows_of_types(settings, types)) {
        let Effective { queue, key, value, origin } = row;
        out.json_line(&json!({ "queue": queue, "key": key, "value": value, "origin": origin.to_string() }))?;
    }
    Ok(())
}

fn write_tables(out: &mut Out, settings: &Settings, types: &[EffectiveType]) -> io::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["SETTING", "VALUE", "FROM", "QUEUE"]);
    for Effective { queue, key, value, origin } in &settings.effective {
        // An empty text is an empty list, such as a queue's `require = []`.
        let value = value.as_deref().filter(|value| !value.is_empty()).unwrap_or("-");
        let queue = queue.as_deref().unwrap_or_default();
        table.add_row([key, value, &origin.to_string(), queue].map(one_line));
    }
    if out.is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    writeln!(out, "{table}")?;
    if !types.is_empty() {
        writeln!(out, "\n{}", table_of_types(types, out.is_terminal()))?;
    }
    Ok(())
}

/// Returns the values of the handlers' job types; none in forward mode, and none if there is no router.
fn job_types(settings: &Settings, service: Service) -> Result<Vec<EffectiveType>, ExitError> {
    if settings.forward_to.is_some() {
        return Ok(Vec::new());
    }
    let (io, handlers) = runtimes()?;
    let router = io.block_on(router_if_made(service, handlers.handle()));
    handlers.shutdown_background();
    Ok(router?.map(|router| settings.effective_types(&router)).unwrap_or_default())
}

/// Returns the values of job types as rows of settings. Values that already have a row, because a setting of the type sets
/// them, are left out.
fn rows_of_types(settings: &Settings, types: &[EffectiveType]) -> Vec<Effective> {
    let is_shown = |row: &Effective| {
        settings.effective.iter().any(|other| other.key == row.key && other.queue == row.queue)
    };
    let rows = types.iter().flat_map(|of| {
        let row = |key: &str, TypeValue { value, origin }: TypeValue| {
            let key = format!("{key}_by_type.{}", of.name);
            Effective { queue: Some(of.queue.clone()), key, value, origin }
        };
        let version = TypeValue { value: Some(of.version.to_string()), origin: Origin::Code };
        [
            row("version", version),
            row("handler_timeout", of.handler_timeout.clone()),
            row("max_attempts", of.max_attempts.clone()),
            row("retry", of.retry.clone()),
        ]
    });
    rows.filter(|row| !is_shown(row)).collect()
}

fn table_of_types(types: &[EffectiveType], is_terminal: bool) -> Table {
    let mut table =
        table(["TYPE", "VERSION", "HANDLER TIMEOUT", "MAX ATTEMPTS", "RETRY", "QUEUE"], is_terminal);
    for of in types {
        let cell = |TypeValue { value, origin }: &TypeValue| {
            format!("{} ({origin})", value.as_deref().unwrap_or("-"))
        };
        let [timeout, attempts, retry] = [&of.handler_timeout, &of.max_attempts, &of.retry].map(cell);
        let queue = &of.queue;
        table.add_row([&of.name, &*of.version.to_string(), &timeout, &attempts, &retry, queue].map(one_line));
    }
    table
}

/// Replaces the configured retry delays with those that fit the actual queues.
async fn fit_waits(settings: &mut Settings) -> Result<(), ExitError> {
    for queue in &settings.queues {
        let name = queue_name(queue.url.as_str());
        let (clients, url) = connect_to(&queue.url, queue.wait_time).await?;
        let facts = AwsQueue::new(clients, url.to_string(), Arc::new(NoopObserver)).describe().await;
        let facts = facts
            .map_err(|error| ExitError::sqs(error.kind, format!("{name} cannot be asked: {}", error.text)))?;
        let limits = queue.retry_limits(Some(&facts));
        let shown = |row: &&mut Effective| {
            let is_of = |text: &str| queue_url(text).is_ok_and(|url| url == queue.url);
            row.key == "retry_waits" && row.queue.as_deref().is_some_and(is_of)
        };
        if let Some(row) = settings.effective.iter_mut().find(shown) {
            row.value = Some(waits(&queue.retry.clone().fitted(&limits), &limits));
        }
    }
    Ok(())
}
