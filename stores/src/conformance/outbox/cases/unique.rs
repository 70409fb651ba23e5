//! Unique keys, which one job holds at a time.

use std::sync::Arc;

use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::{Added, Due, OnConflict, Outbox, OutboxJob, RowState, Unique};
use tokio::time::Instant;

fn keep() -> Unique {
    Unique::new("key", LONG, OnConflict::Keep)
}

fn replace() -> Unique {
    Unique::new("key", LONG, OnConflict::Replace)
}

fn from(id: &str) -> Unique {
    Unique { take_from: Some(id.to_owned()), ..keep() }
}

fn waiting(id: &str) -> Added {
    Added::Waiting { id: id.to_owned() }
}

fn was_sent(id: &str) -> Added {
    Added::Sent { id: id.to_owned() }
}

fn replaced(id: &str) -> Added {
    Added::Replaced { id: id.to_owned() }
}

async fn add(outbox: &Arc<dyn Outbox>, job: &OutboxJob, unique: &Unique) -> Added {
    outbox.add_unique(job, unique).await.unwrap()
}

async fn payloads(outbox: &Arc<dyn Outbox>) -> Vec<(String, String)> {
    rows(outbox, None).await.into_iter().map(|row| (row.job.id, row.job.payload)).collect()
}

pub async fn a_second_job_is_not_added_while_the_first_waits_or_is_sent(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    assert_eq!(add(&outbox, &job("2"), &keep()).await, waiting("1"));
    // Other keys are not affected.
    let other = Unique::new("Key", LONG, OnConflict::Keep);
    assert_eq!(add(&outbox, &job("3"), &other).await, Added::New);
    let taken = take(&outbox, "relay").await;
    assert_eq!(sorted(&taken), ["1", "3"]);
    assert_eq!(add(&outbox, &job("2"), &keep()).await, waiting("1"));
    all_sent(&outbox, taken).await;
    // The job's row stays for the key, although no other row is kept.
    assert_eq!(add(&outbox, &job("2"), &keep()).await, was_sent("1"));
    assert_eq!(row_ids(&outbox, RowState::Sent).await, ["1", "3"]);
    assert_nothing(&outbox, "relay").await;
}

pub async fn the_call_may_be_repeated(world: OutboxWorld) {
    let outbox = world.outbox().await;
    for _ in 0..2 {
        assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
        assert_eq!(add(&outbox, &job("2"), &replace()).await, replaced("1"));
    }
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    assert_nothing(&outbox, "relay").await;
    for _ in 0..2 {
        assert_eq!(add(&outbox, &job("3"), &from("1")).await, Added::New);
    }
    assert_eq!(drain(&outbox, "relay", 1).await, ["3"]);
}

pub async fn a_job_that_waits_is_replaced(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let first = due(job("1"), Due::After(LONG));
    assert_eq!(add(&outbox, &first, &keep()).await, Added::New);
    let second = OutboxJob { correlation_id: Some("c".to_owned()), job_type: "other".to_owned(), ..job("2") };
    assert_eq!(add(&outbox, &second, &replace()).await, replaced("1"));
    let taken = take(&outbox, "relay").await;
    let now = OutboxJob { id: "1".to_owned(), ..second };
    assert_eq!(due(taken[0].job.clone(), Due::Now), now);
    assert_eq!(taken.len(), 1);
    all_sent(&outbox, taken).await;
}

pub async fn a_job_that_a_relay_has_is_not_replaced(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    let taken = take(&outbox, "relay").await;
    assert_eq!(add(&outbox, &job("2"), &replace()).await, waiting("1"));
    let debounce = Unique::new("key", LONG, OnConflict::Debounce { at_most: LONG });
    assert_eq!(add(&outbox, &job("2"), &debounce).await, waiting("1"));
    assert_eq!(payloads(&outbox).await, [("1".to_owned(), job("1").payload)]);
    all_sent(&outbox, taken).await;
    assert_eq!(add(&outbox, &job("2"), &replace()).await, was_sent("1"));
}

/// Asserts that the job that holds a key is not replaced and stays unchanged: it may have been sent, and under its id another
/// payload would count as a duplicate. A debounced job is added beside it, with the key.
async fn assert_not_replaced(outbox: &Arc<dyn Outbox>, first: &OutboxJob, key: &str) {
    let mut unique = Unique::new(key, LONG, OnConflict::Replace);
    let second = OutboxJob { id: format!("after {}", first.id), payload: "2".to_owned(), ..first.clone() };
    assert_eq!(add(outbox, &second, &unique).await, waiting(&first.id));
    unique.on_conflict = OnConflict::Debounce { at_most: LONG };
    assert_eq!(add(outbox, &second, &unique).await, waiting(&first.id));
    let shown = payloads(outbox).await;
    assert!(shown.contains(&(first.id.clone(), first.payload.clone())), "{shown:?}");
    unique.take_from = Some(first.id.clone());
    assert_eq!(add(outbox, &second, &unique).await, Added::New);
    // No relay has had the replaced job.
    let third = OutboxJob { id: "third".to_owned(), payload: "3".to_owned(), ..first.clone() };
    assert_eq!(add(outbox, &third, &unique).await, replaced(&second.id));
    let shown = payloads(outbox).await;
    assert!(shown.contains(&(second.id, third.payload)), "{shown:?}");
    assert!(shown.contains(&(first.id.clone(), first.payload.clone())), "{shown:?}");
}

