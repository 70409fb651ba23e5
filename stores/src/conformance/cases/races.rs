//! Concurrent calls.

use std::sync::Arc;

use crate::{Store, StoreError};
use drumline::core::{ClaimRequest, ClaimResult, Grant, Ownership};
use tokio::sync::Barrier;
use tokio::time::Instant;

use super::{documents, tokens};
use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{LONG, PATIENCE, SHORT, again, expired, fail, granted, json, text};

const CLAIMERS: usize = 50;
/// The number of workers, each with its own connections.
const WORKERS: usize = 5;
const ROUNDS: usize = 10;

async fn workers(world: &World) -> Vec<Arc<dyn Store>> {
    let mut workers = Vec::new();
    for index in 0..WORKERS {
        workers.push(world.worker(&format!("worker {index}")).await);
    }
    workers
}

/// Lets all workers request claims at once. Returns the grants with their owners.
async fn race(
    workers: &[Arc<dyn Store>],
    request: impl Fn(usize) -> ClaimRequest,
) -> (Vec<(Grant, Arc<dyn Store>)>, Vec<ClaimResult>) {
    let start = Arc::new(Barrier::new(CLAIMERS));
    let tasks: Vec<_> = (0..CLAIMERS)
        .map(|index| {
            let (store, start) = (Arc::clone(&workers[index % workers.len()]), Arc::clone(&start));
            let request = request(index);
            tokio::spawn(async move {
                start.wait().await;
                (store.claim(&request).await.unwrap(), store)
            })
        })
        .collect();
    let (mut granted, mut others) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.unwrap() {
            (ClaimResult::Granted(grant), store) => granted.push((grant, store)),
            (other, _) => others.push(other),
        }
    }
    (granted, others)
}

pub async fn one_of_fifty_claimers_is_granted(world: World) {
    let workers = workers(&world).await;
    for round in 0..ROUNDS {
        let request = world.request(&format!("job {round}"));
        let (granted, others) = race(&workers, |_| request.clone()).await;
        let [(grant, store)] = &granted[..] else { panic!("granted {}", granted.len()) };
        for other in others {
            assert_claim_result!(other, ClaimResult::Busy(_));
        }
        assert_eq!(store.finish(&grant.claim, None).await, Ok(Ownership::Kept));
    }
}

pub async fn one_of_fifty_heirs_is_granted(world: World) {
    let workers = workers(&world).await;
    let mut request = world.request("job");
    let mut fencing_token = 0;
    for round in 0..ROUNDS {
        let (granted, others) = race(&workers, |_| request.clone()).await;
        let [(grant, store)] = &granted[..] else { panic!("granted {}", granted.len()) };
        for other in others {
            assert_claim_result!(other, ClaimResult::Busy(_));
        }
        assert!(
            grant.claim.fencing_token > fencing_token,
            "{} after {fencing_token}",
            grant.claim.fencing_token
        );
        assert_eq!(grant.attempt.get(), request.receive_count);
        fencing_token = grant.claim.fencing_token;
        if round % 2 == 0 {
            fail(store, &grant.claim).await;
        } else {
            // Shortens the claim now, because the race itself may take longer than that.
            assert_eq!(store.renew(&grant.claim, SHORT).await, Ok(Ownership::Kept));
            expired(store, &grant.claim).await;
        }
        request = again(&request);
    }
}

pub async fn one_of_fifty_keys_gets_the_lock(world: World) {
    let workers = workers(&world).await;
    let mut fencing_token = 0;
    for round in 0..ROUNDS {
        let (granted, others) =
            race(&workers, |index| world.locking(&format!("job {round} {index}"), "lock")).await;
        let [(grant, store)] = &granted[..] else { panic!("granted {}", granted.len()) };
        for other in others {
            assert_claim_result!(other, ClaimResult::Locked(_));
        }
        let lock_token = grant.claim.lock.as_ref().unwrap().1;
        assert!(lock_token > fencing_token, "{lock_token} after {fencing_token}");
        fencing_token = lock_token;
        assert_eq!(store.finish(&grant.claim, None).await, Ok(Ownership::Kept));
    }
}

