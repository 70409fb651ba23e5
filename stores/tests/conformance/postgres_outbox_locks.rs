//! Locks that other transactions hold on rows and tables of the outbox in PostgreSQL.

use std::time::{Duration, Instant};

use drumline_store::conformance::outbox::steps::{
    all_sent, assert_nothing, conclude, drain, grouped, ids, in_group, job, jobs, later, parked, row_ids,
    rows, sent, sorted, take,
};
use drumline_store::outbox::postgres::{MIGRATION, PostgresOutbox, add_in};
use drumline_store::outbox::{Added, OnConflict, RowState, Unique};
use drumline_store::postgres::sqlx::postgres::PgConnection;
use drumline_store::postgres::sqlx::{self, Connection};
use drumline_store::{OpenError, StoreError};
use url::Url;

use crate::postgres_only::{connect, count, execute};
use crate::postgres_outbox::{open, outbox_and_application};
use crate::world::{LONG, World, eventually};

/// Begins a transaction that holds the row of a job, as an operator's session does.
async fn holding(url: &Url, id: &str) -> PgConnection {
    let mut operator = connect(url).await;
    execute(&mut operator, &format!("BEGIN; SELECT FROM drumline_outbox WHERE id = '{id}' FOR UPDATE")).await;
    operator
}

pub async fn a_locked_row_holds_up_no_conclusion_of_another(world: World) {
    let (outbox, mut application, url) = outbox_and_application(&world).await;
    let mut added = jobs(&["1", "2", "3"]);
    added.extend(in_group(&["4", "5"], "g"));
    add_in(&mut application, &added).await.unwrap();
    let mut taken = outbox.take("relay", 4, LONG).await.unwrap();
    assert_eq!(ids(&taken), ["1", "2", "3", "4"]);
    let last = taken.pop().unwrap();
    let [one, two, three] = <[_; 3]>::try_from(taken).unwrap();
    let mut operator = holding(&url, "2").await;
    execute(&mut operator, "SELECT FROM drumline_outbox WHERE id = '4' FOR UPDATE").await;
    let begun = Instant::now();
    conclude(&outbox, &[sent(one), sent(two), parked(three), later(last, Duration::ZERO)]).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waits for a lock");
    assert_eq!(row_ids(&outbox, RowState::Waiting).await, ["2", "4", "5"]);
    assert_eq!(row_ids(&outbox, RowState::Parked).await, ["3"]);
    // The other jobs still belong to this relay, and other jobs continue.
    assert_nothing(&outbox, "relay").await;
    add_in(&mut application, &[job("6")]).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 1).await, ["6"]);
    // No session still waits for the lock.
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    assert_eq!(count(&mut application, waiting).await, 0);
    execute(&mut operator, "COMMIT").await;
    eventually("both are concluded, and the group continues", async || {
        let taken = take(&outbox, "relay").await;
        let is_done = ids(&taken) == ["4", "5"];
        assert!(taken.is_empty() || is_done, "{:?}", ids(&taken));
        assert!(taken.first().is_none_or(|first| first.failures == 1));
        all_sent(&outbox, taken).await;
        is_done
    })
    .await;
    assert_eq!(row_ids(&outbox, None).await, ["3"]);
}

pub async fn a_conclusion_delayed_by_a_lock_is_void_under_an_old_token(world: World) {
    let (one, mut application, url) = outbox_and_application(&world).await;
    let two = open(&url).await;
    add_in(&mut application, &in_group(&["1", "2"], "g")).await.unwrap();
    let old = one.take("one", 10, Duration::from_millis(300)).await.unwrap();
    assert_eq!(ids(&old), ["1", "2"]);
    let mut operator = holding(&url, "1").await;
    conclude(&one, &[parked(old[0].clone())]).await;
    let mut new = Vec::new();
    eventually("the lease has ended", async || {
        new.extend(take(&two, "two").await);
        !new.is_empty()
    })
    .await;
    assert_eq!(ids(&new), ["1", "2"]);
    execute(&mut operator, "COMMIT").await;
    // It would be written with the next conclusion.
    assert_eq!(one.conclude(&[sent(old[1].clone())]).await, Ok(2));
    assert_eq!(row_ids(&one, RowState::Waiting).await, ["1", "2"]);
    all_sent(&two, new).await;
    assert_eq!(row_ids(&one, None).await, [""; 0]);
}

