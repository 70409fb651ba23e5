//! Behaviour that only PostgreSQL has.

use std::sync::Arc;
use std::time::Duration;

use drumline::core::{ClaimResult, Ownership};
use drumline::message::Identity;
use drumline_store::postgres::sqlx::postgres::PgConnection;
use drumline_store::postgres::sqlx::{self, AssertSqlSafe, Connection, Row};
use drumline_store::postgres::{BatchCommit, PostgresStore, SCHEMA, finish_in};
use drumline_store::{Forgotten, Location, OpenError, Retention, Store, StoreError};
use url::Url;

use drumline_store::assert_claim_result;
use drumline_store::conformance::cases::tokens;

use crate::old_format;
use crate::world::{
    LONG, MOST_OF_IT, World, again, attempt, eventually, fail, granted, granted_in_time, json, progress,
    request_of, short, text,
};

/// Creates a database for the test, which is dropped with the server.
pub async fn own_database(world: &World) -> Url {
    let name = world.name("test").replace('-', "_");
    let mut connection = connect(&Url::parse(world.at()).unwrap()).await;
    execute(&mut connection, &format!("CREATE DATABASE {name}")).await;
    let mut url = Url::parse(world.at()).unwrap();
    url.set_path(&name);
    url
}

pub async fn connect(url: &Url) -> PgConnection {
    PgConnection::connect(url.as_str()).await.unwrap()
}

pub async fn execute(connection: &mut PgConnection, statements: &str) {
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(connection).await.unwrap();
}

pub async fn count(connection: &mut PgConnection, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    sqlx::query(AssertSqlSafe(query)).fetch_one(connection).await.unwrap().get(0)
}

/// Opens a store in its own database, with a table `effects`.
async fn store_with_effects(world: &World) -> (Arc<dyn Store>, PgConnection, Url) {
    let url = own_database(world).await;
    let location: Location = url.as_str().parse().unwrap();
    let store = drumline_store::open(&location, "one".into(), Retention::default()).await.unwrap();
    let mut connection = connect(&url).await;
    execute(&mut connection, "CREATE TABLE effects (id integer)").await;
    (store, connection, url)
}

pub fn postgres(store: &Arc<dyn Store>) -> &PostgresStore {
    store.as_any().downcast_ref().unwrap()
}

const EFFECT: &str = "INSERT INTO effects VALUES (1)";

pub async fn a_transaction_has_the_effect_and_the_mark(world: World) {
    let (store, mut connection, _) = store_with_effects(&world).await;
    let request = world.locking("job", "lock");
    let claim = granted(&store, &request).await.claim;
    let mut transaction = postgres(&store).begin(&claim).await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    assert_eq!(count(&mut connection, "effects").await, 0);
    assert_eq!(transaction.commit(Some(&json("7"))).await, Ok(Ownership::Kept));
    assert_eq!(count(&mut connection, "effects").await, 1);
    // As the runtime does it at the end of the run.
    assert_eq!(store.finish(&claim, Some(&json("7"))).await, Ok(Ownership::Kept));
    let admission = store.claim(&again(&request)).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("7"));
    granted(&store, &world.locking("other", "lock")).await;
}

pub async fn a_transaction_of_a_lost_claim_leaves_nothing(world: World) {
    let (store, mut connection, _) = store_with_effects(&world).await;
    let old = granted(&store, &short(world.request("job"))).await.claim;
    let mut transaction = postgres(&store).begin(&old).await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    let new = granted_in_time(&store, &world.request("job")).await.claim;
    assert_eq!(transaction.commit(None).await, Ok(Ownership::Lost));
    assert_eq!(count(&mut connection, "effects").await, 0);
    assert_eq!(store.renew(&new, LONG).await, Ok(Ownership::Kept));

    // The same if its lock was lost but not its key.
    let old = granted(&store, &short(world.locking("locking", "lock"))).await.claim;
    let mut transaction = postgres(&store).begin(&old).await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    granted_in_time(&store, &world.locking("other", "lock")).await;
    assert_eq!(transaction.commit(None).await, Ok(Ownership::Lost));
    assert_eq!(count(&mut connection, "effects").await, 0);
}

