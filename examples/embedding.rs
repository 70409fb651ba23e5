//! A worker inside an existing program: here an axum web server with its own settings, logs and shutdown.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin embedding
//! drumline send --type mail.welcome --payload '{"user_id":7}'
//! ```
//!
//! `curl http://127.0.0.1:3000/welcomed` then answers `1`. It prints, and a Ctrl-C adds the last lines:
//!
//! ```text
//! http://127.0.0.1:3000 and the queue are served
//! welcome, user 7
//! stopping
//! jobs: drained
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::get;
use drumline::{Context, Failure, Job, Router};
use drumline_consumer::{Consumer, Settings, variable};
use futures_util::FutureExt;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Deserialize)]
struct Welcome {
    user_id: u64,
}

impl Job for Welcome {
    const TYPE: &'static str = "mail.welcome";
}

async fn welcome(welcomed: Arc<AtomicU64>, job: Welcome) -> Result<(), Failure> {
    println!("welcome, user {}", job.user_id);
    welcomed.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Both parts stop at the same signal.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        println!("stopping");
    };
    let stop = stop.shared();

    // State is shared between the handlers of jobs and those of requests.
    let welcomed = Arc::<AtomicU64>::default();
    let shown = Arc::clone(&welcomed);
    let app = axum::Router::new()
        .route("/welcomed", get(move || async move { shown.load(Ordering::Relaxed).to_string() }));
    let listener = TcpListener::bind(variable("LISTEN").as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("http://{} and the queue are served", listener.local_addr()?);
    let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stop.clone()).into_future());

    // Settings may come from anywhere. Here: the worker's own endpoint is off, and variables set the rest.
    let settings = BTreeMap::from([("http_addr".to_owned(), "off".to_owned())]);
    let settings = Settings::read(&settings, variable, None)?;
    let router = Router::new().handle(move |_: Context, job: Welcome| welcome(Arc::clone(&welcomed), job));
    for (queue, _) in Consumer::new(settings, router).run(stop).await? {
        println!("{queue}: drained");
    }
    Ok(server.await??)
}
