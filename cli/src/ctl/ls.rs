//! `drumline ctl ls`: lists the queues of a worker and its orders, or the orders for all workers.

use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_consumer::control::{ControlView, Orders, QueueView, Target, stored_orders};
use drumline_runtime::Environment;

use super::args::{TO_WHOM, ToWhom, Workers};
use super::give::{by, stored};
use crate::format::{note, now_ms, when};
use crate::list::{Column, FORMS, List};
use crate::output::Output;

/// Lists the queues of a worker and the orders in force, with author and reason
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} ctl ls
  {{program}} ctl ls --worker http://10.0.3.7:9464
  {{program}} ctl ls --everywhere --output json | jq -r 'select(.everywhere.paused).queue'

{FORMS}

{TO_WHOM}

Exit status: 0 listed, even if no order is in force, 64 bad usage, or the worker refuses, 69 the worker or the store does not answer."))]
pub(super) struct LsArgs {
    /// Show all columns without truncation
    #[arg(long)]
    wide: bool,
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    to_whom: ToWhom,
}

/// The columns on a terminal.
static COLUMNS: [Column; 5] = [
    Column::whole("TARGET"),
    Column::cut("STATE", 24),
    Column::whole("RUNNING"),
    Column::whole("IN HAND"),
    Column::cut("ORDERS", usize::MAX),
];

/// The columns of `--wide` and of output for other programs.
const WIDE: [&str; 5] = ["TARGET", "STATE", "RUNNING", "IN HAND", "ORDERS"];

type Row = [String; 5];

pub(super) async fn ls(args: &LsArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let (workers, now) = (args.to_whom.open(environment).await?, now_ms());
    let mut list = List::new(args.output, args.wide, &COLUMNS, WIDE);
    match workers {
        Workers::One(worker) => {
            let ControlView { queues, types, store, .. } = worker.view().await?;
            for queue in &queues {
                list.add(|| of_queue(queue, now), || of_queue(queue, now), queue)?;
            }
            for of_type in &types {
                let target = Target::Type(of_type.job_type.clone());
                let row = || of_orders(&target, &of_type.here, &of_type.everywhere, now);
                list.add(row, row, of_type)?;
            }
            list.end()?;
            if let Some(store) = store
                && store.read_at_ms.is_none_or(|at| now.saturating_sub(at) > 15_000)
            {
                let since = store.read_at_ms.map_or_else(|| "never".to_owned(), |at| when(at, now));
                note(&format!(
                    "the worker has last read the orders for all workers: {since}; its store does not answer"
                ));
            }
        }
        Workers::All(shared) => {
            let found = stored_orders(&*shared.store, now).await.map_err(|error| shared.error(&error))?;
            for (target, orders) in found.iter().filter(|(_, orders)| !orders.is_empty()) {
                let row = || of_orders(target, &Orders::default(), orders, now);
                list.add(row, row, stored(target, orders))?;
            }
            let count = list.count();
            list.end()?;
            if count == 0 {
                note("no order for all workers holds");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn of_queue(queue: &QueueView, now: u64) -> Row {
    let state = if queue.pauses.is_empty() {
        "receiving".to_owned()
    } else {
        format!("paused: {}", queue.pauses.join(", "))
    };
    let [target, .., orders] =
        of_orders(&Target::Queue(queue.queue.clone()), &queue.here, &queue.everywhere, now);
    let running = format!("{}/{}", queue.running, queue.concurrency);
    [target, state, running, queue.in_hand.to_string(), orders]
}

fn of_orders(target: &Target, here: &Orders, everywhere: &Orders, now: u64) -> Row {
    let is_paused = here.paused.is_some() || everywhere.paused.is_some();
    let state = if is_paused { "paused: operator" } else { "-" };
    let orders = [described(here, "here", now), described(everywhere, "everywhere", now)].concat().join("; ");
    [target.to_string(), state.to_owned(), "-".to_owned(), "-".to_owned(), orders]
}

/// Returns each order with its author.
fn described(orders: &Orders, place: &str, now: u64) -> Vec<String> {
    let Orders { paused, concurrency, rate, .. } = orders;
    let paused = paused.as_ref().map(|note| format!("paused {place} {}", by(note, now)));
    let concurrency = concurrency
        .as_ref()
        .map(|order| format!("concurrency {} {place} {}", order.value, by(&order.note, now)));
    let rate = rate.as_ref().map(|order| format!("rate {} {place} {}", order.value, by(&order.note, now)));
    [paused, concurrency, rate].into_iter().flatten().collect()
}
