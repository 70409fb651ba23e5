//! Behaviour that only the outbox in PostgreSQL has.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use drumline::core::Ownership;
use drumline_store::conformance::outbox::steps::{
    all_sent, assert_nothing, conclude, drain, grouped, ids, in_group, job, jobs, later, row_ids, rows,
    sorted, take,
};
use drumline_store::outbox::postgres::add_in;
use drumline_store::outbox::{self, Conclusion, Outbox, OutboxJob, RowState, TakenJob};
use drumline_store::postgres::sqlx::postgres::PgConnection;
use drumline_store::postgres::sqlx::{self, Connection, Row};
use drumline_store::{Location, Retention, Store, StoreError};
use url::Url;

use crate::postgres_only::{connect, count, execute, own_database, postgres};
use crate::world::{LONG, World, eventually, granted, granted_in_time, json, short};

pub async fn open(url: &Url) -> Arc<dyn Outbox> {
    outbox::open(url.as_str(), Duration::ZERO).await.unwrap()
}

/// Opens an outbox in its own database, and a connection of the application.
pub async fn outbox_and_application(world: &World) -> (Arc<dyn Outbox>, PgConnection, Url) {
    let url = own_database(world).await;
    let outbox = open(&url).await;
    let connection = connect(&url).await;
    (outbox, connection, url)
}

pub async fn store(url: &Url, owner: &str) -> Arc<dyn Store> {
    let location: Location = url.as_str().parse().unwrap();
    drumline_store::open(&location, owner.into(), Retention::default()).await.unwrap()
}

pub async fn a_transaction_that_commits_late_is_not_passed_over(world: World) {
    let (outbox, mut prompt, url) = outbox_and_application(&world).await;
    let mut late = connect(&url).await;
    let mut transaction = late.begin().await.unwrap();
    add_in(&mut transaction, &[job("late"), grouped("late in group", "g")]).await.unwrap();
    add_in(&mut prompt, &[job("prompt"), grouped("prompt in group", "g")]).await.unwrap();
    // As after minutes: all jobs with a higher position are sent and removed.
    let mut drained = drain(&outbox, "relay", 2).await;
    drained.sort();
    assert_eq!(drained, ["prompt", "prompt in group"]);
    for index in 0..5 {
        add_in(&mut prompt, &[job(&format!("another {index}"))]).await.unwrap();
        assert_eq!(drain(&outbox, "relay", 1).await, [format!("another {index}")]);
        assert_nothing(&outbox, "relay").await;
    }
    transaction.commit().await.unwrap();
    let taken = take(&outbox, "relay").await;
    assert_eq!(sorted(&taken), ["late", "late in group"]);
    all_sent(&outbox, taken).await;
}

pub async fn rows_of_a_transaction_that_is_rolled_back_are_never_seen(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    let mut transaction = application.begin().await.unwrap();
    add_in(&mut transaction, &in_group(&["1", "2"], "g")).await.unwrap();
    sqlx::query("INSERT INTO drumline_outbox (id, type, payload) VALUES ('3', 'a', '{}')")
        .execute(&mut *transaction)
        .await
        .unwrap();
    assert_nothing(&outbox, "relay").await;
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    transaction.rollback().await.unwrap();
    // Their ids can be used again.
    add_in(&mut application, &in_group(&["2", "3"], "g")).await.unwrap();
    assert_eq!(drain(&outbox, "relay", 2).await, ["2", "3"]);
    assert_nothing(&outbox, "relay").await;
}

