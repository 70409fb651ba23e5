//! `drumline ctl drain`: pauses a queue and waits until the workers have none of its messages in hand.

use std::process::ExitCode;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_consumer::control::{Action, FOLLOWED_WITHIN, Order, Target, drains, put_order};
use drumline_runtime::{Environment, program};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::args::{Lasting, SharedStore, TO_WHOM, ToWhom, Who, Workers};
use super::worker::WorkerAt;
use crate::format::{count, note, now_ms, one_line};
use crate::interrupt::interrupted;
use crate::output::{Output, print};

/// The time between two requests to a worker.
const LOOK: Duration = Duration::from_millis(500);

/// The time in which no worker has to report yet: two rounds of theirs.
const FIRST_REPORT: Duration = Duration::from_secs(10);

/// Pauses a queue, and waits until the worker has settled its messages
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl drain jobs --why 'migration of the database'
  {{program}} ctl drain jobs --everywhere && ./migrate && {{program}} ctl resume jobs --everywhere
  timeout 10m {{program}} ctl drain jobs

A message is in hand from its receive until the worker has settled it. This includes messages that wait for a limit of their type, such as \
a pause. The command also waits for a receive that is open when the pause begins, because it may still return messages, for up to \
DRUMLINE_WAIT_TIME. The queue stays paused when the command ends, even if you interrupt it: `{{program}} ctl resume` ends the pause. \
Progress goes to standard error. With --everywhere, each worker writes its number of messages in hand to the store, for up to 200 workers.

{TO_WHOM}

Exit status: 0 no message is in hand, 1 no worker of the store has reported, 64 bad usage, or the worker refuses, 69 the worker or the \
store does not answer, 130 after Ctrl-C."))]
pub(super) struct DrainArgs {
    /// The name of the queue
    queue: String,
    #[command(flatten)]
    lasting: Lasting,
    #[command(flatten)]
    who: Who,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    to_whom: ToWhom,
}

pub(super) async fn drain(args: &DrainArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let order = args.who.order(Target::Queue(args.queue.clone()), Action::Pause, args.lasting.lasts)?;
    let workers = args.to_whom.open(environment).await?;
    let drained = async {
        match &workers {
            Workers::One(worker) => at_one(worker, &order).await,
            Workers::All(shared) => everywhere(shared, &order).await,
        }
    };
    let workers = tokio::select! {
        drained = drained => drained?,
        status = interrupted() => {
            note(&format!("interrupted; {} stays paused until `{} ctl resume {}`", order.target, program(), args.queue));
            return Ok(ExitCode::from(status?));
        }
    };
    match args.output {
        Output::Json => {
            print(|out| out.json_line(&json!({ "queue": args.queue, "inHand": 0, "workers": workers })))?;
        }
        Output::Table => note(&format!("nothing of {} is in hand; it stays paused", order.target)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the names of the workers that were drained.
async fn at_one(worker: &WorkerAt, order: &Order) -> Result<Vec<String>, ExitError> {
    let mut view = worker.give(order).await?;
    let mut progress = Progress::default();
    loop {
        let found = view.queues.iter().find(|queue| queue.queue == order.target.name());
        let Some(queue) = found else {
            return Err(ExitError::unavailable(format!(
                "the worker at {} has {} no more",
                worker.url(),
                order.target
            )));
        };
        if queue.drained {
            return Ok(vec![view.worker]);
        }
        if !queue.pauses.iter().any(|reason| reason == "operator") {
            return Err(ExitError::other(format!("{} was resumed meanwhile", order.target)));
        }
        progress.show(queue.in_hand, 1);
        sleep(LOOK).await;
        view = worker.view().await?;
    }
}

async fn everywhere(shared: &SharedStore, order: &Order) -> Result<Vec<String>, ExitError> {
    put_order(&*shared.store, order, now_ms()).await.map_err(|error| shared.error(&error))?;
    let (begin, mut progress) = (Instant::now(), Progress::default());
    note(&format!("{} is paused everywhere: waiting for the reports of workers", order.target));
    loop {
        // Earlier, a worker may not have read the order yet.
        sleep(if begin.elapsed() < FOLLOWED_WITHIN { FOLLOWED_WITHIN } else { LOOK }).await;
        let reports =
            drains(&*shared.store, order.target.name()).await.map_err(|error| shared.error(&error))?;
        if reports.is_empty() && begin.elapsed() > FIRST_REPORT {
            return Err(ExitError::other(format!(
                "no worker that follows this store has reported about {}: none runs, or none consumes it",
                order.target
            )));
        }
        let in_hand = reports.iter().map(|report| report.in_hand).sum();
        if !reports.is_empty() && reports.iter().all(|report| report.is_drained) {
            return Ok(reports.into_iter().map(|report| one_line(&report.worker)).collect());
        }
        progress.show(in_hand, reports.len());
    }
}

/// The counts that were shown last.
#[derive(Default)]
struct Progress(Option<(usize, usize)>);

impl Progress {
    fn show(&mut self, in_hand: usize, workers: usize) {
        if self.0.replace((in_hand, workers)) != Some((in_hand, workers)) {
            let receives = if in_hand == 0 { ", and a receive that is still open" } else { "" };
            note(&format!("{in_hand} in hand at {}{receives}", count(workers, "worker")));
        }
    }
}
