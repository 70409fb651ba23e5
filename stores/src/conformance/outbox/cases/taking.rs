//! Taking jobs, and the leases of taken jobs.

use std::collections::HashSet;

use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::OutboxJob;

pub async fn a_take_has_a_bound(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let names: Vec<String> = (0..25).map(|index| format!("job {index:02}")).collect();
    let added: Vec<OutboxJob> = names.iter().map(|name| job(name)).collect();
    outbox.add(&added).await.unwrap();
    let mut came = Vec::new();
    for count in [10, 10, 5, 0] {
        let taken = outbox.take("relay", 10, LONG).await.unwrap();
        assert_eq!(taken.len(), count);
        came.extend(taken);
    }
    assert_eq!(sorted(&came), names);
}

pub async fn a_job_is_taken_once(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    one.add(&jobs(&["1", "2"])).await.unwrap();
    let taken = take(&one, "one").await;
    assert_eq!(sorted(&taken), ["1", "2"]);
    assert_nothing(&other, "other").await;
    assert_nothing(&one, "one").await;
    all_sent(&one, taken).await;
    assert_nothing(&other, "other").await;
    assert_nothing(&one, "one").await;
}

pub async fn a_lease_that_ends_gives_the_job_to_another_relay(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    one.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let mut late = take_briefly(&one, "one").await;
    assert_eq!(sorted(&late), ["1", "2"]);
    let mut taken = taken_in_time(&other, "other", 2).await;
    for taken in [&mut late, &mut taken] {
        taken.sort_by(|one, other| one.job.id.cmp(&other.job.id));
    }
    for (late, taken) in late.iter().zip(&taken) {
        assert!(taken.lease.fencing_token > late.lease.fencing_token, "{taken:?} after {late:?}");
    }
    let concluded: Vec<_> = late.clone().into_iter().map(sent).collect();
    assert_eq!(one.conclude(&concluded).await, Ok(2));
    let concluded: Vec<_> = late.into_iter().map(parked).collect();
    assert_eq!(one.conclude(&concluded).await, Ok(2));
    assert_eq!(rows(&one, None).await.len(), 2);
    // Some jobs still belong to the relay.
    let mut mixed: Vec<_> = taken.into_iter().map(sent).collect();
    mixed.insert(1, concluded[0].clone());
    assert_eq!(other.conclude(&mixed).await, Ok(1));
    assert_eq!(row_ids(&one, None).await, [""; 0]);
}

pub async fn a_lease_that_ended_may_be_concluded_if_no_take_has_come(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let late = take_briefly(&outbox, "relay").await;
    tokio::time::sleep(SHORT * 2).await;
    all_sent(&outbox, late).await;
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
}

pub async fn a_relay_that_leaves_gives_its_jobs_back(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    one.add(&[job("1"), grouped("2", "group"), grouped("3", "group")]).await.unwrap();
    let left = take(&one, "one").await;
    assert_eq!(left.len(), 3);
    other.leave("other").await.unwrap();
    assert_nothing(&other, "other").await;
    one.leave("one").await.unwrap();
    let taken = taken_in_time(&other, "other", 3).await;
    assert_eq!(one.conclude(&left.into_iter().map(parked).collect::<Vec<_>>()).await, Ok(3));
    all_sent(&other, taken).await;
    assert_eq!(row_ids(&one, None).await, [""; 0]);
}

pub async fn relays_share_the_jobs(world: OutboxWorld) {
    const JOBS: usize = 200;
    let (one, other) = (world.outbox().await, world.outbox().await);
    let added: Vec<OutboxJob> = (0..JOBS).map(|index| job(&format!("{index}"))).collect();
    one.add(&added).await.unwrap();
    let (mut came, mut shares) = (HashSet::new(), [0, 0]);
    // One relay has some jobs in hand while the other takes.
    let mut in_hand = one.take("one", 10, LONG).await.unwrap();
    eventually("all jobs came", async || {
        let taken = other.take("other", 10, LONG).await.unwrap();
        for (share, outbox, taken) in [(0, &one, std::mem::take(&mut in_hand)), (1, &other, taken)] {
            shares[share] += taken.len();
            for id in ids(&taken) {
                assert!(came.insert(id.to_owned()), "{id} came twice");
            }
            all_sent(outbox, taken).await;
        }
        in_hand = one.take("one", 10, LONG).await.unwrap();
        came.len() == JOBS
    })
    .await;
    assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
}

pub async fn a_take_is_bounded_in_bytes(world: OutboxWorld) {
    const MIB: usize = 1 << 20;
    let outbox = world.outbox().await;
    let payload = format!("\"{}\"", "x".repeat(MIB));
    for index in 0..20 {
        let large = OutboxJob { payload: payload.clone(), ..job(&format!("{index:02}")) };
        outbox.add(&[large]).await.unwrap();
    }
    let first = take(&outbox, "relay").await;
    assert!((1..=17).contains(&first.len()), "{}", first.len());
    let rest = taken_in_time(&outbox, "relay", 20 - first.len()).await;
    let all: HashSet<&str> = ids(&first).into_iter().chain(ids(&rest)).collect();
    assert_eq!(all.len(), 20);
}