pub async fn a_bucket_that_changes_its_owner_is_not_concluded_meanwhile(world: World) {
    let (outbox, mut application, url) = outbox_and_application(&world).await;
    add_in(&mut application, &[job("1")]).await.unwrap();
    let taken = take(&outbox, "relay").await;
    let mut other = connect(&url).await;
    execute(&mut other, "BEGIN; UPDATE drumline_outbox_buckets SET relay = 'other', token = token + 1").await;
    conclude(&outbox, &[parked(taken[0].clone())]).await;
    assert_eq!(row_ids(&outbox, RowState::Waiting).await, ["1"]);
    execute(&mut other, "COMMIT").await;
    assert_eq!(outbox.conclude(&[]).await, Ok(1), "it is lost");
    assert_eq!(row_ids(&outbox, RowState::Waiting).await, ["1"]);
}

pub async fn too_many_locked_rows_are_an_error(world: World) {
    let (outbox, mut application, url) = outbox_and_application(&world).await;
    execute(
        &mut application,
        "INSERT INTO drumline_outbox (id, type, payload) SELECT i, 'a', '{}' FROM generate_series(1, 1100) i",
    )
    .await;
    let taken = outbox.take("relay", 2_000, LONG).await.unwrap();
    let concluded: Vec<_> = taken.into_iter().map(sent).collect();
    assert_eq!(concluded.len(), 1_100);
    let mut operator = connect(&url).await;
    execute(&mut operator, "BEGIN; UPDATE drumline_outbox SET reason = 'looked at'").await;
    let refused = outbox.conclude(&concluded).await;
    assert!(
        matches!(&refused, Err(StoreError::Unanswered(text)) if text.to_string().contains("100 rows are locked")),
        "{refused:?}"
    );
    execute(&mut operator, "ROLLBACK").await;
    // The relay repeats it.
    conclude(&outbox, &concluded).await;
    assert_eq!(count(&mut application, "drumline_outbox").await, 0);
}

pub async fn a_locked_unique_job_holds_up_its_group_only(world: World) {
    let (outbox, mut application, url) = outbox_and_application(&world).await;
    let unique = Unique::new("key", LONG, OnConflict::Keep);
    assert_eq!(outbox.add_unique(&grouped("1", "g"), &unique).await, Ok(Added::New));
    add_in(&mut application, &[grouped("2", "g"), job("3")]).await.unwrap();
    let mut operator = holding(&url, "1").await;
    let taken = take(&outbox, "relay").await;
    assert_eq!(ids(&taken), ["3"]);
    execute(&mut operator, "COMMIT").await;
    let more = take(&outbox, "relay").await;
    assert_eq!(sorted(&more), ["1", "2"]);
}

pub async fn a_migration_waits_for_no_open_transaction(world: World) {
    let (_, mut application, url) = outbox_and_application(&world).await;
    let mut open = connect(&url).await;
    let mut transaction = open.begin().await.unwrap();
    add_in(&mut transaction, &[job("1")]).await.unwrap();
    // Nothing is missing.
    let begun = Instant::now();
    PostgresOutbox::migrate(&url).await.unwrap();
    execute(&mut application, MIGRATION).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "it waits for a lock");
    // The missing part needs the table: the call gives up, and blocks nothing after that.
    let mut other = connect(&url).await;
    transaction.commit().await.unwrap();
    execute(&mut other, "DROP INDEX drumline_outbox_parked").await;
    let mut transaction = open.begin().await.unwrap();
    add_in(&mut transaction, &[job("2")]).await.unwrap();
    let refused = PostgresOutbox::migrate(&url).await;
    assert!(
        matches!(&refused, Err(OpenError::Unavailable(error)) if error.to_string().contains("try again")),
        "{refused:?}"
    );
    assert!(sqlx::raw_sql(MIGRATION).execute(&mut other).await.is_err());
    let begun = Instant::now();
    add_in(&mut application, &[job("3")]).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "it waits behind the migration");
    transaction.commit().await.unwrap();
    PostgresOutbox::migrate(&url).await.unwrap();
    assert_eq!(count(&mut application, "pg_indexes WHERE indexname = 'drumline_outbox_parked'").await, 1);
}

pub async fn a_huge_job_is_parked_and_not_read(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    execute(
        &mut application,
        r#"INSERT INTO drumline_outbox (id, type, payload) VALUES ('1', 'a', '"' || repeat('x', 64 * 1024 * 1024) || '"');
        INSERT INTO drumline_outbox (id, type, payload) VALUES ('2', 'a', '{}')"#,
    )
    .await;
    assert_eq!(drain(&outbox, "relay", 1).await, ["2"]);
    let rows = rows(&outbox, None).await;
    let [huge] = &rows[..] else { panic!("{} rows", rows.len()) };
    assert_eq!((huge.state, &*huge.job.payload), (RowState::Parked, ""));
    assert!(huge.reason.as_deref().unwrap().contains("too large"), "{:?}", huge.reason);
}