pub async fn a_transaction_of_a_batch_has_all_effects_and_marks_or_none(world: World) {
    let (store, mut connection, _) = store_with_effects(&world).await;
    let plain = granted(&store, &world.request("plain")).await.claim;
    let locking = granted(&store, &world.locking("locking", "lock")).await.claim;
    let old = granted(&store, &short(world.request("old"))).await.claim;
    let result = json("7");
    let jobs = [(&*old, None), (&*locking, Some(&*result)), (&*plain, None)];

    let mut transaction = postgres(&store).begin_batch().await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    let new = granted_in_time(&store, &world.request("old")).await.claim;
    assert_eq!(transaction.commit(&jobs).await, Ok(BatchCommit::Lost(vec![0])));
    assert_eq!(count(&mut connection, "effects").await, 0);
    for claim in [&new, &plain, &locking] {
        assert_eq!(store.renew(claim, LONG).await, Ok(Ownership::Kept), "none is marked");
    }

    let mut transaction = postgres(&store).begin_batch().await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    assert_eq!(transaction.commit(&jobs[1..]).await, Ok(BatchCommit::Done));
    assert_eq!(count(&mut connection, "effects").await, 1);
    assert_eq!(
        store.finish(&plain, None).await,
        Ok(Ownership::Kept),
        "as the runtime does it at the end of the run"
    );
    let admission = store.claim(&again(&world.locking("locking", "lock"))).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("7"));
    granted(&store, &world.locking("other", "lock")).await;
}

pub async fn a_transaction_that_is_dropped_leaves_nothing(world: World) {
    let (store, mut connection, _) = store_with_effects(&world).await;
    let claim = granted(&store, &world.request("job")).await.claim;
    for ends_by_word in [true, false] {
        let mut transaction = postgres(&store).begin(&claim).await.unwrap();
        sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
        if ends_by_word {
            transaction.rollback().await.unwrap();
        } else {
            drop(transaction);
        }
    }
    // Its locks are released when the server has noticed.
    eventually("the transaction is gone", async || {
        let open =
            "pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        count(&mut connection, open).await == 0
    })
    .await;
    assert_eq!(count(&mut connection, "effects").await, 0);
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
}

pub async fn a_claim_is_renewed_while_its_transaction_is_open(world: World) {
    let (store, mut connection, _) = store_with_effects(&world).await;
    let claim = granted(&store, &short(world.request("job"))).await.claim;
    let mut transaction = postgres(&store).begin(&claim).await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    assert_eq!(store.renew(&claim, LONG).await, Ok(Ownership::Kept));
    assert_eq!(store.checkpoint(&claim, &json("1")).await, Ok(Ownership::Kept));
    let admission = store.claim(&world.request("job")).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Busy(left) if *left > MOST_OF_IT);
    assert_eq!(transaction.commit(None).await, Ok(Ownership::Kept));
    assert_eq!(count(&mut connection, "effects").await, 1);
}

pub async fn transactions_do_not_use_up_the_connections(world: World) {
    let store = world.worker("one").await;
    let claim = granted(&store, &world.request("job")).await.claim;
    let first = postgres(&store).begin(&claim).await.unwrap();
    let second = postgres(&store).begin(&claim).await.unwrap();
    assert!(postgres(&store).begin(&claim).await.is_err(), "its pool is of two connections");
    assert_eq!(store.renew(&claim, LONG).await, Ok(Ownership::Kept));
    first.rollback().await.unwrap();
    let third = postgres(&store).begin(&claim).await.unwrap();
    drop((second, third));
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
}

