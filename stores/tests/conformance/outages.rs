//! Servers that are unavailable for a while or permanently.

use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::{ClaimResult, Ownership, ReleaseClaim};
use drumline_store::{OpenError, Retention, Store};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::servers::{Server, free_port};
use crate::world::{Kind, LONG, World, again, eventually, granted, json, short, text};
use drumline_store::assert_claim_result;

/// The time limit for a call that gets no answer: three seconds, plus a margin for a slow machine.
const SOON: Duration = Duration::from_secs(6);

/// Returns the location of a store of this kind at a port of this machine.
fn at_port(kind: Kind, port: u16) -> String {
    match kind {
        Kind::Memory => unreachable!("is nowhere"),
        #[cfg(feature = "file")]
        Kind::File => unreachable!("has no server"),
        #[cfg(feature = "redis")]
        Kind::Redis => format!("redis://127.0.0.1:{port}"),
        #[cfg(feature = "postgres")]
        Kind::Postgres => format!("postgres://drumline@127.0.0.1:{port}/postgres"),
        #[cfg(feature = "dynamodb")]
        Kind::DynamoDb => format!("http://127.0.0.1:{port}"),
    }
}

async fn fails_to_open(world: &World, port: u16) {
    let world = world.moved_to(at_port(world.kind, port));
    let begun = Instant::now();
    let error = open_elsewhere(&world).await.err().unwrap();
    assert!(matches!(error, OpenError::Unavailable(_)), "{error}");
    assert!(begun.elapsed() < SOON, "after {:?}", begun.elapsed());
}

/// Opens the store without creating its tables there.
async fn open_elsewhere(world: &World) -> Result<Arc<dyn Store>, OpenError> {
    #[cfg(feature = "dynamodb")]
    if world.kind == Kind::DynamoDb {
        return crate::world::open_table(world.at(), world.table(), "one".into(), Retention::default()).await;
    }
    world.open("one".into(), Retention::default()).await
}

pub async fn a_server_that_is_not_there_is_unavailable(world: World) {
    fails_to_open(&world, free_port()).await;
}

pub async fn a_server_that_does_not_answer_is_unavailable(world: World) {
    // It accepts connections, but never responds.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    fails_to_open(&world, mute.local_addr().unwrap().port()).await;
}

async fn fails_soon<T>(what: &str, call: impl Future<Output = Result<T, drumline_store::StoreError>>) {
    let begun = Instant::now();
    assert!(call.await.is_err(), "{what}");
    assert!(begun.elapsed() < SOON, "{what}: after {:?}", begun.elapsed());
}

/// Opens the store when its server has started.
async fn opened(world: &World, owner: &str) -> Arc<dyn Store> {
    let mut store = None;
    eventually("the server has started", async || {
        store = world.open(world.name(owner).into(), Retention::default()).await.ok();
        store.is_some()
    })
    .await;
    store.unwrap()
}

pub async fn calls_fail_during_an_outage_and_work_afterwards(world: World) {
    let Some(mut server) = Server::start(world.kind) else { return };
    let world = world.moved_to(server.url());
    let store = opened(&world, "one").await;
    let claim = granted(&store, &world.request("job")).await.claim;
    server.kill();
    let how = ReleaseClaim { count_attempt: true, failure_reason: None, dead: false };
    // Twice, because the first call may be the one that detects the outage.
    for _ in 0..2 {
        fails_soon("claim", store.claim(&world.request("other"))).await;
        fails_soon("renew", store.renew(&claim, LONG)).await;
        fails_soon("finish", store.finish(&claim, None)).await;
        fails_soon("surrender", store.release_claim(&claim, &how)).await;
        fails_soon("ping", store.ping()).await;
        fails_soon("jobs", store.jobs(claim.identity.job_id())).await;
    }
    server.start_again();
    eventually("the store answers again", async || store.ping().await.is_ok()).await;
    // All connections work again, not just one.
    for index in 0..20 {
        granted(&store, &world.request(&format!("after {index}"))).await;
    }
}

/// This happens after a server has moved, when a port is used again, or with a proxy's own error page.
pub async fn after_another_server_on_its_port_the_right_one_is_used(world: World) {
    let Some(mut server) = Server::start(world.kind) else { return };
    let world = world.moved_to(server.url());
    let store = opened(&world, "one").await;
    server.kill();
    let other = TcpListener::bind(("127.0.0.1", server.port())).await.unwrap();
    let other = tokio::spawn(async move {
        loop {
            let (mut connection, _) = other.accept().await.unwrap();
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for _ in 0..3 {
        fails_soon("ping", store.ping()).await;
        fails_soon("claim", store.claim(&world.request("other"))).await;
    }
    other.abort();
    assert!(other.await.unwrap_err().is_cancelled());
    server.start_again();
    eventually("the store answers again", async || store.ping().await.is_ok()).await;
    granted(&store, &world.request("after")).await;
}

pub async fn a_claim_survives_a_restart(world: World) {
    let Some(mut server) = Server::start(world.kind) else { return };
    let world = world.moved_to(server.url());
    let (one, other) = (opened(&world, "one").await, opened(&world, "other").await);
    let request = world.locking("job", "lock");
    let claim = granted(&one, &request).await.claim;
    let old = granted(&one, &short(world.request("brief"))).await.claim;
    assert_eq!(one.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    server.kill();
    server.start_again();
    eventually("the store answers again", async || other.ping().await.is_ok()).await;

    assert_claim_result!(other.claim(&again(&request)).await.unwrap(), ClaimResult::Busy(_));
    assert_claim_result!(other.claim(&world.locking("other", "lock")).await.unwrap(), ClaimResult::Locked(_));
    // The first own call that finds the connection closed.
    assert_eq!(one.renew(&claim, LONG).await, Ok(Ownership::Kept));
    assert_eq!(one.finish(&claim, Some(&json("7"))).await, Ok(Ownership::Kept));
    let admission = other.claim(&again(&request)).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("7"));
    let new = crate::world::granted_in_time(&other, &world.request("brief")).await.claim;
    assert!(new.fencing_token > old.fencing_token);
    crate::world::assert_lost(&one, &old).await;
}
