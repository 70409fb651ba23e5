//! Named states and leases, which timetables use.

use std::time::Duration;

use crate::StoreError;
use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;

fn pair(name: &str, text: &str) -> (String, String) {
    (name.to_owned(), text.to_owned())
}

pub async fn a_state_changes_only_for_those_who_have_read_it(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    assert_eq!(one.change("name", Some("0"), Some("1"), &[]).await, Ok(false));
    assert_eq!(one.change("name", None, Some("1"), &[]).await, Ok(true));
    assert_eq!(other.states().await, Ok(vec![pair("name", "1")]));
    assert_eq!(other.change("name", None, Some("2"), &[]).await, Ok(false));
    assert_eq!(other.change("name", Some("1"), Some("2"), &[]).await, Ok(true));
    assert_eq!(one.change("name", Some("1"), Some("3"), &[]).await, Ok(false));
    assert_eq!(one.change("name", Some("1"), None, &[]).await, Ok(false));
    assert_eq!(one.states().await, Ok(vec![pair("name", "2")]));
}

pub async fn a_state_changes_only_together_with_its_jobs(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(outbox.change("name", None, Some("1"), &[job("1"), grouped("2", "group")]).await, Ok(true));
    assert_eq!(outbox.change("name", Some("0"), Some("2"), &[job("3")]).await, Ok(false));
    let refused = outbox.change("name", Some("1"), Some("2"), &[job("4"), job("")]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(outbox.states().await, Ok(vec![pair("name", "1")]));
    let taken = take(&outbox, "relay").await;
    assert_eq!(sorted(&taken), ["1", "2"]);
    // A known job stays unchanged, and the state changes anyway.
    assert_eq!(outbox.change("name", Some("1"), Some("2"), &[job("1"), job("5")]).await, Ok(true));
    all_sent(&outbox, taken).await;
    assert_eq!(drain(&outbox, "relay", 1).await, ["5"]);
}

pub async fn a_change_that_is_repeated_adds_nothing(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert_eq!(outbox.change("name", None, Some("1"), &[job("1")]).await, Ok(true));
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
    assert_eq!(outbox.change("name", None, Some("1"), &[job("1")]).await, Ok(true));
    assert_eq!(outbox.change("name", Some("other"), Some("1"), &[job("2")]).await, Ok(true));
    assert_nothing(&outbox, "relay").await;
}

pub async fn a_state_is_removed(world: OutboxWorld) {
    let outbox = world.outbox().await;
    // The state is already absent, as requested.
    assert_eq!(outbox.change("name", Some("1"), None, &[job("0")]).await, Ok(true));
    assert_eq!(outbox.change("name", None, Some(""), &[]).await, Ok(true));
    assert_eq!(outbox.states().await, Ok(vec![pair("name", "")]));
    assert_eq!(outbox.change("name", None, None, &[]).await, Ok(false));
    assert_eq!(outbox.change("name", Some(""), None, &[job("1")]).await, Ok(true));
    assert_eq!(outbox.states().await, Ok(vec![]));
    assert_eq!(drain(&outbox, "relay", 1).await, ["1"]);
}

pub async fn states_are_listed_by_name(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let names = ["b", "a", "ö 'odd' \"name\" %_", "B"];
    let text = r#"{"ä":"\u0000'\\"}"#;
    for name in names {
        assert_eq!(outbox.change(name, None, Some(text), &[]).await, Ok(true));
    }
    let mut expected = names.map(|name| pair(name, text));
    expected.sort_unstable();
    assert_eq!(outbox.states().await, Ok(expected.to_vec()));
}

pub async fn a_lease_is_one_owners_until_it_ends(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    let first = one.lead("name", "one", LONG).await.unwrap().unwrap();
    assert_eq!(first.name, "name");
    assert!(first.left <= LONG && first.left > MOST_OF_IT, "{:?}", first.left);
    assert_eq!(other.lead("name", "other", LONG).await, Ok(None));
    let renewed = one.lead("name", "one", SHORT).await.unwrap().unwrap();
    assert_eq!(renewed.fencing_token, first.fencing_token);
    let mut second = other.lead("name", "other", LONG).await.unwrap();
    eventually("the lease ends", async || {
        if second.is_none() {
            second = other.lead("name", "other", LONG).await.unwrap();
        }
        second.is_some()
    })
    .await;
    let second = second.unwrap();
    assert!(second.fencing_token > first.fencing_token, "{second:?} after {first:?}");
    assert_eq!(one.lead("name", "one", LONG).await, Ok(None));
}

pub async fn a_renewed_lease_lasts(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    let first = one.lead("name", "one", SHORT).await.unwrap().unwrap();
    if one.lead("name", "one", LONG).await.unwrap().unwrap().fencing_token != first.fencing_token {
        // If the machine was this slow, this was another lease.
        return;
    }
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(other.lead("name", "other", LONG).await, Ok(None));
    let renewed = one.lead("name", "one", LONG).await.unwrap().unwrap();
    assert_eq!(renewed.fencing_token, first.fencing_token);
}

pub async fn a_lease_is_released(world: OutboxWorld) {
    let (one, other) = (world.outbox().await, world.outbox().await);
    let first = one.lead("name", "one", LONG).await.unwrap().unwrap();
    one.lead("name", "one", Duration::ZERO).await.unwrap();
    let second = other.lead("name", "other", LONG).await.unwrap().unwrap();
    assert!(second.fencing_token > first.fencing_token, "{second:?} after {first:?}");
}

pub async fn leases_of_other_names_do_not_matter(world: OutboxWorld) {
    let outbox = world.outbox().await;
    assert!(outbox.lead("name", "one", LONG).await.unwrap().is_some());
    assert!(outbox.lead("Name", "other", LONG).await.unwrap().is_some());
    assert_eq!(outbox.lead("name", "other", LONG).await, Ok(None));
}