pub async fn plain_sql_needs_a_type_and_a_payload_only(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    execute(
        &mut application,
        r#"INSERT INTO drumline_outbox (type, payload) VALUES ('email.send', '{"userId":7}');
        INSERT INTO drumline_outbox (type, payload, message_attributes, due)
            VALUES ('typed', '{"a": 1}'::jsonb, '{"shard":3,"none":null,"name":"x"}'::jsonb, now());
        INSERT INTO drumline_outbox (id, type, payload, due) VALUES ('later', 'email.send', '[1]', now() + interval '1 day')"#,
    )
    .await;
    let taken = take(&outbox, "relay").await;
    let [plain, typed] = &taken[..] else { panic!("{:?}", ids(&taken)) };
    assert_eq!(plain.job, OutboxJob::new(plain.job.id.clone(), "email.send", r#"{"userId":7}"#));
    assert_eq!(plain.job.id.len(), 36, "{}", plain.job.id);
    assert!(plain.added_ms.unwrap().abs_diff(outbox.now_ms().await.unwrap()) < 10_000);
    assert_eq!(typed.job.payload, r#"{"a": 1}"#);
    let texts = [("name", "x"), ("shard", "3")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(typed.job.attributes, texts.into());
    assert_eq!(rows(&outbox, None).await.len(), 3);
}

pub async fn plain_sql_is_refused_at_once_and_stops_no_relay(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    let refused = [
        "(type, payload) VALUES ('a', 'no JSON')",
        "(type, payload) VALUES ('', '{}')",
        "(type, payload, id) VALUES ('a', '{}', '')",
        "(type, payload, id) VALUES ('a', '{}', repeat('x', 129))",
        "(type, payload, schema_version) VALUES ('a', '{}', 0)",
        "(type, payload, due) VALUES ('a', '{}', 'infinity')",
        "(type, payload, state) VALUES ('a', '{}', 'held')",
        "(type, payload, message_attributes) VALUES ('a', '{}', '[]')",
    ];
    for row in refused {
        let insert = format!("INSERT INTO drumline_outbox {row}");
        assert!(sqlx::raw_sql(sqlx::AssertSqlSafe(insert)).execute(&mut application).await.is_err(), "{row}");
    }
    // In a table that other programs have changed, too.
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
    execute(
        &mut application,
        &format!(
            "ALTER TABLE drumline_outbox DROP CONSTRAINT drumline_outbox_payload_check;
            INSERT INTO drumline_outbox (id, type, payload, message_group) VALUES ('1', 'a', 'no JSON', 'g');
            INSERT INTO drumline_outbox (id, type, payload, message_attributes, message_group)
                VALUES ('2', 'a', '{{}}', '{nested}', 'g');
            INSERT INTO drumline_outbox (id, type, payload, message_group) VALUES ('3', 'a', '{{}}', 'g')"
        ),
    )
    .await;
    let taken = take(&outbox, "relay").await;
    assert_eq!(ids(&taken), ["1", "3"]);
    assert_eq!(taken[0].job.payload, "no JSON");
    let parked = rows(&outbox, RowState::Parked).await;
    assert_eq!(parked.len(), 1);
    assert!(parked[0].reason.as_deref().unwrap().contains("attributes cannot be read"), "{parked:?}");
}

pub async fn relays_share_the_buckets(world: World) {
    let (one, mut application, url) = outbox_and_application(&world).await;
    let (two, lives) = (open(&url).await, Duration::from_millis(1_500));
    let share = "SELECT count(*) FROM drumline_outbox_buckets b JOIN drumline_outbox_relays r USING (relay) WHERE relay = $1";
    let has = async |application: &mut PgConnection, relay: &str| -> i64 {
        sqlx::query(share).bind(relay).fetch_one(application).await.unwrap().get(0)
    };
    assert_nothing(&one, "one").await;
    assert_eq!(has(&mut application, "one").await, 64);
    // A new relay gets its share when the other one takes the next time.
    assert!(two.take("two", 10, lives).await.unwrap().is_empty());
    assert_eq!(has(&mut application, "two").await, 0);
    assert_nothing(&one, "one").await;
    assert!(two.take("two", 10, lives).await.unwrap().is_empty());
    assert_eq!((has(&mut application, "one").await, has(&mut application, "two").await), (32, 32));
    // When a relay dies, its share becomes free when its lease ends, and not before.
    assert_nothing(&one, "one").await;
    assert_eq!(has(&mut application, "one").await, 32);
    eventually("the lease has ended", async || {
        assert_nothing(&one, "one").await;
        has(&mut application, "one").await == 64
    })
    .await;
    // When a relay leaves, its share becomes free at once.
    assert!(two.take("two", 10, LONG).await.unwrap().is_empty());
    assert_nothing(&one, "one").await;
    assert!(two.take("two", 10, LONG).await.unwrap().is_empty());
    assert_eq!(has(&mut application, "two").await, 32);
    two.leave("two").await.unwrap();
    assert_nothing(&one, "one").await;
    assert_eq!(has(&mut application, "one").await, 64);
    // A table that an application's tests have emptied is not a problem.
    execute(&mut application, "TRUNCATE drumline_outbox_buckets, drumline_outbox_relays").await;
    add_in(&mut application, &[job("1")]).await.unwrap();
    assert_eq!(drain(&one, "one", 1).await, ["1"]);
}

pub async fn a_bucket_with_jobs_in_hand_changes_its_relay_afterwards(world: World) {
    let (one, mut application, url) = outbox_and_application(&world).await;
    let two = open(&url).await;
    let names: Vec<String> = (0..300).map(|index| format!("{index:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    add_in(&mut application, &jobs(&names)).await.unwrap();
    let in_hand = one.take("one", 200, LONG).await.unwrap();
    let taken: HashSet<String> = in_hand.iter().map(|taken| taken.job.id.clone()).collect();
    let mut others = HashSet::new();
    for _ in 0..3 {
        let more = two.take("two", 1_000, LONG).await.unwrap();
        assert!(more.iter().all(|job| !taken.contains(&job.job.id)), "a job has two relays");
        others.extend(more.into_iter().map(|job| job.job.id));
        let more = one.take("one", 1, LONG).await.unwrap();
        assert!(more.iter().all(|job| !taken.contains(&job.job.id)), "a job is taken twice");
        conclude(&one, &more.into_iter().map(|job| later(job, LONG)).collect::<Vec<_>>()).await;
    }
    assert_eq!(one.conclude(&in_hand.into_iter().map(sent).collect::<Vec<_>>()).await, Ok(0));
    eventually("the other one has its share", async || {
        assert!(one.take("one", 0, LONG).await.unwrap().is_empty());
        others.extend(two.take("two", 1_000, LONG).await.unwrap().into_iter().map(|job| job.job.id));
        others.len() > 20
    })
    .await;
}

fn sent(taken: TakenJob) -> (TakenJob, Conclusion) {
    (taken, Conclusion::Sent { message_id: "m".to_owned() })
}

pub async fn conclusions_of_a_former_owner_are_refused(world: World) {
    let (one, mut application, url) = outbox_and_application(&world).await;
    let two = open(&url).await;
    add_in(&mut application, &in_group(&["1", "2"], "g")).await.unwrap();
    let old = one.take("one", 10, Duration::from_millis(100)).await.unwrap();
    assert_eq!(ids(&old), ["1", "2"]);
    let mut new = Vec::new();
    eventually("the lease has ended", async || {
        new.extend(two.take("two", 10, LONG).await.unwrap());
        !new.is_empty()
    })
    .await;
    assert_eq!(ids(&new), ["1", "2"]);
    assert!(new[0].lease.fencing_token > old[0].lease.fencing_token);
    let conclusions = |taken: &[TakenJob]| {
        let parked = Conclusion::Parked { reason: "late".to_owned() };
        vec![sent(taken[0].clone()), (taken[1].clone(), parked)]
    };
    assert_eq!(one.conclude(&conclusions(&old)).await, Ok(2));
    assert_eq!(row_ids(&one, RowState::Waiting).await, ["1", "2"]);
    assert_eq!(two.conclude(&conclusions(&new)).await, Ok(0));
    assert_eq!(row_ids(&one, RowState::Parked).await, ["2"]);
    // Nor can it do so for a bucket that it gets again.
    let lost = one.conclude(&conclusions(&old)).await;
    assert_eq!(lost, Ok(2));
}

pub async fn jobs_of_two_kinds_do_not_starve_each_other(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    execute(
        &mut application,
        "INSERT INTO drumline_outbox (id, type, payload) SELECT 'now ' || i, 'a', '{}' FROM generate_series(1, 500) i;
        INSERT INTO drumline_outbox (id, type, payload, due)
            SELECT 'timed ' || i, 'a', '{}', now() - interval '1 second' FROM generate_series(1, 500) i",
    )
    .await;
    let taken = outbox.take("relay", 100, LONG).await.unwrap();
    let timed = taken.iter().filter(|taken| taken.job.id.starts_with("timed")).count();
    assert_eq!((taken.len(), timed), (100, 50));
    all_sent(&outbox, taken).await;
    let taken = outbox.take("relay", 1_000, LONG).await.unwrap();
    assert_eq!(taken.len(), 900);
}

pub async fn a_group_of_both_kinds_is_taken_in_its_order(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    // Every third job has a due time in the past, in reverse order; one more job is due in the future.
    execute(
        &mut application,
        "INSERT INTO drumline_outbox (id, type, payload, message_group, due)
            SELECT to_char(i, 'FM000'), 'a', '{}', 'g',
                CASE WHEN i = 50 THEN now() + interval '1 hour' WHEN i % 3 = 0 THEN now() - i * interval '1 second' ELSE '-infinity' END
            FROM generate_series(1, 100) i",
    )
    .await;
    let mut came = Vec::new();
    loop {
        let taken = outbox.take("relay", 7, LONG).await.unwrap();
        if taken.is_empty() {
            break;
        }
        came.extend(taken.iter().map(|taken| taken.job.id.clone()));
        all_sent(&outbox, taken).await;
    }
    let expected: Vec<String> = (1..=100).filter(|id| *id != 50).map(|id| format!("{id:03}")).collect();
    assert_eq!(came, expected);
}

pub async fn a_take_has_a_bounded_number_of_a_group(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    execute(
        &mut application,
        "INSERT INTO drumline_outbox (id, type, payload, message_group)
            SELECT to_char(i, 'FM000'), 'a', '{}', CASE WHEN i <= 250 THEN 'g' END FROM generate_series(1, 251) i",
    )
    .await;
    let mut taken = take(&outbox, "relay").await;
    assert_eq!(taken.pop().map(|other| other.job.id).as_deref(), Some("251"));
    for (first, last) in [(1, 100), (101, 200), (201, 250)] {
        let expected: Vec<String> = (first..=last).map(|id| format!("{id:03}")).collect();
        assert_eq!(ids(&taken), expected);
        assert_nothing(&outbox, "relay").await;
        all_sent(&outbox, taken).await;
        taken = take(&outbox, "relay").await;
    }
    assert_eq!(ids(&taken), [""; 0]);
}

pub async fn the_lag_counts_what_was_put_back(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    add_in(&mut application, &in_group(&["1", "2", "3"], "g")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let taken = take(&outbox, "relay").await;
    conclude(&outbox, &taken.into_iter().map(|taken| later(taken, LONG)).collect::<Vec<_>>()).await;
    assert_nothing(&outbox, "relay").await;
    let lag = outbox.lag().await.unwrap();
    assert_eq!((lag.due, lag.later, lag.parked), (3, 0, 0));
    assert!(lag.oldest >= Duration::from_millis(50), "{lag:?}");
}

pub async fn a_listener_that_lost_its_connection_listens_again(world: World) {
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    let woken_by_a_row = async |application: &mut PgConnection, id: &str| {
        assert_nothing(&outbox, "relay").await;
        outbox.wait(Duration::from_millis(100)).await;
        assert_nothing(&outbox, "relay").await;
        add_in(application, &[job(id)]).await.unwrap();
        let begun = Instant::now();
        outbox.wait(Duration::from_secs(20)).await;
        assert_eq!(drain(&outbox, "relay", 1).await, [id]);
        begun.elapsed() < Duration::from_secs(10)
    };
    let listens = "pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
    outbox.wait(Duration::from_millis(10)).await;
    eventually("it listens", async || count(&mut application, listens).await == 1).await;
    assert!(woken_by_a_row(&mut application, "1").await);
    execute(&mut application, &format!("SELECT pg_terminate_backend(pid) FROM {listens}")).await;
    eventually("it is gone", async || count(&mut application, listens).await == 0).await;
    eventually("it listens again", async || count(&mut application, listens).await == 1).await;
    assert!(woken_by_a_row(&mut application, "2").await);
}

pub async fn a_mark_and_the_next_jobs_are_made_together(world: World) {
    let (outbox, mut application, url) = outbox_and_application(&world).await;
    let store = store(&url, "one").await;
    assert!(store.adds_next_jobs());
    let next = in_group(&["next 1", "next 2"], "g");
    let claim = granted(&store, &world.locking("job", "lock")).await.claim;
    assert_eq!(store.finish_with(&claim, Some(&json("7")), &next).await, Ok(Ownership::Kept));
    assert_eq!(row_ids(&outbox, None).await, ["next 1", "next 2"]);
    // After a lost answer, while the rows still exist.
    assert_eq!(store.finish_with(&claim, Some(&json("7")), &next).await, Ok(Ownership::Kept));
    assert_eq!(drain(&outbox, "relay", 2).await, ["next 1", "next 2"]);

    // A handler's own transaction has made the mark; the runtime adds the rest.
    let claim = granted(&store, &world.request("other")).await.claim;
    let mut transaction = postgres(&store).begin(&claim).await.unwrap();
    transaction.add(&[job("of the handler")]).await.unwrap();
    assert_eq!(count(&mut application, "drumline_outbox").await, 0);
    assert_eq!(transaction.commit(None).await, Ok(Ownership::Kept));
    assert_eq!(store.finish_with(&claim, None, &[job("of the runtime")]).await, Ok(Ownership::Kept));
    assert_eq!(drain(&outbox, "relay", 2).await, ["of the handler", "of the runtime"]);

    // A lost claim adds nothing, and neither does a released one.
    let old = granted(&store, &short(world.request("lost"))).await.claim;
    let new = granted_in_time(&store, &world.request("lost")).await.claim;
    assert_eq!(store.finish_with(&old, None, &next).await, Ok(Ownership::Lost));
    let mut transaction = postgres(&store).begin(&old).await.unwrap();
    transaction.add(&next).await.unwrap();
    assert_eq!(transaction.commit(None).await, Ok(Ownership::Lost));
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    // If a job cannot be added, the mark is not made either.
    let refused = store.finish_with(&new, None, &[OutboxJob::new("1", "a", "no JSON")]).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(store.finish_with(&new, None, &[]).await, Ok(Ownership::Kept));
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
}

/// A measurement, not a test: rows per second of taking and concluding, without SQS in between.
#[allow(clippy::cast_precision_loss, reason = "it is shown to people")]
#[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
pub async fn rows_per_second(world: World) {
    const JOBS: usize = 50_000;
    let (outbox, mut application, _) = outbox_and_application(&world).await;
    for groups in [0, 1_000] {
        let jobs: Vec<OutboxJob> = (0..JOBS)
            .map(|index| {
                let mut job = job(&format!("{groups}-{index}"));
                job.group = (groups > 0).then(|| format!("group {}", index % groups));
                job
            })
            .collect();
        let mut begun = Instant::now();
        for jobs in jobs.chunks(1_000) {
            add_in(&mut application, jobs).await.unwrap();
        }
        let adding = begun.elapsed();
        let (mut taking, mut concluding, mut came) = (Duration::ZERO, Duration::ZERO, 0);
        while came < JOBS {
            begun = Instant::now();
            let taken = outbox.take("relay", 1_000, LONG).await.unwrap();
            taking += begun.elapsed();
            came += taken.len();
            let concluded: Vec<_> = taken.into_iter().map(sent).collect();
            begun = Instant::now();
            conclude(&outbox, &concluded).await;
            concluding += begun.elapsed();
        }
        let rate = |time: Duration| (JOBS as f64 / time.as_secs_f64()).round();
        writeln!(
            std::io::stderr(),
            "{JOBS} jobs in {groups} groups: {} added/s, {} taken and concluded/s (taking {taking:?}, concluding {concluding:?})",
            rate(adding),
            rate(taking + concluding)
        )
        .unwrap();
    }
}
