//! The order of jobs within a group.

use std::time::Duration;

use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::{Due, OutboxJob};

pub async fn jobs_of_a_group_are_taken_in_order(world: OutboxWorld) {
    const JOBS: usize = 60;
    let outbox = world.outbox().await;
    let groups = ["a", "a:", "b"];
    // Names whose alphabetical order differs from the order of adding.
    let name = |group: &str, index: usize| format!("{:02}-{group}-{index}", (index * 37) % JOBS);
    let mut added: Vec<OutboxJob> = Vec::new();
    for index in 0..JOBS {
        added.extend(groups.iter().map(|group| grouped(&name(group, index), group)));
    }
    // Some are added in one call, and some in separate calls.
    outbox.add(&added[..JOBS]).await.unwrap();
    for job in &added[JOBS..] {
        outbox.add(std::slice::from_ref(job)).await.unwrap();
    }
    let drained = drain(&outbox, "relay", JOBS * groups.len()).await;
    for group in groups {
        let mark = format!("-{group}-");
        let came: Vec<_> = drained.iter().filter(|id| id.contains(&mark)).cloned().collect();
        let expected: Vec<_> = (0..JOBS).map(|index| name(group, index)).collect();
        assert_eq!(came, expected, "group {group}");
    }
}

pub async fn a_group_is_in_the_hands_of_one_relay(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    one.add(&in_group(&["1", "2", "3"], "group")).await.unwrap();
    let first = one.take("one", 1, LONG).await.unwrap();
    assert_eq!(ids(&first), ["1"]);
    assert_nothing(&other, "other").await;
    // The same relay does not get more of the group either.
    assert_nothing(&one, "one").await;
    // A job that is added meanwhile waits, too.
    other.add(&in_group(&["4"], "group")).await.unwrap();
    assert_nothing(&other, "other").await;
    all_sent(&one, first).await;
    assert_eq!(drain(&one, "one", 3).await, ["2", "3", "4"]);
}

pub async fn a_job_that_is_put_back_holds_up_its_group(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&in_group(&["1", "2"], "group")).await.unwrap();
    let taken = outbox.take("relay", 1, LONG).await.unwrap();
    conclude(&outbox, &taken.into_iter().map(|taken| later(taken, LONG)).collect::<Vec<_>>()).await;
    outbox.add(&[grouped("3", "group"), grouped("4", "other group"), job("5")]).await.unwrap();
    let taken = take(&outbox, "relay").await;
    assert_eq!(sorted(&taken), ["4", "5"]);
    all_sent(&outbox, taken).await;
    assert_nothing(&outbox, "relay").await;

    // The jobs behind it follow when it is due and concluded.
    outbox.add(&in_group(&["6", "7", "8"], "third group")).await.unwrap();
    let taken = outbox.take("relay", 1, LONG).await.unwrap();
    assert_eq!(ids(&taken), ["6"]);
    conclude(&outbox, &taken.into_iter().map(|taken| later(taken, SHORT)).collect::<Vec<_>>()).await;
    assert_eq!(drain(&outbox, "relay", 3).await, ["6", "7", "8"]);
}

pub async fn jobs_that_are_put_back_together_keep_their_order(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&in_group(&["1", "2", "3", "4"], "group")).await.unwrap();
    for _ in 0..3 {
        let mut taken = outbox.take("relay", 3, LONG).await.unwrap().into_iter();
        let Some(first) = taken.next() else { panic!("the group does not come") };
        assert_eq!(first.job.id, "1");
        let mut concluded = vec![later(first, SHORT)];
        concluded.extend(taken.map(held_up));
        // The conclusions may be reported in any order.
        concluded.reverse();
        conclude(&outbox, &concluded).await;
        eventually("the first is due again", async || {
            let taken = outbox.take("relay", 1, LONG).await.unwrap();
            let is_due = !taken.is_empty();
            assert!(!is_due || ids(&taken) == ["1"], "{:?}", ids(&taken));
            conclude(&outbox, &taken.into_iter().map(held_up).collect::<Vec<_>>()).await;
            is_due
        })
        .await;
    }
    assert_eq!(drain(&outbox, "relay", 4).await, ["1", "2", "3", "4"]);
}