/// Returns two jobs, with and without a group, and their keys.
fn two_jobs() -> [(OutboxJob, &'static str); 2] {
    [(job("1"), "key"), (grouped("2", "group"), "other key")]
}

pub async fn a_job_that_was_put_back_is_not_replaced(world: OutboxWorld) {
    let (outbox, other) = (world.outbox().await, world.outbox().await);
    for (first, key) in two_jobs() {
        let unique = Unique::new(key, LONG, OnConflict::Keep);
        assert_eq!(add(&outbox, &first, &unique).await, Added::New);
        let taken = taken_in_time(&outbox, "relay", 1).await;
        conclude(&outbox, &taken.into_iter().map(|taken| later(taken, LONG)).collect::<Vec<_>>()).await;
        assert_not_replaced(&other, &first, key).await;
        outbox.remove(&named(&[&first.id, &format!("after {}", first.id)])).await.unwrap();
    }
    // A job that was put back because another one failed is not replaced either.
    assert_eq!(add(&outbox, &job("3"), &keep()).await, Added::New);
    let taken = taken_in_time(&outbox, "relay", 1).await;
    conclude(&outbox, &taken.into_iter().map(held_up).collect::<Vec<_>>()).await;
    assert_not_replaced(&other, &job("3"), "key").await;
}

pub async fn a_job_whose_lease_has_ended_is_not_replaced(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    for (first, key) in two_jobs() {
        let unique = Unique::new(key, LONG, OnConflict::Keep);
        assert_eq!(add(&one, &first, &unique).await, Added::New);
        assert_eq!(ids(&take_briefly(&one, "one").await), [&*first.id]);
        tokio::time::sleep(SHORT * 2).await;
        assert_not_replaced(&other, &first, key).await;
        other.remove(&named(&[&first.id, &format!("after {}", first.id)])).await.unwrap();
    }
}

pub async fn a_job_that_a_relay_has_put_back_is_not_replaced(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    for (first, key) in two_jobs() {
        let unique = Unique::new(key, LONG, OnConflict::Keep);
        assert_eq!(add(&one, &first, &unique).await, Added::New);
        assert_eq!(ids(&taken_in_time(&one, "one", 1).await), [&*first.id]);
        one.leave("one").await.unwrap();
        assert_not_replaced(&other, &first, key).await;
        other.remove(&named(&[&first.id, &format!("after {}", first.id)])).await.unwrap();
    }
}

pub async fn a_job_that_was_sent_is_not_replaced(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    assert_eq!(add(&outbox, &job("2"), &replace()).await, was_sent("1"));
    assert_eq!(payloads(&outbox).await, [("1".to_owned(), job("1").payload)]);
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_job_is_replaced_into_another_group(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[grouped("a1", "a")]).await.unwrap();
    assert_eq!(add(&outbox, &grouped("1", "a"), &keep()).await, Added::New);
    outbox.add(&in_group(&["b1", "b2"], "b")).await.unwrap();
    // Both groups are blocked.
    for first in ["a1", "b1"] {
        let taken = outbox.take("relay", 1, LONG).await.unwrap();
        assert_eq!(ids(&taken), [first]);
        conclude(&outbox, &taken.into_iter().map(|taken| later(taken, SHORT)).collect::<Vec<_>>()).await;
    }
    assert_eq!(add(&outbox, &grouped("2", "b"), &replace()).await, replaced("1"));
    let drained = drain(&outbox, "relay", 4).await;
    let of = |group: &[&str]| -> Vec<String> {
        drained.iter().filter(|id| group.contains(&&***id)).cloned().collect()
    };
    assert_eq!(of(&["a1"]), ["a1"]);
    // It was added before the other jobs of its new group.
    assert_eq!(of(&["b1", "b2"]), ["b1", "b2"]);
    assert_eq!(of(&["1"]), ["1"]);
    assert_eq!(row_ids(&outbox, RowState::Waiting).await, [""; 0]);

    // Outside its group, it is no longer blocked.
    let key = Unique::new("other key", LONG, OnConflict::Replace);
    outbox.add(&[grouped("c1", "c")]).await.unwrap();
    assert_eq!(add(&outbox, &grouped("3", "c"), &key).await, Added::New);
    let taken = outbox.take("relay", 1, LONG).await.unwrap();
    assert_eq!(ids(&taken), ["c1"]);
    assert_eq!(add(&outbox, &job("4"), &key).await, replaced("3"));
    assert_eq!(drain(&outbox, "relay", 1).await, ["3"]);
    // The group continues without it.
    outbox.add(&[grouped("c2", "c")]).await.unwrap();
    all_sent(&outbox, taken).await;
    assert_eq!(drain(&outbox, "relay", 1).await, ["c2"]);
}

pub async fn a_job_is_put_off_up_to_its_longest_wait(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let at_most = SHORT * 8;
    let unique = Unique::new("key", LONG, OnConflict::Debounce { at_most });
    let put_off = |id: &str| due(job(id), Due::After(SHORT * 4));
    let begun = Instant::now();
    assert_eq!(add(&outbox, &put_off("1"), &unique).await, Added::New);
    let mut last = "1".to_owned();
    // The job is postponed repeatedly, and arrives anyway.
    let mut taken = Vec::new();
    for index in 2.. {
        tokio::time::sleep(SHORT / 3).await;
        taken = take(&outbox, "relay").await;
        if !taken.is_empty() {
            break;
        }
        let next = index.to_string();
        assert_eq!(add(&outbox, &put_off(&next), &unique).await, replaced("1"));
        last = next;
        assert!(begun.elapsed() < PATIENCE, "it never comes");
    }
    assert!(begun.elapsed() >= MOST_OF_SHORT * 8, "{:?}", begun.elapsed());
    assert_eq!(ids(&taken), ["1"]);
    assert_eq!(taken[0].job.payload, job(&last).payload);
    all_sent(&outbox, taken).await;
    assert_eq!(add(&outbox, &put_off("late"), &unique).await, was_sent("1"));
}

pub async fn the_key_is_taken_from_the_named_job_only(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &from("0")).await, Added::New);
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    assert_eq!(add(&outbox, &job("2"), &from("0")).await, was_sent("1"));
    assert_eq!(add(&outbox, &job("2"), &from("1")).await, Added::New);
    assert_eq!(add(&outbox, &job("3"), &from("1")).await, waiting("2"));
    assert_eq!(add(&outbox, &job("3"), &keep()).await, waiting("2"));
    assert_eq!(drain(&outbox, "relay", 1).await, ["2"]);
    assert_eq!(add(&outbox, &job("3"), &keep()).await, was_sent("2"));
}

