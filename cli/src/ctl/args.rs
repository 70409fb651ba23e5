//! What an order is about, who gives it and why, and to whom.

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

/// To whom orders are given. Paragraphs are lines, since a terminal is as wide as it is.
pub(super) const TO_WHOM: &str = "\
An order is given to one worker: the one at DRUMLINE_HTTP_ADDR, on this machine by default, or the one of --worker. It holds until it is \
withdrawn, its time (--for) is over, or the worker ends. A worker takes orders over its loopback interface, or with the token of \
DRUMLINE_HTTP_TOKEN.\n\n\
With --everywhere it is given to all workers of the store of DRUMLINE_STORE_URL: each follows it within 5 seconds, also those that start \
later. It holds until it is withdrawn or its time is over, at most 90 days. The store has to be redis:, postgres: or dynamodb:. An order \
to one worker stands beside those for all: a queue or type is paused while either says so, and of two numbers the worker's own holds.\n\n\
Who gives an order, when and why is logged by each worker and shown by `{program} ctl ls`.";

/// The queue or the type that an order is about.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct What {
    /// The name of the queue
    queue: Option<String>,
    /// The job type instead, in all queues
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

/// Who gives an order, and why.
#[derive(Debug, clap::Args)]
pub(crate) struct Who {
    /// The reason, for those who find it paused
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Who gives the order [default: USER@HOST]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Who {
    /// Who gives the order.
    pub(crate) fn by(&self) -> String {
        self.by.clone().unwrap_or_else(|| brief(&default_actor(), MAX_BY - 1))
    }

    /// The reason for it.
    pub(crate) fn why(&self) -> Option<String> {
        self.why.clone()
    }

    /// Returns the order of this operator.
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

/// How long an order holds.
#[derive(Debug, clap::Args)]
pub(super) struct Lasting {
    /// Withdraw the order after this time, such as 30m
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(super) lasts: Option<Duration>,
}

/// To whom an order is given.
#[derive(Debug, clap::Args)]
pub(super) struct ToWhom {
    #[arg(
        long,
        value_name = "URL",
        conflicts_with = "everywhere",
        help = "The worker, such as http://10.0.3.7:9464 [default: the one at DRUMLINE_HTTP_ADDR]"
    )]
    worker: Option<String>,
    /// All workers of the store, also those that start later
    #[arg(long)]
    everywhere: bool,
    #[command(flatten)]
    settings: SettingsArgs<HistorySettings>,
}

/// Those to whom an order is given.
pub(super) enum Workers {
    One(WorkerAt),
    /// Those that share this store.
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

    /// The end of a command that the store does not serve.
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