pub async fn a_transaction_of_ones_own_has_the_mark_too(world: World) {
    let (store, mut connection, url) = store_with_effects(&world).await;
    let request = world.request("job");
    let claim = granted(&store, &request).await.claim;
    let mut own = connect(&url).await;
    let mut transaction = own.begin().await.unwrap();
    sqlx::query(EFFECT).execute(&mut *transaction).await.unwrap();
    let held = finish_in(&mut transaction, &claim, Some(&json("7")), Retention::default()).await;
    assert_eq!(held, Ok(Ownership::Kept));
    assert_eq!(count(&mut connection, "effects").await, 0);
    transaction.commit().await.unwrap();
    assert_eq!(count(&mut connection, "effects").await, 1);
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::Done(run) if run.result.is_some());

    let claim = granted(&store, &world.request("other")).await.claim;
    fail(&store, &claim).await;
    assert_eq!(finish_in(&mut own, &claim, None, Retention::default()).await, Ok(Ownership::Lost));
}

pub async fn tables_are_made_once_by_all_who_start_at_once(world: World) {
    let url = own_database(&world).await;
    let location: Location = url.as_str().parse().unwrap();
    let starts: Vec<_> = (0..10)
        .map(|index| {
            let location = location.clone();
            tokio::spawn(async move {
                drumline_store::open(&location, format!("worker {index}").into(), Retention::default()).await
            })
        })
        .collect();
    for start in starts {
        let store = start.await.unwrap().unwrap();
        assert_eq!(store.ping().await, Ok(()));
    }
}

pub async fn a_role_without_rights_gets_along_with_tables_that_are_there(world: World) {
    let mut url = own_database(&world).await;
    let role = world.name("role").replace('-', "_");
    let mut connection = connect(&url).await;
    execute(
        &mut connection,
        &format!("CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {role}"),
    )
    .await;
    url.set_username(&role).unwrap();
    let location: Location = url.as_str().parse().unwrap();
    let error = drumline_store::open(&location, "one".into(), Retention::default()).await.err().unwrap();
    assert!(
        matches!(&error, OpenError::Unavailable(why) if why.to_string().contains("permission denied")),
        "{error}"
    );

    execute(&mut connection, SCHEMA).await;
    // Run again, as people do.
    execute(&mut connection, SCHEMA).await;
    let grants = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_claims, drumline_locks, drumline_jobs, drumline_attempts,
            drumline_claims_v2, drumline_progress_v2, drumline_attempts_v2, drumline_duplicates_v2, drumline_documents,
            drumline_tokens TO {role}"
    );
    execute(&mut connection, &grants).await;
    let store = drumline_store::open(&location, "one".into(), Retention::default()).await.unwrap();
    let claim = granted(&store, &world.locking("job", "lock")).await.claim;
    assert_eq!(store.attempted(&claim.identity, &attempt(1)).await, Ok(()));
    assert_eq!(store.progress(&claim.identity, &progress(1)).await, Ok(()));
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    duplicate(&world, &store, &claim.identity).await;
    assert_eq!(store.jobs(claim.identity.job_id()).await.map(|jobs| jobs.len()), Ok(1));
    assert_eq!(store.forget(claim.identity.key()).await, Ok(Forgotten::Done));
    assert_eq!(store.put_document("actions", "first", None, "1", LONG).await, Ok(true));
    let request = tokens::request(&world, "mail", "1/h", 1, 1);
    assert_eq!(store.lease_tokens(&request).await.map(|leased| leased.tokens), Ok(1));
}

/// Requests a done job under another job id.
async fn duplicate(world: &World, store: &Arc<dyn Store>, identity: &Identity) {
    let duplicate = identity.clone().with_job_id(world.name("duplicate"));
    let admission = store.claim(&request_of(duplicate)).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(_));
}