pub async fn a_job_put_back_blocks_those_behind_it(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&in_group(&["1", "2", "3"], "group")).await.unwrap();
    let mut taken = take(&outbox, "relay").await.into_iter();
    let mut concluded = Vec::new();
    concluded.extend(taken.next().map(|first| later(first, SHORT)));
    concluded.extend(taken.next().map(|second| later(second, LONG)));
    concluded.extend(taken.map(held_up));
    conclude(&outbox, &concluded).await;
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    assert_nothing(&outbox, "relay").await;
    outbox.add(&[grouped("4", "group")]).await.unwrap();
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_parked_job_holds_up_nothing(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&in_group(&["1", "2", "3"], "group")).await.unwrap();
    let taken = outbox.take("relay", 1, LONG).await.unwrap();
    conclude(&outbox, &taken.into_iter().map(parked).collect::<Vec<_>>()).await;
    let taken = outbox.take("relay", 1, LONG).await.unwrap();
    assert_eq!(ids(&taken), ["2"]);
    conclude(&outbox, &taken.into_iter().map(parked).collect::<Vec<_>>()).await;
    assert_eq!(drain(&outbox, "relay", 1).await, ["3"]);
    assert_nothing(&outbox, "relay").await;
    assert_eq!(outbox.retry(&named(&["2", "1"])).await, Ok(2));
    assert_eq!(drain(&outbox, "relay", 2).await, ["1", "2"]);
}

pub async fn a_removed_job_holds_up_nothing(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&in_group(&["1", "2"], "group")).await.unwrap();
    let taken = outbox.take("relay", 1, LONG).await.unwrap();
    conclude(&outbox, &taken.into_iter().map(|taken| later(taken, LONG)).collect::<Vec<_>>()).await;
    assert_nothing(&outbox, "relay").await;
    assert_eq!(outbox.remove(&named(&["1"])).await, Ok(1));
    assert_eq!(drain(&outbox, "relay", 1).await, ["2"]);
}

pub async fn a_job_whose_time_has_not_come_holds_up_nothing(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let soon = due(grouped("soon", "group"), Due::After(SHORT));
    let tomorrow = due(grouped("tomorrow", "group"), Due::After(Duration::from_secs(24 * 60 * 60)));
    outbox.add(&[tomorrow, soon, grouped("now", "group")]).await.unwrap();
    let first = outbox.take("relay", 1, LONG).await.unwrap();
    if ids(&first) == ["soon"] {
        // If the machine was this slow, the job is already due.
        all_sent(&outbox, first).await;
        assert_eq!(drain(&outbox, "relay", 1).await, ["now"]);
        return;
    }
    assert_eq!(ids(&first), ["now"]);
    tokio::time::sleep(SHORT).await;
    // The job is due now, but its group is in hand.
    outbox.add(&[grouped("last", "group")]).await.unwrap();
    assert_nothing(&outbox, "relay").await;
    all_sent(&outbox, first).await;
    // It keeps its place in the order of adding.
    assert_eq!(drain(&outbox, "relay", 2).await, ["soon", "last"]);
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_group_goes_to_another_relay_in_order(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    one.add(&in_group(&["1", "2", "3", "4"], "group")).await.unwrap();
    let late = one.take("one", 3, SHORT).await.unwrap();
    assert_eq!(late[0].job.id, "1");
    let mut taken = Vec::new();
    eventually("the group comes to the other relay", async || {
        taken = other.take("other", 1, LONG).await.unwrap();
        !taken.is_empty()
    })
    .await;
    assert_eq!(ids(&taken), ["1"]);
    // The former relay has no job of the group any more, even where the other relay has not taken it yet.
    let count = late.len();
    assert_eq!(one.conclude(&late.into_iter().map(sent).collect::<Vec<_>>()).await, Ok(count));
    all_sent(&other, taken).await;
    assert_eq!(drain(&other, "other", 3).await, ["2", "3", "4"]);
}

pub async fn a_group_in_hand_continues_after_its_relay_has_left(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    one.add(&in_group(&["1", "2", "3"], "group")).await.unwrap();
    let first = one.take("one", 1, LONG).await.unwrap();
    assert_eq!(ids(&first), ["1"]);
    one.leave("one").await.unwrap();
    assert_eq!(drain(&other, "other", 3).await, ["1", "2", "3"]);
    assert_eq!(one.conclude(&[sent(first[0].clone())]).await, Ok(1));
}
