//! `cargo xtask aws-smoke`: tests the worker in a real AWS account, from the creation of queues to their deletion.
//!
//! **This project's CI never runs it against AWS**, because it has no account; it has run against the embedded queue. The
//! command needs the AWS CLI (version 2) with credentials that may create, tag, read and delete queues, and send, receive and
//! delete messages. It makes some hundred requests.

mod application;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use crossbeam_channel::Receiver;
use serde_json::{Value, json};

use application::Application;
use xtask::interrupt::{self, Interrupted};
use xtask::process::Process;
use xtask::progress::{note, phase};
use xtask::project::{cargo, target};

/// The time limit of each step. SQS's counts are approximate and up to a minute late.
const STEP_LIMIT: Duration = Duration::from_secs(180);

/// The interval of requests to SQS and to the application.
const LOOK: Duration = Duration::from_secs(1);

/// The jobs that succeed.
const GOOD_JOBS: usize = 25;

/// The receives after which SQS moves a message to the DLQ.
const MAX_RECEIVES: u32 = 3;

#[derive(Args)]
pub(crate) struct Options {
    /// The region; that of the AWS CLI's settings by default
    #[arg(long, env = "AWS_REGION")]
    region: Option<String>,
    /// An endpoint other than AWS's, to test this command itself
    #[arg(long, env = "AWS_ENDPOINT_URL")]
    endpoint_url: Option<String>,
    /// A built `drumline`; by default a release build of this tree
    #[arg(long, value_name = "FILE")]
    drumline: Option<PathBuf>,
    /// Do not ask before queues are created
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(options: &Options) -> Result<std::process::ExitCode> {
    let interrupts = interrupt::catch()?;
    let aws = Aws { region: options.region.clone(), endpoint_url: options.endpoint_url.clone() };
    let identity = aws.ask(&["sts", "get-caller-identity"]);
    let account = match &identity {
        Ok(identity) => identity["Account"].as_str().unwrap_or("unknown").to_owned(),
        Err(error) => format!("unknown ({error:#})"),
    };
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let name = format!("drumline-smoke-{seconds}");
    println!(
        "Account: {account}\nRegion:  {}\nIt creates the queues {name} and {name}-dlq, both tagged drumline-smoke={seconds}, runs a \
         worker of this build on them for some minutes, and deletes them again, also after a failure or Ctrl-C.",
        options.region.as_deref().unwrap_or("of the AWS CLI's settings")
    );
    if !options.yes && !confirmed()? {
        bail!("nothing was created");
    }
    let drumline = options.drumline.clone().map_or_else(build, Ok)?;
    let dead = Queue::create(&aws, &format!("{name}-dlq"), seconds, &json!({}))?;
    let redrive = json!({ "deadLetterTargetArn": dead.arn()?, "maxReceiveCount": MAX_RECEIVES }).to_string();
    let attributes = json!({ "VisibilityTimeout": "30", "RedrivePolicy": redrive });
    let queue = Queue::create(&aws, &name, seconds, &attributes)?;
    let application = Application::start()?;
    Smoke { drumline, queue: &queue, dead: &dead, application: &application, interrupts: &interrupts }
        .run()?;
    // Deleted by name here, so that a failure of the deletion fails the run.
    queue.delete()?;
    dead.delete()?;
    println!("all steps passed, and the queues are deleted");
    Ok(std::process::ExitCode::SUCCESS)
}

fn build() -> Result<PathBuf> {
    phase("build the worker", || {
        let status = cargo().args(["build", "--release", "--locked", "--bin", "drumline"]).status()?;
        ensure!(status.success(), "the worker does not build");
        Ok(target().join("release").join("drumline"))
    })
}

fn confirmed() -> Result<bool> {
    ensure!(
        io::stdin().is_terminal(),
        "there is no terminal to ask at: give --yes to continue without a question"
    );
    print!("Type yes to continue: ");
    io::stdout().flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "yes")
}

struct Smoke<'a> {
    drumline: PathBuf,
    queue: &'a Queue<'a>,
    dead: &'a Queue<'a>,
    application: &'a Application,
    interrupts: &'a Receiver<Interrupted>,
}

