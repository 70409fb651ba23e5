//! The outbox of one case.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::OnceCell;

use crate::OpenError;
use crate::outbox::Outbox;

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn Outbox>, OpenError>> + Send>>;

/// An outbox under test: contains the function by which a case opens it.
pub struct OutboxSubject {
    open: Box<dyn Fn(Duration) -> Opening + Send + Sync>,
    in_process: bool,
    paused: bool,
}

impl OutboxSubject {
    /// Creates a subject. `open` opens the outbox, with the time for which sent jobs are kept. A case calls it for every
    /// process that it simulates; all these calls must open the same outbox, which no other subject shares.
    pub fn new<F>(open: impl Fn(Duration) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Arc<dyn Outbox>, OpenError>> + Send + 'static,
    {
        let open = Box::new(move |keep_sent| Box::pin(open(keep_sent)) as Opening);
        Self { open, in_process: false, paused: false }
    }

    /// Declares that the outbox is lost with its process: a case opens it only once.
    pub fn in_process(self) -> Self {
        Self { in_process: true, ..self }
    }

    /// Declares that the outbox follows tokio's clock, so that no case waits.
    pub fn paused(self) -> Self {
        Self { paused: true, ..self }
    }
}

/// The outbox of one case.
#[derive(Clone)]
pub struct OutboxWorld {
    subject: Arc<OutboxSubject>,
    one_process: Arc<OnceCell<Arc<dyn Outbox>>>,
}

impl OutboxWorld {
    /// Opens a process's own connection to the outbox. The outbox keeps no sent jobs.
    pub async fn outbox(&self) -> Arc<dyn Outbox> {
        self.outbox_keeping(Duration::ZERO).await
    }

    /// Opens a process's own connection to the outbox, which keeps sent jobs for this time.
    pub async fn outbox_keeping(&self, keep_sent: Duration) -> Arc<dyn Outbox> {
        let open = || async { (self.subject.open)(keep_sent).await.unwrap() };
        if self.subject.in_process {
            return Arc::clone(self.one_process.get_or_init(open).await);
        }
        open().await
    }
}

/// Runs a case, if there is an outbox for it.
pub fn run<F: Future<Output = ()>>(
    subject: impl Into<Option<OutboxSubject>>,
    case: impl FnOnce(OutboxWorld) -> F,
) {
    let Some(subject) = subject.into() else { return };
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(subject.paused).build().unwrap();
    runtime.block_on(case(world(subject)));
}

/// Runs a case on several threads, if there is an outbox for it. Its clock is not paused.
pub fn run_on_threads<F: Future<Output = ()>>(
    subject: impl Into<Option<OutboxSubject>>,
    case: impl FnOnce(OutboxWorld) -> F,
) {
    let Some(subject) = subject.into() else { return };
    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(case(world(subject)));
}

fn world(subject: OutboxSubject) -> OutboxWorld {
    OutboxWorld { subject: Arc::new(subject), one_process: Arc::default() }
}
