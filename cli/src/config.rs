//! `drumline config`: the settings in force, with the entries of tables, and the source of each.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};
use comfy_table::{ContentArrangement, Table, presets};

use drumline_runtime::aws::{AwsQueue, queue_name, queue_url};
use drumline_runtime::{Effective, Environment, Settings, retry_limits, waits, write_json};
use serde_json::json;

use super::check;
use super::connection::connect_to;
use super::exit::Failed;
use super::words::{note, one_line};
use super::{MakeRouter, read_settings, settings_args};
use crate::metrics::Metrics;

pub(super) fn command() -> Command {
    Command::new("config")
        .about("Prints the settings in force and where each came from; all problems at once")
        .args(settings_args())
        .arg(
            Arg::new("ask")
                .long("ask")
                .action(ArgAction::SetTrue)
                .conflicts_with("check")
                .help("Ask SQS for each queue's redrive policy and retention, and print the waits that fit them (sqs:GetQueueAttributes)"),
        )
        .arg(
            Arg::new("check")
                .long("check")
                .action(ArgAction::SetTrue)
                .help("Check what a worker with these settings needs, by requests that touch no message: endpoint, region, credentials, queue, DLQ, permissions, store, application. Exit status 69 if something failed"),
        )
        .arg(
            Arg::new("output")
                .long("output")
                .value_parser(["table", "json"])
                .default_value("table")
                .help("Format of the output: columns for people, or one JSON object per line"),
        )
}

pub(super) fn config(
    args: &ArgMatches,
    environment: &Environment,
    router: MakeRouter,
) -> Result<ExitCode, Failed> {
    let settings = read_settings(args, environment);
    let mut settings = settings.map_err(|problems| Failed::usage(problems.to_string()))?;
    for variable in &settings.unknown_variables {
        note(&variable.to_string());
    }
    if args.get_flag("ask") {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(fit_waits(&mut settings))?;
    }
    let json = args.get_one::<String>("output").is_some_and(|output| output == "json");
    if args.get_flag("check") {
        return check::run(&settings, router, json);
    }
    let mut out = std::io::stdout().lock();
    if json {
        for setting in &settings.effective {
            let Effective { queue, key, value, origin } = setting;
            let row = json!({ "queue": queue, "key": key, "value": value, "origin": origin.to_string() });
            write_json(&mut out, &row).map_err(|error| Failed::other(error.to_string()))?;
            writeln!(out)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["SETTING", "VALUE", "FROM", "QUEUE"]);
    for Effective { queue, key, value, origin } in &settings.effective {
        // An empty text is a list without items, such as a queue's `require = []`.
        let value = value.as_deref().filter(|value| !value.is_empty()).unwrap_or("-");
        let queue = queue.as_deref().unwrap_or_default();
        table.add_row([key, value, &origin.to_string(), queue].map(one_line));
    }
    if out.is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    writeln!(out, "{table}")?;
    Ok(ExitCode::SUCCESS)
}

/// Replaces the waits of retries by those that fit the queues as they are.
async fn fit_waits(settings: &mut Settings) -> Result<(), Failed> {
    for queue in &settings.queues {
        let name = queue_name(queue.url.as_str());
        let (clients, url) = connect_to(&queue.url, queue.wait_time).await?;
        let facts = AwsQueue::new(clients, url.to_string(), Metrics::new().queue(name)).describe().await;
        let facts = facts
            .map_err(|error| Failed::sqs(error.kind, format!("{name} cannot be asked: {}", error.text)))?;
        let limits = retry_limits(queue, Some(&facts));
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
