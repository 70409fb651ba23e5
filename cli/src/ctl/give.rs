//! `drumline ctl pause`, `resume`, `concurrency`, `rate` and `reset`: each gives one order.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_consumer::control::{
    Action, ControlView, FOLLOWED_WITHIN, Note, Order, Orders, RateText, Target, put_order,
};
use drumline_runtime::{Environment, program};
use serde_json::json;

use super::args::{Lasting, TO_WHOM, ToWhom, What, Who, Workers};
use crate::format::{note, now_ms, one_line, when};
use crate::output::{Output, print};

/// Pauses a queue or a job type: none of its jobs starts
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl pause jobs --why 'bad deploy of the mail service'
  {{program}} ctl pause jobs --everywhere --for 30m
  {{program}} ctl pause --type email.send --worker http://10.0.3.7:9464

A worker receives nothing from a paused queue. Jobs that it has already received still run (`{{program}} ctl drain` waits for them). If a \
type is paused, none of its jobs starts, and the other types of the queue continue: the worker holds a few messages of the paused type, \
renews their leases, and returns the others to the queue. A pause counts no attempts.

{TO_WHOM}

Exit status: 0 paused, even if it was paused before, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer."))]
pub(super) struct PauseArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    lasting: Lasting,
    #[command(flatten)]
    giving: Giving,
}

/// Resumes a queue or a job type that an operator has paused
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl resume jobs
  {{program}} ctl resume --type email.send --everywhere

The command ends only pauses that operators ordered. A worker also pauses by itself, for example while the store does not answer, and then \
resumes by itself.

{TO_WHOM}

Exit status: 0 resumed, even if it was not paused, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer."))]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    giving: Giving,
}

/// Changes how many jobs of a queue or of a type run at once
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl concurrency 5 jobs
  {{program}} ctl concurrency 2 --type image.process --everywhere --why 'the image service is slow'
  {{program}} ctl reset jobs

The number applies to each worker separately. If more jobs run already, the worker cancels none of them, and starts no job until enough \
have ended. If the type had no limit before, the jobs that run now are not counted.

{TO_WHOM}

Exit status: 0 changed, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer."))]
pub(super) struct ConcurrencyArgs {
    /// The number of jobs that run at once in a worker, 1 to 10000
    number: NonZeroUsize,
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    lasting: Lasting,
    #[command(flatten)]
    giving: Giving,
}

/// Changes how often jobs of a type start
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl rate 50/s --type email.send
  {{program}} ctl rate 600/m --type email.send --everywhere
  {{program}} ctl rate off --type email.send
  {{program}} ctl reset --type email.send

The burst and the key of the settings (`[limits.\"email.send\"]`) still apply. If the settings have none, the burst is the number of jobs \
in 100 ms, rounded up. `off` removes the rate, even if the settings have one.

{TO_WHOM}

Exit status: 0 changed, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer."))]
pub(super) struct RateArgs {
    /// The rate, such as 50/s, 600/m or 1000/h; or off
    #[arg(value_parser = |text: &str| RateText::try_from(text.to_owned()))]
    rate: RateText,
    /// The job type
    #[arg(long = "type", value_name = "TYPE")]
    job_type: String,
    #[command(flatten)]
    lasting: Lasting,
    #[command(flatten)]
    giving: Giving,
}

/// Withdraws all orders for a queue or for a job type: the settings apply again
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl reset jobs
  {{program}} ctl reset --type email.send --everywhere

The command also ends pauses that operators ordered. Without --everywhere it withdraws only the orders to one worker, and with \
--everywhere only the orders to all workers.

{TO_WHOM}

Exit status: 0 withdrawn, even if there was no order, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer."))]
pub(super) struct ResetArgs {
    #[command(flatten)]
    what: What,
    #[command(flatten)]
    giving: Giving,
}

/// The recipients and the output of an order.
#[derive(Debug, clap::Args)]
pub(super) struct Giving {
    #[command(flatten)]
    who: Who,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    to_whom: ToWhom,
}

pub(super) async fn pause(args: &PauseArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    args.giving.give(args.what.target(), Action::Pause, &args.lasting, environment).await
}

pub(super) async fn resume(args: &ResumeArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    args.giving.give(args.what.target(), Action::Resume, &Lasting { lasts: None }, environment).await
}

pub(super) async fn concurrency(
    args: &ConcurrencyArgs,
    environment: &Environment,
) -> Result<ExitCode, ExitError> {
    args.giving.give(args.what.target(), Action::Concurrency(args.number), &args.lasting, environment).await
}

pub(super) async fn rate(args: &RateArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let target = Target::Type(args.job_type.clone());
    args.giving.give(target, Action::Rate(args.rate.0), &args.lasting, environment).await
}

pub(super) async fn reset(args: &ResetArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    args.giving.give(args.what.target(), Action::Reset, &Lasting { lasts: None }, environment).await
}

