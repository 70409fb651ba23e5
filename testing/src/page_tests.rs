//! The code of `docs/testing.md`. A test compares the page with this file: change both together.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{CancelReason, Outcome};
use drumline::{Context, Failure, Job, Router};
use serde::{Deserialize, Serialize};

use crate as drumline_testing;

#[derive(Serialize, Deserialize)]
struct Crawl {
    pages: u64,
}

impl Job for Crawl {
    const TYPE: &'static str = "crawl";
}

async fn crawl(ctx: Context, job: Crawl) -> Result<(), Failure> {
    if job.pages == 0 {
        return Err(Failure::reject("there are no pages"));
    }
    for page in ctx.resume().unwrap_or(0)..job.pages {
        if ctx.is_cancelled() {
            return Err(Failure::retry("stopped half-way"));
        }
        fetch(page, ctx.attempt().get()).await?;
        ctx.checkpoint(&(page + 1))?;
        ctx.progress(page + 1, job.pages, "pages");
    }
    ctx.set_result(&job.pages)
}

async fn fetch(page: u64, attempt: u32) -> Result<(), Failure> {
    tokio::time::sleep(Duration::from_secs(10)).await;
    if page == 2 && attempt < 3 { Err(Failure::retry("the site does not answer")) } else { Ok(()) }
}

fn router() -> Router {
    Router::new().handle(crawl)
}

use drumline_testing::{TOKIO, Tester};

#[tokio::test(start_paused = true)]
async fn a_site_is_crawled() {
    let run = Tester::new(router()).on(TOKIO).job(&Crawl { pages: 2 }).await;
    assert!(run.is_done(), "{run}");
    assert_eq!(run.result(), Some(2));
}

#[tokio::test]
async fn a_site_without_pages_is_rejected() {
    let run = Tester::new(router()).body(r#"{"type":"crawl","payload":{"pages":0}}"#).await;
    assert!(run.is_dead(), "{run}");
    assert_eq!(run.reason().as_deref(), Some("there are no pages"));
}

use drumline_testing::At;

#[tokio::test(start_paused = true)]
async fn a_stopped_crawl_is_resumed() {
    let tester = Tester::new(router()).on(TOKIO);
    let stopped = tester.job(&Crawl { pages: 2 }).shut_down(At::Progress(1)).await;
    assert_eq!(*stopped.outcome(), Outcome::Requeue, "{stopped}");
    assert_eq!(stopped.cancelled(), Some(CancelReason::Shutdown));

    let next = tester.job(&Crawl { pages: 2 }).await;
    assert_eq!(next.progress().len(), 1, "{next}");
}

use drumline_testing::LocalQueue;

#[tokio::test(start_paused = true)]
async fn a_site_that_is_down_is_crawled_later() {
    let local = LocalQueue::start(router()).setting("retry", "schedule(1m,10m)").await;
    let id = local.send(&Crawl { pages: 3 });
    local.send(&Crawl { pages: 0 });
    local.until_idle().await;

    let outcomes: Vec<_> = local.runs_of(&id).into_iter().map(|run| run.outcome).collect();
    let after = |minutes: u64| Outcome::RetryAfter(Duration::from_secs(60 * minutes));
    assert_eq!(outcomes, [after(1), after(10), Outcome::Ack]);
    assert_eq!(local.dead_letters()[0].reason.as_deref(), Some("there are no pages"));
}

#[tokio::test(start_paused = true)]
async fn a_crawl_survives_its_worker() {
    let mut local = LocalQueue::start(router()).await;
    let id = local.send(&Crawl { pages: 2 });
    tokio::time::sleep(Duration::from_secs(15)).await;
    local.kill().await;
    local.restart();
    local.until_idle().await;

    let record = local.job_record(&id).await.unwrap();
    assert_eq!(record.claim.unwrap().result, Some(2.into()));
}

use drumline_testing::{Call, FailingStore};

#[tokio::test(start_paused = true)]
async fn a_crawl_is_marked_as_done_once_the_store_answers() {
    let store = Arc::new(FailingStore::in_memory());
    store.fail_next(Call::Finish, 2);
    let local = LocalQueue::start(router()).store(store.clone()).await;
    local.send(&Crawl { pages: 2 });
    local.until_idle().await;
    assert_eq!(local.runs().len(), 1);
    assert!(store.is_through());
}

#[test]
fn the_page_shows_this_code() {
    let page = include_str!("../../docs/testing.md");
    let code = include_str!("page_tests.rs");
    let blocks: Vec<&str> =
        page.split("```rust\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 4);
    for block in blocks {
        assert!(code.contains(block), "docs/testing.md has other code than page_tests.rs:\n{block}");
    }
}
