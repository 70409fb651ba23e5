//! The arguments of an order: its target, its author, its reason and its recipients.

use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_consumer::control::{Action, MAX_BY, Order, Target};
use drumline_runtime::{Environment, Settings};
use drumline_store::{Store, StoreError, open};

use super::worker::WorkerAt;
use crate::dlq::operator::default_actor;
use crate::format::{brief, duration};
use crate::job_lookup::HistorySettings;
use crate::settings_args::SettingsArgs;

/// Help about the recipients of orders. Paragraphs are single lines, because the width of the terminal is not known.
pub(super) const TO_WHOM: &str = "\
The command sends an order to one worker: to the worker at DRUMLINE_HTTP_ADDR, by default on this machine, or to the worker that --worker \
names. The order applies until it is withdrawn, its time (--for) is over, or the worker ends. A worker accepts orders over its loopback \
interface, or with the token in DRUMLINE_HTTP_TOKEN.\n\n\
With --everywhere, the command sends the order to all workers that share the store of DRUMLINE_STORE_URL, including workers that start \
later. Each worker follows it within 5 seconds. The order applies until it is withdrawn or its time is over, at most 90 days. The store \
must be redis:, postgres: or dynamodb:. Orders to one worker and orders to all are independent: a queue or type is paused while either \
order pauses it. If both set a number, the order to the one worker applies.\n\n\
Each worker logs the author, the time and the reason of an order; `{program} ctl ls` shows them.";

/// The queue or the job type that an order is about.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct What {
    /// The name of the queue
    queue: Option<String>,
    /// The job type, in all queues
    #[arg(long = "type", value_name = "TYPE")]
    job_type: Option<String>,
}

impl What {
    pub(super) fn target(&self) -> Target {
        match (&self.queue, &self.job_type) {
            (_, Some(name)) => Target::Type(name.clone()),
            (queue, None) => Target::Queue(queue.clone().unwrap_or_default()),
        }
    }
}

/// The author and the reason of an order.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// The reason, which `ctl ls` and logs show
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// The author of the order [default: USER@HOST]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Who {
    /// Returns the author of the order.
    pub(crate) fn by(&self) -> String {
        self.by.clone().unwrap_or_else(|| brief(&default_actor(), MAX_BY - 1))
    }

    /// Returns the reason of the order.
    pub(crate) fn why(&self) -> Option<String> {
        self.why.clone()
    }

    /// Returns the order with this author and reason.
    pub(super) fn order(
        &self,
        target: Target,
        action: Action,
        lasts: Option<Duration>,
    ) -> Result<Order, ExitError> {
        let order = Order { target, action, by: self.by(), why: self.why(), lasts };
        order.checked().map_err(|error| ExitError::usage(error.to_string()))
    }
}

/// The duration of an order.
#[derive(Debug, clap::Args)]
pub(super) struct Lasting {
    /// Withdraw the order after this time, such as 30m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(super) lasts: Option<Duration>,
}

/// The recipients of an order.
#[derive(Debug, clap::Args)]
pub(super) struct ToWhom {
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "everywhere",
        help = "The worker, such as http://10.0.3.7:9464 [default: the one at DRUMLINE_HTTP_ADDR]"
    )]
    worker: Option<String>,
    /// All workers of the store, including those that start later
    #[arg(long)]
    everywhere: bool,
    #[command(flatten)]
    settings: SettingsArgs<HistorySettings>,
}

/// The workers that receive an order.
pub(super) enum Workers {
    One(WorkerAt),
    /// All workers that share this store.
    All(SharedStore),
}

impl ToWhom {
    pub(super) async fn open(&self, environment: &Environment) -> Result<Workers, ExitError> {
        let settings = self.settings.read_for_tool(environment)?;
        if self.everywhere {
            return SharedStore::open(&settings).await.map(Workers::All);
        }
        WorkerAt::of(self.worker.as_deref(), &settings).map(Workers::One)
    }
}

/// The store that workers share.
pub(super) struct SharedStore {
    pub(super) store: Arc<dyn Store>,
    location: String,
}

impl SharedStore {
    async fn open(settings: &Settings) -> Result<Self, ExitError> {
        let place = &settings.store.location;
        let location = place.to_string();
        if !place.outlives_its_process() {
            return Err(ExitError::usage(format!(
                "the store is {location}, which is in each worker by itself: --everywhere needs one that all workers share, \
                 redis://, postgres:// or dynamodb:// (DRUMLINE_STORE_URL); without it, the order goes to one worker"
            )));
        }
        let opened = open(place, Arc::from("drumline-cli"), settings.store.keep).await;
        let store = opened.map_err(|error| {
            if error.is_wrong_setting() {
                ExitError::usage(format!("store_url: {error}"))
            } else {
                ExitError::unavailable(format!("the store {location} does not answer: {error}"))
            }
        })?;
        Ok(Self { store, location })
    }

    /// Returns the error of a command whose request to the store failed.
    pub(super) fn error(&self, error: &StoreError) -> ExitError {
        let location = &self.location;
        match error {
            StoreError::Refused(why) => ExitError::usage(format!(
                "the store {location} cannot keep orders: {why}; give them to each worker, without --everywhere"
            )),
            StoreError::Unanswered(_) => {
                ExitError::unavailable(format!("the store {location} does not answer: {error}"))
            }
        }
    }
}
