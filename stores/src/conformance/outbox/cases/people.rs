//! Operators' views of an outbox, and their operations.

use std::time::Duration;

use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::{Due, RowState, Rows};

pub async fn lag_counts_what_is_due_and_what_is_not(world: OutboxWorld) {
    let outbox = world.outbox_keeping(LONG).await;
    let lag = outbox.lag().await.unwrap();
    assert_eq!((lag.due, lag.oldest, lag.later, lag.parked), (0, Duration::ZERO, 0, 0));
    outbox.add(&[job("parked"), job("sent")]).await.unwrap();
    for taken in take(&outbox, "relay").await {
        let concluded = if taken.job.id == "sent" { sent(taken) } else { parked(taken) };
        conclude(&outbox, &[concluded]).await;
    }
    let later = due(job("later"), Due::After(LONG));
    outbox.add(&[job("1"), grouped("2", "group"), grouped("3", "group"), later]).await.unwrap();
    tokio::time::sleep(SHORT).await;
    let check = async || {
        let lag = outbox.lag().await.unwrap();
        assert_eq!((lag.due, lag.later, lag.parked), (3, 1, 1));
        assert!(lag.oldest >= MOST_OF_SHORT, "{:?}", lag.oldest);
        assert!(lag.oldest < PATIENCE, "{:?}", lag.oldest);
    };
    check().await;
    // A job that a relay has taken counts until it was sent.
    let taken = take(&outbox, "relay").await;
    check().await;
    all_sent(&outbox, taken).await;
    let lag = outbox.lag().await.unwrap();
    assert_eq!((lag.due, lag.oldest, lag.later, lag.parked), (0, Duration::ZERO, 1, 1));
}

pub async fn a_job_that_is_put_back_is_still_behind(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    tokio::time::sleep(SHORT).await;
    let taken = take(&outbox, "relay").await;
    conclude(&outbox, &taken.into_iter().map(|taken| later(taken, LONG)).collect::<Vec<_>>()).await;
    let lag = outbox.lag().await.unwrap();
    assert_eq!((lag.due, lag.later), (2, 0));
    assert!(lag.oldest >= MOST_OF_SHORT, "{:?}", lag.oldest);
    let due = rows(&outbox, None).await[0].due_ms - outbox.now_ms().await.unwrap();
    assert!(due > 60_000, "people see when it is tried again: {due}");
}

pub async fn rows_are_listed_in_the_order_of_adding(world: OutboxWorld) {
    let outbox = world.outbox_keeping(LONG).await;
    outbox.add(&jobs(&["d", "b", "c"])).await.unwrap();
    outbox.add(&[grouped("a", "group"), due(job("e"), Due::After(LONG))]).await.unwrap();
    assert_eq!(row_ids(&outbox, None).await, ["d", "b", "c", "a", "e"]);
    for taken in take(&outbox, "relay").await {
        match &*taken.job.id {
            "d" | "a" => conclude(&outbox, &[sent(taken)]).await,
            "b" => conclude(&outbox, &[parked(taken)]).await,
            _ => (),
        }
    }
    assert_eq!(row_ids(&outbox, RowState::Sent).await, ["d", "a"]);
    assert_eq!(row_ids(&outbox, RowState::Parked).await, ["b"]);
    assert_eq!(row_ids(&outbox, RowState::Waiting).await, ["c", "e"]);
    assert_eq!(row_ids(&outbox, None).await, ["d", "b", "c", "a", "e"]);
    let of = async |ids: &[&str]| outbox.rows(&Rows::of(named(ids))).await.unwrap();
    let shown = of(&["a", "unknown", "b", "d", "b"]).await;
    assert_eq!(shown.iter().map(|row| &*row.job.id).collect::<Vec<_>>(), ["d", "b", "a"]);
    assert_eq!(of(&[]).await, []);
    for (state, limit, expected) in
        [(None, 2, 2), (None, 0, 0), (Some(RowState::Waiting), 1, 1), (Some(RowState::Sent), 9, 2)]
    {
        let listed = outbox.rows(&Rows::new(state, limit)).await.unwrap();
        assert_eq!(listed.len(), expected, "{state:?} {limit}");
        assert!(listed.iter().all(|row| state.is_none_or(|state| row.state == state)));
    }
}

pub async fn a_parked_job_that_is_tried_again_has_no_failures(world: OutboxWorld) {
    let outbox = world.outbox().await;
    outbox.add(&[job("1"), grouped("2", "group")]).await.unwrap();
    let taken = take(&outbox, "relay").await;
    let failed = taken.into_iter().map(|taken| later(taken, Duration::ZERO)).collect::<Vec<_>>();
    conclude(&outbox, &failed).await;
    let again = taken_in_time(&outbox, "relay", 2).await;
    assert!(again.iter().all(|taken| taken.failures == 1), "{again:?}");
    conclude(&outbox, &again.into_iter().map(parked).collect::<Vec<_>>()).await;
    assert!(rows(&outbox, RowState::Parked).await.iter().all(|row| row.failures == 1));
    assert_eq!(outbox.retry(&named(&["1", "2"])).await, Ok(2));
    assert!(rows(&outbox, RowState::Waiting).await.iter().all(|row| row.failures == 0));
    let retried = taken_in_time(&outbox, "relay", 2).await;
    assert!(retried.iter().all(|taken| taken.failures == 0), "{retried:?}");
}

pub async fn retry_and_remove_count_what_they_change(world: OutboxWorld) {
    let outbox = world.outbox_keeping(LONG).await;
    outbox.add(&jobs(&["waiting", "taken", "parked", "sent"])).await.unwrap();
    for taken in take(&outbox, "relay").await {
        match &*taken.job.id {
            "waiting" => conclude(&outbox, &[held_up(taken)]).await,
            "parked" => conclude(&outbox, &[parked(taken)]).await,
            "sent" => conclude(&outbox, &[sent(taken)]).await,
            _ => (),
        }
    }
    let all = named(&["waiting", "taken", "parked", "sent", "unknown"]);
    assert_eq!(outbox.retry(&all).await, Ok(1));
    assert_eq!(outbox.retry(&all).await, Ok(0));
    let retried = rows(&outbox, None).await.into_iter().find(|row| row.job.id == "parked").unwrap();
    assert_eq!((retried.state, retried.reason), (RowState::Waiting, None));
    assert_eq!(outbox.remove(&all).await, Ok(3));
    assert_eq!(outbox.remove(&all).await, Ok(0));
    assert_eq!(row_ids(&outbox, None).await, ["sent"]);
    assert_nothing(&outbox, "relay").await;
}
