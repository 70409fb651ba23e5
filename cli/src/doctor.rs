//! `drumline doctor`: finds problems in templates and live queues before they cause failures.

mod diagnosis;
mod lambda_api;
mod live;
mod observed;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use comfy_table::{ContentArrangement, Table, presets};
use drumline::Router;
use drumline_consumer::ExitError;
use drumline_infra_rules::{Host, Options, Template, check, terraform};
use drumline_runtime::aws::queue_labels;
use drumline_runtime::{
    Environment, QueueSettings, Service, Settings, diagnose, diagnose_limits, diagnose_rates, runtimes,
};

use crate::connection::with_url;
use crate::format::note;
use crate::output::{Output, print};
use crate::own_endpoint;
use crate::preflight::{Preflight, check_queue};
use crate::service::router_if_made;
use crate::settings_args::{Every, SettingsArgs};
use diagnosis::Diagnosis;
use live::{Examined, examine};
use observed::{advise_timeouts, observe};

/// The file extensions of CloudFormation templates.
const TEMPLATE_ENDINGS: [&str; 4] = ["yaml", "yml", "json", "template"];

const EXIT_STATUS: &str = "Exit status: 0 no problem was found, 1 a problem was found, 64 bad configuration or usage, 69 the queue cannot \
be reached.";

/// Finds problems in templates and live queues, and prints the fixes
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = format!("\
Examples:
  {{program}} doctor template queue.yaml worker-fargate.yaml
  {{program}} doctor queue --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs

{EXIT_STATUS}")
)]
pub(crate) struct DoctorArgs {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    Template(TemplateArgs),
    Queue(QueueArgs),
}

/// Checks CloudFormation and SAM templates, and Terraform modules
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Give all files of a system in one command, so that each worker is checked together with its queue.
A folder with .tf files is read as a Terraform module. In any other folder, all templates are read.

Examples:
  {{program}} doctor template queue.yaml worker-fargate.yaml
  {{program}} doctor template infra/terraform/modules/queue --output json | jq .mend

