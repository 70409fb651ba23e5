//! `drumline slo`: generates alert rules and dashboards from a target for the time between sending a job and its success.

mod burn;
mod cloudwatch;
mod grafana;
mod prometheus;
mod target;
mod yaml;

use std::io::Write;
use std::process::ExitCode;

use clap::ValueEnum;
use drumline_consumer::ExitError;

use crate::output::print;
use target::Target;

/// SQS's limit of a queue's name, `.fifo` included.
const MAX_QUEUE_NAME: usize = 80;

/// Prints alerts or a dashboard for a dwell-time target
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The dwell time of a job runs from its sending to its success, including all waits and retries. A job meets the target if its dwell time is \
at most the time of the target. A job that becomes a dead letter misses the target. The rules can use only the bucket bounds of the metric \
drumline_job_dwell_seconds, such as 2m and 5m. For a time between two bounds, they use the next higher bound, and a line on standard error \
names it. The job type is not checked: alerts on a type that no worker reports never fire.

Examples:
  {program} slo --target '99% of email.send within 2m over 30d' > email.rules.yml
  {program} slo --target '99% of email.send within 2m over 30d' --queue emails --format cloudwatch > alarms.yaml
  {program} slo --target '99% of email.send within 2m over 30d' --format grafana > dashboard.json
  {program} slo --target '99% of email.send within 2m over 30d' | promtool check rules

Exit status: 0 printed, 64 a bad target, or no queue for CloudWatch, 141 the reader of the output closed it, 1 any other error.")]
pub(crate) struct SloArgs {
    /// A target such as '99% of email.send within 2m over 30d'; may be repeated
    #[arg(long = "target", value_name = "TARGET", required = true)]
    targets: Vec<Target>,
    /// The name of the queue, not its URL; without it, Prometheus rules apply to each queue
    #[arg(long, value_name = "NAME", value_parser = queue_name)]
    queue: Option<String>,
    /// The format of the document
    #[arg(long, value_enum, default_value_t = Format::Prometheus)]
    format: Format,
}

/// The formats of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Alerting and recording rules, as YAML
    Prometheus,
    /// A CloudFormation template of CloudWatch alarms, as YAML
    Cloudwatch,
    /// A Grafana dashboard for the Prometheus rules, as JSON
    Grafana,
}

/// Runs the command.
#[allow(clippy::print_stderr, reason = "standard output is for the document")]
pub(crate) fn slo(args: &SloArgs) -> Result<ExitCode, ExitError> {
    let queue = args.queue.as_deref();
    let texts: Vec<String> = args.targets.iter().map(Target::to_string).collect();
    if let Some((_, twice)) = texts.iter().enumerate().find(|(index, text)| texts[..*index].contains(text)) {
        return Err(ExitError::usage(format!("the target \"{twice}\" is given twice")));
    }
    let document = match (args.format, queue) {
        (Format::Prometheus, _) => prometheus::rules(&args.targets, queue)?,
        (Format::Grafana, _) => grafana::dashboard(&args.targets, queue)?,
        (Format::Cloudwatch, Some(queue)) => cloudwatch::template(&args.targets, queue)?,
        (Format::Cloudwatch, None) => {
            return Err(ExitError::usage("CloudWatch alarms need the name of the queue: --queue NAME"));
        }
    };
    for note in args.targets.iter().flat_map(Target::notes) {
        eprintln!("{note}");
    }
    print(|out| out.write_all(document.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}

/// Checks the name of a queue. Metrics have the name, so an alert on a URL or an ARN would never fire.
fn queue_name(text: &str) -> Result<String, String> {
    let is_name = |name: &str| {
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        !stem.is_empty() && name.len() <= MAX_QUEUE_NAME && stem.chars().all(is_allowed)
    };
    if is_name(text) {
        return Ok(text.to_owned());
    }
    let last = text.rsplit(['/', ':']).next().unwrap_or_default();
    if last.len() < text.len() && is_name(last) {
        return Err(format!("it must be the name of the queue, not its URL or ARN: {last}"));
    }
    Err(format!(
        "it must be a queue's name: up to {MAX_QUEUE_NAME} letters, digits, hyphens and underscores, and .fifo for FIFO queues"
    ))
}

#[cfg(test)]
mod tests;