impl Giving {
    async fn give(
        &self,
        target: Target,
        action: Action,
        lasting: &Lasting,
        environment: &Environment,
    ) -> Result<ExitCode, ExitError> {
        let order = self.who.order(target, action, lasting.lasts)?;
        match self.to_whom.open(environment).await? {
            Workers::One(worker) => {
                let view = worker.give(&order).await?;
                match self.output {
                    Output::Json => print(|out| out.json_line(&view))?,
                    Output::Table => note(&followed(&order, &view, &worker.url(), now_ms())),
                }
            }
            Workers::All(shared) => {
                let orders = put_order(&*shared.store, &order, now_ms()).await;
                let orders = orders.map_err(|error| shared.error(&error))?;
                match self.output {
                    Output::Json => print(|out| out.json_line(&stored(&order.target, &orders)))?,
                    Output::Table => note(&format!(
                        "{}{} everywhere: workers follow within {FOLLOWED_WITHIN:?}{}",
                        order.target,
                        done(&order),
                        until(&order, "--everywhere", now_ms())
                    )),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns the orders of a target as JSON.
pub(super) fn stored(target: &Target, orders: &Orders) -> serde_json::Value {
    let (kind, name) = match target {
        Target::Queue(name) => ("queue", name),
        Target::Type(name) => ("type", name),
    };
    json!({ kind: name, "everywhere": orders })
}

/// Returns the effect of an order as a phrase that follows its target.
fn done(order: &Order) -> String {
    match order.action {
        Action::Pause => " is paused".to_owned(),
        Action::Resume => " is resumed".to_owned(),
        Action::Concurrency(count) => format!(" runs {count} at once"),
        Action::Rate(rate) => match RateText(rate).to_string() {
            text if text == "off" => " has no rate".to_owned(),
            text => format!(" starts {text}"),
        },
        Action::Reset => " follows the settings again".to_owned(),
    }
}

/// Returns the end of an order as a clause.
fn until(order: &Order, flag: &str, now_ms: u64) -> String {
    let undo = match order.action {
        Action::Pause => "resume",
        Action::Concurrency(_) | Action::Rate(_) => "reset",
        Action::Resume | Action::Reset => return String::new(),
    };
    let what = match &order.target {
        Target::Queue(name) => one_line(name),
        Target::Type(name) => format!("--type {}", one_line(name)),
    };
    let flag = if flag.is_empty() { String::new() } else { format!(" {flag}") };
    let undo = format!("`{} ctl {undo} {what}{flag}`", program());
    match order.lasts {
        Some(lasts) => {
            let end = now_ms.saturating_add(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
            format!(", until {}, or {undo}", when(end, now_ms))
        }
        None => format!(", until {undo}"),
    }
}

/// Returns the state of a worker after an order as a sentence.
fn followed(order: &Order, view: &ControlView, url: &str, now_ms: u64) -> String {
    let worker = one_line(&view.worker);
    let mut text =
        format!("{}{} at the worker {worker} ({url}){}", order.target, done(order), until(order, "", now_ms));
    if !matches!(order.action, Action::Resume | Action::Reset) {
        text.push_str(", or the worker's end");
    }
    let everywhere = view.queues.iter().map(|queue| &queue.everywhere);
    let everywhere = everywhere.chain(view.types.iter().map(|of_type| &of_type.everywhere)).next();
    if matches!(order.action, Action::Resume | Action::Reset)
        && let Some(Orders { paused: Some(pause), .. }) = everywhere
    {
        text = format!(
            "{} stays paused everywhere: {}; resume it with --everywhere",
            order.target,
            by(pause, now_ms)
        );
    }
    if let Some(queue) = view.queues.first() {
        let own: Vec<&str> =
            queue.pauses.iter().map(String::as_str).filter(|reason| *reason != "operator").collect();
        if order.action == Action::Resume && !own.is_empty() {
            text = format!("{text}; the worker itself still pauses it ({})", own.join(", "));
        }
        if order.action == Action::Pause && queue.in_hand > 0 {
            text = format!("{text}; {} in hand, which run to their end", queue.in_hand);
        }
    }
    text
}

/// Returns the author, the time, the end and the reason of an order.
pub(super) fn by(note: &Note, now_ms: u64) -> String {
    let until = note.until_ms.map(|until| format!(", until {}", when(until, now_ms))).unwrap_or_default();
    let why = note.why.as_ref().map(|why| format!(": {}", one_line(why))).unwrap_or_default();
    format!("by {} at {}{until}{why}", one_line(&note.by), when(note.at_ms, now_ms))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use drumline_consumer::control::QueueView;

    use super::*;

    fn order(action: Action, lasts: Option<Duration>) -> Order {
        Order { target: Target::Queue("jobs".into()), action, by: "ada".into(), why: Some("x".into()), lasts }
    }

    fn view(everywhere: Orders, pauses: &[&str]) -> ControlView {
        let queue = QueueView {
            queue: "jobs".into(),
            pauses: pauses.iter().map(|&pause| pause.to_owned()).collect(),
            concurrency: 32,
            configured_concurrency: 32,
            in_hand: 3,
            running: 2,
            drained: false,
            here: Orders::default(),
            everywhere,
        };
        ControlView { worker: "w-1".into(), queues: vec![queue], types: Vec::new(), store: None }
    }

    #[test]
    fn the_answer_names_what_holds_and_how_it_ends() {
        let text = |order: &Order, view: &ControlView| followed(order, view, "http://h:1", 1_700_000_000_000);
        let paused =
            text(&order(Action::Pause, Some(Duration::from_secs(1800))), &view(Orders::default(), &[]));
        assert!(
            paused.starts_with("queue jobs is paused at the worker w-1 (http://h:1), until 2023-"),
            "{paused}"
        );
        assert!(
            paused.contains("in 30m") && paused.contains("ctl resume jobs`, or the worker's end; 3 in hand")
        );
        let mut everywhere = Orders::default();
        everywhere.give(&order(Action::Pause, None), 1_699_999_940_000);
        let resumed = text(&order(Action::Resume, None), &view(everywhere, &["store_down"]));
        assert!(resumed.starts_with("queue jobs stays paused everywhere: by ada at 2023-"), "{resumed}");
        assert!(
            resumed.contains("1m ago: x; resume it with --everywhere") && resumed.contains("(store_down)")
        );
        let slots = text(&order(Action::Concurrency(NonZeroUsize::MIN), None), &view(Orders::default(), &[]));
        assert!(
            slots.starts_with("queue jobs runs 1 at once at") && slots.contains("ctl reset jobs`"),
            "{slots}"
        );
    }
}
