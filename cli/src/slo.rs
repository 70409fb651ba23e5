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

/// Prints alerts or a dashboard for a dwell-time target
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
The dwell time of a job runs from its sending to its success, including all waits and retries. A job meets the target if its dwell time is \
at most the time of the target. A job that becomes a dead letter misses the target. The rules can use only the bucket bounds of the metric \
drumline_job_dwell_seconds, such as 2m and 5m. For a time between two bounds, they use the next higher bound, and a line on standard error \
names it.

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
    /// The name of the queue; without it, Prometheus rules apply to each queue
    #[arg(long, value_name = "NAME")]
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
    let document = match (args.format, queue) {
        (Format::Prometheus, _) => prometheus::rules(&args.targets, queue)?,
        (Format::Grafana, _) => grafana::dashboard(&args.targets, queue)?,
        (Format::Cloudwatch, Some(queue)) => cloudwatch::template(&args.targets, queue)?,
        (Format::Cloudwatch, None) => {
            return Err(ExitError::usage("CloudWatch alarms need the name of the queue: --queue NAME"));
        }
    };
    for note in args.targets.iter().filter_map(Target::note) {
        eprintln!("{note}");
    }
    print(|out| out.write_all(document.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests;