pub async fn a_database_of_version_0_1_gets_the_new_tables(world: World) {
    let url = own_database(&world).await;
    let mut connection = connect(&url).await;
    execute(&mut connection, old_format::SCHEMA).await;
    let mut old = old_format::Worker::Postgres(old_format::postgres::Worker::start(url.as_str()).await);
    let (done, new) = (world.request("done"), world.request("new"));
    let job = old_format::Job::of(&done);
    let fencing_token = old.granted(&job).await;
    old.finish(&job, fencing_token, "7").await;

    // By a role that has not created the existing objects, and may create more.
    let role = world.name("role").replace('-', "_");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE, CREATE ON SCHEMA public TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_claims, drumline_locks, drumline_jobs, drumline_attempts
            TO {role}"
    );
    execute(&mut connection, &grants).await;
    let mut url = url;
    url.set_username(&role).unwrap();
    let location: Location = url.as_str().parse().unwrap();
    for _ in 0..2 {
        let store = drumline_store::open(&location, "one".into(), Retention::default()).await.unwrap();
        let admission = store.claim(&done).await.unwrap();
        assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some("7"));
        fail(&store, &granted(&store, &new).await.claim).await;
    }
    // The tables of version 0.1 still exist.
    old.granted(&old_format::Job::of(&new)).await;
}

/// By a role that has not created the existing objects, and may create more.
pub async fn a_database_of_version_2_gets_the_new_functions(world: World) {
    let mut url = own_database(&world).await;
    let mut connection = connect(&url).await;
    execute(&mut connection, SCHEMA).await;
    execute(&mut connection, "DROP FUNCTION drumline_surrender_v3, drumline_finish_v3").await;
    let role = world.name("role").replace('-', "_");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE, CREATE ON SCHEMA public TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    );
    execute(&mut connection, &grants).await;
    url.set_username(&role).unwrap();
    let location: Location = url.as_str().parse().unwrap();
    for job in ["first", "second"] {
        let store = drumline_store::open(&location, "one".into(), Retention::default()).await.unwrap();
        let request = world.request(job);
        fail(&store, &granted(&store, &request).await.claim).await;
        let claim = granted(&store, &again(&request)).await.claim;
        assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    }
}

/// By a role that may create nothing, then by one that may, and by one that lacks rights.
pub async fn a_database_of_version_4_runs_jobs_and_gets_tokens(world: World) {
    let mut url = own_database(&world).await;
    let mut connection = connect(&url).await;
    execute(&mut connection, SCHEMA).await;
    execute(&mut connection, "DROP TABLE drumline_tokens; DROP FUNCTION drumline_lease_tokens_v5").await;
    let role = world.name("role").replace('-', "_");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    );
    execute(&mut connection, &grants).await;
    let of_owner: Location = url.as_str().parse().unwrap();
    url.set_username(&role).unwrap();
    let of_role: Location = url.as_str().parse().unwrap();
    let open =
        async |location| drumline_store::open(location, "one".into(), Retention::default()).await.unwrap();
    let request = tokens::request(&world, "mail", "1/h", 3, 1);
    let store = open(&of_role).await;
    granted(&store, &world.request("job")).await;
    postgres(&store).remove_expired().await.unwrap();
    for _ in 0..2 {
        let Err(StoreError::Refused(text)) = store.lease_tokens(&request).await else {
            panic!("not refused")
        };
        let text = text.to_string();
        assert!(text.contains("run the schema again") && text.contains("drumline_tokens"), "{text}");
        // The table exists the second time, and the role has no rights on it.
        open(&of_owner).await;
    }
    execute(&mut connection, &format!("GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_tokens TO {role}"))
        .await;
    assert_eq!(store.lease_tokens(&request).await.map(|leased| leased.tokens), Ok(1));
}