{EXIT_STATUS}"))]
struct TemplateArgs {
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A table, or JSON: one object per line for each problem
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// Checks the live queues that the settings name, with their DLQs and event source mappings
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
The command reads the settings as `run` does, and compares them with the queues. If a consumer of these queues \
answers at DRUMLINE_HTTP_ADDR, the command also checks the run times of its handlers. It changes nothing.
The command needs sqs:GetQueueAttributes and sqs:GetQueueUrl on the queues and their DLQs. To check functions, it also needs \
lambda:ListEventSourceMappings and lambda:GetFunctionConfiguration.

Examples:
  {{program}} doctor queue --queue-url https://sqs.eu-west-1.amazonaws.com/123456789012/jobs
  {{program}} doctor queue --config worker.toml --output json | jq .mend

{EXIT_STATUS}"))]
struct QueueArgs {
    #[command(flatten)]
    settings: SettingsArgs<Every>,
    /// A table, or JSON: one object per line for each problem
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

pub(crate) fn doctor(
    args: &DoctorArgs,
    environment: &Environment,
    service: Service,
) -> Result<ExitCode, ExitError> {
    let (diagnoses, output) = match &args.subject {
        Subject::Template(args) => (templates(&args.files, environment)?, args.output),
        Subject::Queue(args) => (queues(&args.settings, environment, service)?, args.output),
    };
    print_diagnoses(&diagnoses, output == Output::Json)?;
    Ok(if diagnoses.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn templates(paths: &[PathBuf], environment: &Environment) -> Result<Vec<Diagnosis>, ExitError> {
    let mut templates = Vec::new();
    for path in paths {
        for file in files_of(path)? {
            let template = if file.is_dir() { terraform::load(&file) } else { Template::load(&file) };
            templates.push(template.map_err(|error| ExitError::usage(error.to_string()))?);
        }
    }
    let loads = |variables: &BTreeMap<String, String>, host| loads(variables, host, environment);
    let options = Options { environment: Some(&loads) };
    Ok(check(&templates, &options).into_iter().map(Diagnosis::in_template).collect())
}

/// Returns a file, a module, or the templates of a folder in the order of their names.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, ExitError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable =
        |error: std::io::Error| ExitError::usage(format!("{} cannot be read: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    let ends = |file: &Path, endings: &[&str]| {
        file.extension().and_then(|ending| ending.to_str()).is_some_and(|ending| endings.contains(&ending))
    };
    if files.iter().any(|file| ends(file, &["tf"])) {
        return Ok(vec![path.to_owned()]);
    }
    files.retain(|file| ends(file, &TEMPLATE_ENDINGS));
    files.sort();
    if files.is_empty() {
        return Err(ExitError::usage(format!(
            "{} holds no template and no Terraform module",
            path.display()
        )));
    }
    Ok(files)
}

/// Reads the environment of a template as the runtime does. The names that `own` declares are known, too.
fn loads(variables: &BTreeMap<String, String>, host: Host, own: &Environment) -> Result<(), Vec<String>> {
    let environment = own.with_values_of(variables);
    let settings = match host {
        Host::Consumer => environment.settings(&BTreeMap::new(), None),
        Host::Lambda => environment.settings_of_function(),
    };
    let problems = settings.map(drop).err().map(|problems| problems.list).unwrap_or_default();
    let words: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect();
    if words.is_empty() { Ok(()) } else { Err(words) }
}

fn queues(
    settings: &SettingsArgs<Every>,
    environment: &Environment,
    service: Service,
) -> Result<Vec<Diagnosis>, ExitError> {
    let settings = settings.read(environment).map_err(|problems| ExitError::usage(problems.to_string()))?;
    let metrics = settings.http_addr.and_then(|addr| match own_endpoint::get(addr, "/metrics", None) {
        Ok(answer) if answer.is_ok() => Some(answer.body),
        _ => {
            note(&format!(
                "no consumer answers at http://{addr}/metrics, so its handlers' times are not looked at"
            ));
            None
        }
    });
    let (runtime, handlers) = runtimes()?;
    // Without handlers, for example in forward mode, only the settings are checked.
    let router = match settings.forward_to {
        None => runtime.block_on(router_if_made(service, handlers.handle()))?.unwrap_or_default(),
        Some(_) => Router::default(),
    };
    handlers.shutdown_background();
    let of_limits = diagnose_limits(&settings).into_iter();
    let mut all: Vec<_> = of_limits.map(|advice| Diagnosis::of_settings("settings", advice)).collect();
    let urls: Vec<_> = settings.queues.iter().map(|queue| &queue.url).collect();
    for (queue, label) in settings.queues.iter().zip(queue_labels(&urls)) {
        let queue = &queue.with_types_of(&router);
        all.extend(runtime.block_on(diagnose_queue(queue, &label, &settings, metrics.as_deref()))?);
    }
    Ok(all)
}

async fn diagnose_queue(
    queue: &QueueSettings,
    name: &str,
    settings: &Settings,
    metrics: Option<&str>,
) -> Result<Vec<Diagnosis>, ExitError> {
    let queue = &with_url(queue).await?;
    let unavailable = |error: drumline_runtime::SqsError| {
        ExitError::sqs(error.kind, format!("{name} cannot be looked at: {}", error.text))
    };
    let Preflight { checks, found } = check_queue(queue).await.map_err(ExitError::usage)?;
    let (clients, facts) = found.map_err(unavailable)?;
    let Examined { mut diagnoses, unseen } =
        examine(&clients, name, queue.url.as_str()).await.map_err(unavailable)?;
    diagnoses.extend(Diagnosis::of_permissions(name, checks));
    for unseen in unseen {
        note(&format!("not looked at: {unseen}"));
    }
    let mut advice = diagnose(queue, &facts);
    advice.extend(diagnose_rates(&settings.limits, &facts));
    match metrics.map(|metrics| observe(metrics, name, |_| true)) {
        Some(Some(observed)) => {
            advice.extend(observed.diagnose(queue, facts.visibility_timeout, settings.shutdown_grace));
        }
        Some(None) => {
            note(&format!("the consumer has run too little of {name} to judge its handlers' times"));
        }
        None => {}
    }
    advice.extend(metrics.into_iter().flat_map(|metrics| advise_timeouts(metrics, name, queue)));
    diagnoses.extend(advice.into_iter().map(|advice| Diagnosis::of_settings(name, advice)));
    Ok(diagnoses)
}

fn print_diagnoses(diagnoses: &[Diagnosis], json: bool) -> Result<(), ExitError> {
    if json {
        return print(|out| diagnoses.iter().try_for_each(|diagnosis| out.json_line(diagnosis)));
    }
    if !diagnoses.is_empty() {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_header(["RULE", "WHERE", "FOUND", "WHY", "DO"]);
        for Diagnosis { rule, place, part, problem, reason, fix } in diagnoses {
            let place = if part.is_empty() { place.clone() } else { format!("{place} {part}") };
            table.add_row([rule, &*place, problem, reason, fix]);
        }
        print(|out| {
            table.set_content_arrangement(if out.is_terminal() {
                ContentArrangement::Dynamic
            } else {
                ContentArrangement::Disabled
            });
            writeln!(out, "{table}")
        })?;
    }
    note(&match diagnoses.len() {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        count => format!("{count} findings"),
    });
    Ok(())
}