impl Smoke<'_> {
    fn run(&self) -> Result<()> {
        let mut worker = phase("start the worker", || self.worker())?;
        phase("run jobs", || {
            for n in 0..GOOD_JOBS {
                self.queue.send("smoke.ok", &format!("ok-{n}"))?;
            }
            self.until("all jobs are done", || Ok(self.application.done() == GOOD_JOBS))?;
            self.until("the queue is empty", || Ok(self.queue.count()? == 0))
        })?;
        phase("fail a job, which ends in the DLQ", || {
            self.queue.send("smoke.bad", "bad")?;
            self.until("its message is in the DLQ", || Ok(self.dead.count()? == 1))?;
            let letters = self.drumline(&["dlq", "ls", "--output", "json"])?;
            ensure!(letters.contains("smoke.bad"), "`drumline dlq ls` does not show it: {letters}");
            Ok(())
        })?;
        phase("drain while a job runs", || {
            self.queue.send("smoke.slow", "slow")?;
            self.until("the application has the job", || Ok(self.application.is_busy()))?;
            worker.terminate();
            let status = worker.ended_within(STEP_LIMIT)?.context("the worker does not end")?;
            ensure!(status.success(), "the drain ended with {status}");
            ensure!(self.application.done() == GOOD_JOBS + 1, "the drain did not wait for the job");
            self.until("the queue is empty", || Ok(self.queue.count()? == 0))
        })
    }

    fn worker(&self) -> Result<Process> {
        let mut command = self.command(&["run"]);
        command.env("DRUMLINE_FORWARD_TO", self.application.url()).env("DRUMLINE_HTTP_ADDR", "off");
        command.env("DRUMLINE_RETRY", "schedule(1s)");
        Process::spawn("the worker", &mut command, self.interrupts)
    }

    /// Returns a command of the worker for the queue.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.drumline);
        command.args(arguments).env("DRUMLINE_QUEUE_URL", &self.queue.url);
        if let Some(region) = &self.queue.aws.region {
            command.env("AWS_REGION", region);
        }
        if let Some(endpoint) = &self.queue.aws.endpoint_url {
            command.env("AWS_ENDPOINT_URL", endpoint);
        }
        command
    }

    fn drumline(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().context("drumline cannot be started")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "drumline {}: {errors}", arguments.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn until(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let begun = Instant::now();
        while !holds()? {
            ensure!(
                begun.elapsed() < STEP_LIMIT,
                "after {} s it does not hold that {what}",
                STEP_LIMIT.as_secs()
            );
            if let Ok(interrupted) = self.interrupts.try_recv() {
                return Err(interrupted.into());
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

/// The AWS CLI.
struct Aws {
    region: Option<String>,
    endpoint_url: Option<String>,
}

impl Aws {
    fn ask(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new("aws");
        command.args(arguments).args(["--output", "json"]).env("AWS_PAGER", "");
        if let Some(region) = &self.region {
            command.args(["--region", region]);
        }
        // Version 1 does not read the variable for SQS.
        if let Some(endpoint) = &self.endpoint_url {
            command.args(["--endpoint-url", endpoint]);
        }
        let output = command.output().context("the AWS CLI (aws) cannot be started")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "aws {}: {}", arguments[..2].join(" "), errors.trim());
        if output.stdout.iter().all(u8::is_ascii_whitespace) {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("aws {}", arguments[..2].join(" ")))
    }
}

/// A queue that is deleted when this value is dropped.
struct Queue<'a> {
    aws: &'a Aws,
    url: String,
    deleted: std::cell::Cell<bool>,
}

impl<'a> Queue<'a> {
    fn create(aws: &'a Aws, name: &str, tag: u64, attributes: &Value) -> Result<Self> {
        let attributes = attributes.to_string();
        let tags = json!({ "drumline-smoke": tag.to_string() }).to_string();
        let arguments =
            ["sqs", "create-queue", "--queue-name", name, "--tags", &tags, "--attributes", &attributes];
        let created = aws.ask(&arguments)?;
        let url = created["QueueUrl"].as_str().context("no URL of the new queue")?.to_owned();
        note(&format!("created {url}"));
        Ok(Self { aws, url, deleted: false.into() })
    }

    fn attribute(&self, name: &str) -> Result<String> {
        let arguments = ["sqs", "get-queue-attributes", "--queue-url", &self.url, "--attribute-names", "All"];
        let attributes = self.aws.ask(&arguments)?;
        Ok(attributes["Attributes"][name].as_str().with_context(|| format!("no {name}"))?.to_owned())
    }

    fn arn(&self) -> Result<String> {
        self.attribute("QueueArn")
    }

    /// Counts its messages: visible, in flight or delayed.
    fn count(&self) -> Result<u64> {
        let states = ["", "NotVisible", "Delayed"];
        states
            .iter()
            .map(|state| {
                Ok(self.attribute(&format!("ApproximateNumberOfMessages{state}"))?.parse::<u64>()?)
            })
            .sum()
    }

    fn send(&self, job_type: &str, id: &str) -> Result<()> {
        let body = json!({ "type": job_type, "jobId": id, "payload": {} }).to_string();
        self.aws.ask(&["sqs", "send-message", "--queue-url", &self.url, "--message-body", &body]).map(drop)
    }

    fn delete(&self) -> Result<()> {
        self.aws.ask(&["sqs", "delete-queue", "--queue-url", &self.url])?;
        self.deleted.set(true);
        note(&format!("deleted {}", self.url));
        Ok(())
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        if !self.deleted.get()
            && let Err(error) = self.delete()
        {
            note(&format!("delete {} yourself: {error:#}", self.url));
        }
    }
}
