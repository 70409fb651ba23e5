//! The connection that listens for new rows.

use std::time::Duration;

use sqlx::Error;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The channel that the table's trigger notifies.
const CHANNEL: &str = "drumline_outbox";

/// The wait before it connects again.
const RECONNECT: Duration = Duration::from_secs(1);

/// A task that listens for new rows, and ends with this value.
pub(super) struct Listener {
    wake_ups: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Starts to listen on the caller's runtime.
    pub(super) fn start(options: PgConnectOptions) -> Self {
        let (sender, wake_ups) = watch::channel(0);
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = listen(&options, &sender).await {
                    // No job is lost: relays also check by themselves.
                    tracing::debug!(%error, "not listening for new rows of the outbox");
                }
                sleep(RECONNECT).await;
            }
        });
        Self { wake_ups, task }
    }

    /// Returns the number of wake-ups.
    pub(super) fn wake_ups(&self) -> u64 {
        *self.wake_ups.borrow()
    }

    /// Waits until there were more wake-ups than `seen`, for `longest` at most.
    pub(super) async fn wait(&self, seen: u64, longest: Duration) {
        let mut wake_ups = self.wake_ups.clone();
        let woken = async {
            if wake_ups.wait_for(|wake_ups| *wake_ups != seen).await.is_err() {
                // The task has ended with its runtime.
                std::future::pending::<()>().await;
            }
        };
        // The end of the time has the same effect.
        let _ = timeout(longest, woken).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Counts notifications until the connection fails.
async fn listen(options: &PgConnectOptions, wake_ups: &watch::Sender<u64>) -> Result<(), Error> {
    let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
    let pool = pool.connect_with(options.clone()).await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // Rows may have been added before the connection.
    wake_ups.send_modify(|wake_ups| *wake_ups += 1);
    while listener.try_recv().await?.is_some() {
        wake_ups.send_modify(|wake_ups| *wake_ups += 1);
    }
    Ok(())
}
