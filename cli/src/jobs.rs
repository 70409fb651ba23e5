//! `drumline jobs`: what is known of one job, once or as it changes.

mod watch;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Command};
use drumline_runtime::Environment;

use drumline_runtime::write_json;

use super::exit::Failed;
use super::histories::{self, Histories, output_arg};
use super::job_text::write_job;
use super::words::now_ms;
use super::{read_tool_settings, some_settings_args};
use crate::job_view::{self, JobFilter, JobView};

/// Who is asked. Paragraphs are lines, since a terminal is as wide as it is.
const WHO_IS_ASKED: &str = "\
It asks the store of DRUMLINE_STORE_URL. Where that is memory:, what is known is in the worker's memory, and the worker at \
DRUMLINE_HTTP_ADDR is asked: on this machine, unless told otherwise. No queue has to be named.\n\n\
An id is the jobId of the body, else the id of its event, else the message's id (`drumline send` gives a jobId). Jobs in \
different queues, of different types, or from different sources may share an id: the one that changed last is shown, and \
the others are listed.";

pub(super) fn command() -> Command {
    let id = || Arg::new("id").value_name("ID").required(true).help("The job's id");
    let filter = || {
        [
            Arg::new("queue")
                .long("queue")
                .value_name("NAME")
                .help("Of several jobs with this id, the one in this queue"),
            Arg::new("source")
                .long("source")
                .value_name("SOURCE")
                .help("Of several jobs with this id, the one of this source"),
            Arg::new("type")
                .long("type")
                .value_name("TYPE")
                .help("Of several jobs with this id, the one of this type"),
        ]
    };
    let settings = || some_settings_args(&histories::SETTINGS);
    Command::new("jobs")
        .about("Shows or watches a job: how far it is, who has it, how it failed")
        .after_help(WHO_IS_ASKED)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("show")
                .about("Everything that is known of a job")
                .after_help(format!(
                    "Examples:\n  \
                     drumline jobs show 01JQ3ZC5T8M1Y4\n  \
                     drumline jobs show 01JQ3ZC5T8M1Y4 --store-url redis://cache:6379/0\n  \
                     drumline jobs show 01JQ3ZC5T8M1Y4 --http-addr 10.0.3.7:9464\n  \
                     drumline jobs show 01JQ3ZC5T8M1Y4 --output json | jq -r '.attempts[].reason'\n\n\
                     {WHO_IS_ASKED}\n\n\
                     States: running, waiting (for its next attempt), done, failed (for good), unknown (only history is left).\n\
                     The JSON is what a worker answers at /jobs/ID.\n\n\
                     Exit status: 0 shown, 1 nothing is known of it, 64 bad usage, 69 nobody answers."
                ))
                .arg(id())
                .args(filter())
                .args(settings())
                .arg(output_arg()),
        )
        .subcommand(
            Command::new("watch")
                .about("Follows a job to its end")
                .after_help(format!(
                    "On a terminal the last line moves; elsewhere there is a line for each change.\n\n\
                     Examples:\n  \
                     drumline jobs watch 01JQ3ZC5T8M1Y4\n  \
                     drumline jobs watch 01JQ3ZC5T8M1Y4 && echo done || echo failed\n\n\
                     {WHO_IS_ASKED}\n\n\
                     A message that the redrive policy takes because it was received too often leaves its job waiting, since SQS \
                     tells nobody: see `drumline dlq ls`.\n\n\
                     Exit status: 0 it is done, 1 it has failed or nothing is known of it, 64 bad usage, 69 nobody answers, \
                     130 after Ctrl-C."
                ))
                .arg(id())
                .args(filter())
                .args(settings()),
        )
}

pub(super) fn jobs(args: &ArgMatches, environment: &Environment) -> Result<ExitCode, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match args.subcommand() {
            Some(("show", args)) => show(args, environment).await,
            Some(("watch", args)) => watch::watch(args, environment).await,
            other => unreachable!("clap knows no other command: {other:?}"),
        }
    });
    // A question that is still in the air has no one to answer to.
    runtime.shutdown_background();
    result
}

async fn show(args: &ArgMatches, environment: &Environment) -> Result<ExitCode, Failed> {
    let (id, filter, histories) = asked(args, environment).await?;
    let Some(job) = histories.job(id, &filter).await? else {
        return Err(unknown(id, &filter, &histories).await);
    };
    let mut out = std::io::stdout().lock();
    if args.get_one::<String>("output").is_some_and(|output| output == "json") {
        write_json(&mut out, &job).map_err(|error| Failed::other(error.to_string()))?;
        writeln!(out)?;
    } else {
        let is_terminal = out.is_terminal();
        write_job(&mut out, &job, now_ms(), is_terminal)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The job that is meant, and whom to ask.
async fn asked<'a>(
    args: &'a ArgMatches,
    environment: &Environment,
) -> Result<(&'a str, JobFilter, Histories), Failed> {
    let id = args.get_one::<String>("id").map(String::as_str).unwrap_or_default();
    let text = |name: &str| args.get_one::<String>(name).cloned();
    let filter = JobFilter {
        queue: text("queue"),
        job_type: text("type"),
        source: text("source"),
        ..JobFilter::default()
    };
    if id.is_empty() {
        return Err(Failed::usage("the job's id is empty".to_owned()));
    }
    let settings = read_tool_settings(args, environment)?;
    Ok((id, filter, Histories::open(&settings).await?))
}

/// Why there is nothing to show: the filter, or an id that nothing is known of.
async fn unknown(id: &str, filter: &JobFilter, histories: &Histories) -> Failed {
    if *filter != JobFilter::default()
        && let Ok(Some(JobView { job, others, .. })) = histories.job(id, &JobFilter::default()).await
    {
        let known = |name: &str, text: Option<&str>| text.map(|text| format!("{name} {text}"));
        let facts = [
            known("queue", job_view::queue(&job)),
            known("type", job_view::job_type(&job)),
            known("source", job.source.as_deref()),
        ];
        let facts = facts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
        return Failed::other(format!(
            "the job {id} is known, but not with this --queue, --type or --source: there is one of {facts}{more}"
        ));
    }
    Failed::other(format!(
        "{} knows nothing of the job {id}: no worker has begun it, it was forgotten meanwhile, or its id is another one",
        histories.name()
    ))
}
