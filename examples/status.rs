//! A web application whose page shows the progress of a job that another process runs: the worker in `status_worker.rs`.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! export DRUMLINE_STORE_URL=file:/tmp/status.db
//! cargo run -p drumline-examples --bin status_worker    # in a terminal of its own, with both variables
//! cargo run -p drumline-examples --bin status
//! ```
//!
//! Open <http://127.0.0.1:3000/sign-in/alice> and press the button. Another browser that signs in as `bob` cannot see that
//! report, even with its address.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use drumline::Job;
use drumline_consumer::variable;
use drumline_producer::Producer;
use drumline_status::{Access, Asked};
use drumline_store::{Location, Retention, open};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// The worker uses the same type. A service defines it in a crate that both use.
#[derive(Serialize, Deserialize)]
struct MakeReport {
    pages: u32,
}

impl Job for MakeReport {
    const TYPE: &'static str = "report.make";
}

#[derive(Clone)]
struct App {
    producer: Producer,
    reports: Reports,
}

/// The user of each job, by the job's id. Stands for a table of the application's database.
#[derive(Clone, Default)]
struct Reports(Arc<Mutex<HashMap<String, String>>>);

impl Reports {
    fn insert(&self, job_id: String, user: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(job_id, user);
    }

    fn user_of(&self, job_id: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(job_id).cloned()
    }
}

/// The signed-in user. Stands for a session: anyone can write this cookie.
fn user(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    cookies.split("; ").find_map(|cookie| cookie.strip_prefix("user=")).map(str::to_owned)
}

async fn sign_in(Path(user): Path<String>) -> Response {
    let cookie = format!("user={user}; Path=/; HttpOnly; SameSite=Lax");
    ([(header::SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

async fn make_report(State(app): State<App>, headers: HeaderMap) -> Response {
    let Some(user) = user(&headers) else { return StatusCode::UNAUTHORIZED.into_response() };
    match app.producer.send(&MakeReport { pages: 20 }).await {
        Ok(receipt) => {
            app.reports.insert(receipt.job_id.clone(), user);
            (StatusCode::ACCEPTED, receipt.job_id).into_response()
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let location: Location = variable("DRUMLINE_STORE_URL").ok_or("set DRUMLINE_STORE_URL")?.parse()?;
    let store = open(&location, Arc::from("status-page"), Retention::default()).await?;
    let app = App { producer: Box::pin(Producer::connect()).await?, reports: Reports::default() };
    let reports = app.reports.clone();
    let status = drumline_status::router(store, move |request, asked: Asked| {
        let (user, owner) = (user(&request.headers), reports.user_of(&asked.id));
        async move { if user.is_some() && user == owner { Access::Expected } else { Access::Forbidden } }
    });
    let routes = axum::Router::new()
        .route("/", get(async || Html(include_str!("status.html"))))
        .route("/sign-in/{user}", get(sign_in))
        .route("/reports", post(make_report))
        .with_state(app)
        .nest("/status", status);
    let listener = TcpListener::bind(variable("LISTEN").as_deref().unwrap_or("127.0.0.1:3000")).await?;
    Ok(axum::serve(listener, routes).await?)
}