/// By a role that may create nothing, and then by one that may.
pub async fn a_database_of_version_3_runs_jobs_and_gets_documents(world: World) {
    let mut url = own_database(&world).await;
    let mut connection = connect(&url).await;
    execute(&mut connection, SCHEMA).await;
    execute(
        &mut connection,
        "DROP TABLE drumline_documents; DROP FUNCTION drumline_forget_v4, drumline_put_document_v4",
    )
    .await;
    let role = world.name("role").replace('-', "_");
    let grants = format!(
        "CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    );
    execute(&mut connection, &grants).await;
    url.set_username(&role).unwrap();
    let location: Location = url.as_str().parse().unwrap();
    let open = async || drumline_store::open(&location, "one".into(), Retention::default()).await.unwrap();
    let store = open().await;
    let claim = granted(&store, &world.request("job")).await.claim;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    let refusals = [
        store.forget(claim.identity.key()).await.map(drop),
        store.documents("actions").await.map(drop),
        store.document("actions", "first").await.map(drop),
        store.put_document("actions", "first", None, "1", LONG).await.map(drop),
    ];
    for refusal in refusals {
        let Err(StoreError::Refused(text)) = refusal else { panic!("{refusal:?}") };
        assert!(text.to_string().contains("run the schema again"), "{text}");
    }
    assert_eq!(store.jobs(claim.identity.job_id()).await.map(|jobs| jobs.len()), Ok(1));

    execute(&mut connection, &format!("GRANT CREATE ON SCHEMA public TO {role}")).await;
    let store = open().await;
    assert_eq!(store.put_document("actions", "first", None, "1", LONG).await, Ok(true));
    assert_eq!(store.forget(claim.identity.key()).await, Ok(Forgotten::Done));
}

pub async fn expired_rows_are_removed(world: World) {
    let url = own_database(&world).await;
    let location: Location = url.as_str().parse().unwrap();
    let keep = Retention { done: Duration::from_millis(50), history: Duration::from_millis(50) };
    let store = drumline_store::open(&location, "one".into(), keep).await.unwrap();
    let kept = granted(&store, &world.locking("kept", "kept")).await.claim;
    let claim = granted(&store, &world.locking("done", "lock")).await.claim;
    assert_eq!(store.attempted(&claim.identity, &attempt(1)).await, Ok(()));
    assert_eq!(store.progress(&claim.identity, &progress(1)).await, Ok(()));
    let mut connection = connect(&url).await;
    for table in ["drumline_progress_v2", "drumline_attempts_v2"] {
        assert_eq!(count(&mut connection, table).await, 1);
    }
    execute(
        &mut connection,
        "INSERT INTO drumline_duplicates_v2 (job_id, key, expires) VALUES ('a', 'b', now());
        INSERT INTO drumline_attempts (job_id, attempt, expires) VALUES ('a', '', now());
        INSERT INTO drumline_jobs (job_id, progress, expires) VALUES ('a', '', now())",
    )
    .await;
    assert_eq!(store.finish(&claim, None).await, Ok(Ownership::Kept));
    for (name, rate) in [("kept", "1/h"), ("full", "1000/s")] {
        let request = tokens::request(&world, name, rate, 1, 1);
        assert_eq!(store.lease_tokens(&request).await.map(|leased| leased.tokens), Ok(1));
    }
    // As if that was minutes ago.
    let past = "UPDATE drumline_tokens SET full_at = full_at - 120000000 WHERE bucket LIKE 'full%'";
    execute(&mut connection, past).await;
    let tables = [
        ("drumline_tokens", 1),
        ("drumline_claims_v2", 1),
        ("drumline_progress_v2", 0),
        ("drumline_attempts_v2", 0),
        ("drumline_duplicates_v2", 0),
        ("drumline_jobs", 0),
        ("drumline_attempts", 0),
        ("drumline_locks", 1),
    ];
    for (table, left) in tables {
        eventually("expired rows are removed", async || {
            postgres(&store).remove_expired().await.unwrap();
            count(&mut connection, table).await == left
        })
        .await;
    }
    assert_eq!(store.renew(&kept, LONG).await, Ok(Ownership::Kept));
}

pub async fn urls_are_checked(_: World) {
    let error = |url: &str| url.parse::<Location>().unwrap_err().to_string();
    assert_eq!(
        error("postgres://u:s3cret@localhost/db?pool=0"),
        "the pool of a PostgreSQL store is a number from 1 to 1000"
    );
    let url = "postgres://u:s3cret@localhost/db?sslmode=nonsense&password=s3cret";
    assert!(!error(url).contains("s3cret"), "{}", error(url));
    let location: Location = "postgresql://u:s3cret@localhost/db?password=s3cret&pool=3".parse().unwrap();
    assert_eq!(location.to_string(), "postgresql://***@localhost/db?***");
    assert!(!format!("{location:?}").contains("s3cret"));
}