pub async fn the_key_is_taken_from_a_job_that_waits(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    let taken = take(&outbox, "relay").await;
    // A relay has taken the job, so that it cannot be replaced: the second one is a new job.
    assert_eq!(add(&outbox, &job("2"), &from("1")).await, Added::New);
    assert_eq!(add(&outbox, &job("3"), &keep()).await, waiting("2"));
    all_sent(&outbox, taken).await;
    assert_eq!(add(&outbox, &job("3"), &keep()).await, waiting("2"));
    assert_eq!(drain(&outbox, "relay", 1).await, ["2"]);
}

pub async fn the_key_is_free_after_its_window(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let brief = Unique::new("key", SHORT, OnConflict::Keep);
    let begun = Instant::now();
    assert_eq!(add(&outbox, &job("1"), &brief).await, Added::New);
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    eventually("the window is over", async || {
        let added = add(&outbox, &job("2"), &brief).await;
        assert!(added == Added::New || added == was_sent("1"), "{added:?}");
        added == Added::New
    })
    .await;
    assert!(begun.elapsed() >= MOST_OF_SHORT, "{:?}", begun.elapsed());
    // A job that still waits then loses its key, too.
    eventually("the window of one that waits is over", async || {
        let added = add(&outbox, &job("3"), &brief).await;
        assert!(added == Added::New || added == waiting("2"), "{added:?}");
        added == Added::New
    })
    .await;
    let mut drained = drain(&outbox, "relay", 2).await;
    drained.sort_unstable();
    assert_eq!(drained, ["2", "3"]);
}

pub async fn the_key_of_a_removed_job_is_free(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    assert_eq!(outbox.remove(&named(&["1"])).await, Ok(1));
    assert_eq!(add(&outbox, &job("2"), &keep()).await, Added::New);
    assert_eq!(drain(&outbox, "relay", 1).await, ["2"]);
}

pub async fn a_job_of_a_former_holder_frees_no_key(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let distant = due(job("1"), Due::After(LONG));
    assert_eq!(add(&outbox, &distant, &keep()).await, Added::New);
    assert_eq!(add(&outbox, &job("2"), &from("1")).await, Added::New);
    assert_eq!(outbox.remove(&named(&["1"])).await, Ok(1));
    assert_eq!(add(&outbox, &job("3"), &keep()).await, waiting("2"));
}

pub async fn a_parked_job_holds_its_key(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(add(&outbox, &job("1"), &keep()).await, Added::New);
    let taken = take(&outbox, "relay").await;
    conclude(&outbox, &taken.into_iter().map(parked).collect::<Vec<_>>()).await;
    assert_eq!(add(&outbox, &job("2"), &keep()).await, waiting("1"));
    assert_eq!(add(&outbox, &job("2"), &replace()).await, waiting("1"));
    assert_eq!(payloads(&outbox).await, [("1".to_owned(), job("1").payload)]);
    assert_eq!(add(&outbox, &job("2"), &from("1")).await, Added::New);
}