pub async fn keys_do_not_hinder_each_other(world: World) {
    const KEYS: usize = 1_000;
    let workers = workers(&world).await;
    let tasks: Vec<_> = (0..CLAIMERS)
        .map(|task| {
            let (store, world) = (Arc::clone(&workers[task % WORKERS]), world.clone());
            tokio::spawn(async move {
                for index in (task..KEYS).step_by(CLAIMERS) {
                    // Some have their own lock; emulators take longer for that.
                    let (name, lock) = (format!("job {index}"), format!("lock {index}"));
                    let with_lock = world.is_in_process() || index % 10 == 0;
                    let request = if with_lock { world.locking(&name, &lock) } else { world.request(&name) };
                    let claim = granted(&store, &request).await.claim;
                    let result = index.to_string();
                    assert_eq!(store.finish(&claim, Some(&json(&result))).await, Ok(Ownership::Kept));
                    let admission = store.claim(&again(&request)).await.unwrap();
                    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some(&*result));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// Lets all workers write at once into documents with these names, each its own text. Returns the successful ones. Does nothing
/// if the store keeps no documents.
async fn write_race(
    workers: &[Arc<dyn Store>],
    kind: &str,
    name: impl Fn(usize) -> String,
) -> Option<Vec<usize>> {
    let start = Arc::new(Barrier::new(CLAIMERS));
    let tasks: Vec<_> = (0..CLAIMERS)
        .map(|index| {
            let (store, start) = (Arc::clone(&workers[index % workers.len()]), Arc::clone(&start));
            let (kind, name) = (kind.to_owned(), name(index));
            tokio::spawn(async move {
                start.wait().await;
                store.put_document(&kind, &name, None, &index.to_string(), LONG).await
            })
        })
        .collect();
    let mut written = Vec::new();
    for (index, task) in tasks.into_iter().enumerate() {
        match task.await.unwrap() {
            Err(StoreError::Refused(_)) => return None,
            answer => written.extend(answer.unwrap().then_some(index)),
        }
    }
    Some(written)
}

pub async fn one_of_fifty_writers_changes_a_document(world: World) {
    let (workers, kind) = (workers(&world).await, documents::kind(&world));
    for round in 0..ROUNDS {
        let name = round.to_string();
        let Some(written) = write_race(&workers, &kind, |_| name.clone()).await else { return };
        let [winner] = written[..] else { panic!("{written:?}") };
        assert_eq!(workers[0].document(&kind, &name).await, Ok(Some(winner.to_string())));
    }
}

pub async fn writers_of_different_documents_do_not_hinder_each_other(world: World) {
    let (workers, kind) = (workers(&world).await, documents::kind(&world));
    let Some(written) = write_race(&workers, &kind, |index| index.to_string()).await else { return };
    assert_eq!(written.len(), CLAIMERS);
    assert_eq!(workers[0].documents(&kind).await.unwrap().len(), CLAIMERS);
}

pub async fn fifty_lessees_get_the_burst_together(world: World) {
    let Some(_) = tokens::store(&world, "none").await else { return };
    let workers = workers(&world).await;
    let start = Arc::new(Barrier::new(CLAIMERS));
    let request = tokens::request(&world, "mail", "1/h", 120, 1);
    let tasks: Vec<_> = (0..CLAIMERS)
        .map(|index| {
            let (store, start) = (Arc::clone(&workers[index % workers.len()]), Arc::clone(&start));
            let request = request.clone();
            tokio::spawn(async move {
                start.wait().await;
                let (mut tokens, begun) = (0, Instant::now());
                loop {
                    let leased = store.lease_tokens(&request).await.unwrap();
                    tokens += leased.tokens;
                    // A worker that always lost the race must not have to wait for an hour.
                    if leased.tokens == 0 && leased.next_in > LONG {
                        return tokens;
                    }
                    assert!(begun.elapsed() < PATIENCE, "others were always ahead");
                    if leased.tokens == 0 {
                        tokio::time::sleep(leased.next_in).await;
                    }
                }
            })
        })
        .collect();
    let mut tokens = 0;
    for task in tasks {
        tokens += task.await.unwrap();
    }
    assert_eq!(tokens, 120);
}
