//! The rights that roles need for the outbox in PostgreSQL.

use std::time::Duration;

use drumline::core::Ownership;
use drumline_store::conformance::outbox::steps::{drain, job};
use drumline_store::outbox::postgres::{MIGRATION, PostgresOutbox, add_in};
use drumline_store::{OpenError, StoreError, outbox};
use url::Url;

use crate::postgres_only::{connect, execute, own_database};
use crate::postgres_outbox::{open, store};
use crate::world::{LONG, World, granted};

/// Returns the error text of opening an outbox for a relay.
async fn refusal_of(url: &Url) -> String {
    match outbox::open(url.as_str(), Duration::ZERO).await {
        Err(OpenError::Unavailable(StoreError::Refused(text))) => text.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is opened"),
    }
}

pub async fn a_role_without_rights_gets_a_remedy(world: World) {
    let mut url = own_database(&world).await;
    let mut connection = connect(&url).await;
    let (relay, application) = (world.name("relay").replace('-', "_"), world.name("app").replace('-', "_"));
    let roles = format!(
        "CREATE ROLE {relay} LOGIN; CREATE ROLE {application} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
        GRANT USAGE ON SCHEMA public TO {relay}, {application}"
    );
    execute(&mut connection, &roles).await;
    let owners = url.clone();
    url.set_username(&relay).unwrap();
    let refusal = refusal_of(&url).await;
    assert!(refusal.contains("drumline outbox migrate"), "{refusal}");

    for _ in 0..2 {
        PostgresOutbox::migrate(&owners).await.unwrap();
        // Run again, as people do.
        execute(&mut connection, MIGRATION).await;
    }
    let grants = format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_outbox, drumline_outbox_relays, drumline_outbox_buckets,
            drumline_outbox_states, drumline_outbox_leases TO {relay};
        GRANT INSERT ON drumline_outbox TO {application}"
    );
    execute(&mut connection, &grants).await;
    // The error names the missing right and the statement to run.
    execute(&mut connection, &format!("REVOKE UPDATE, DELETE ON drumline_outbox FROM {relay}")).await;
    let lacks = refusal_of(&url).await;
    assert!(lacks.contains("It lacks UPDATE, DELETE on drumline_outbox."), "{lacks}");
    let (_, grant) = lacks.split_once(" run: ").unwrap();
    execute(&mut connection, grant).await;
    let outbox = open(&url).await;
    url.set_username(&application).unwrap();
    let mut connection = connect(&url).await;
    for _ in 0..2 {
        add_in(&mut connection, &[job("1"), job("2")]).await.unwrap();
    }
    assert_eq!(drain(&outbox, "relay", 2).await.len(), 2);
    assert_eq!(outbox.change("name", None, Some("a"), &[job("3")]).await, Ok(true));
    assert!(outbox.lead("name", "one", LONG).await.unwrap().is_some());
    outbox.leave("relay").await.unwrap();
    // The application's role can add jobs, but cannot be a relay's role.
    let lacks = refusal_of(&url).await;
    assert!(lacks.contains("It lacks SELECT, UPDATE, DELETE on drumline_outbox; SELECT, "), "{lacks}");
    assert!(lacks.contains("GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_outbox, "), "{lacks}");
    let other = outbox::open_to_add(url.as_str(), Duration::ZERO).await.unwrap();
    other.add(&[job("4")]).await.unwrap();
    let refusal = other.take("other", 10, LONG).await.unwrap_err();
    assert!(matches!(&refusal, StoreError::Refused(text) if text.to_string().contains("grant")), "{refusal}");
}

pub async fn a_store_without_an_outbox_works_as_before(world: World) {
    let mut url = own_database(&world).await;
    let mut connection = connect(&url).await;
    let role = world.name("role").replace('-', "_");
    // Like a database that was set up before there were outboxes.
    drop(store(&url, "owner").await);
    let grants = format!(
        "DROP TABLE drumline_outbox, drumline_outbox_relays, drumline_outbox_buckets, drumline_outbox_states, drumline_outbox_leases;
        DO $$ DECLARE name text; BEGIN
            FOR name IN SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'drumline_outbox_%'
            LOOP EXECUTE 'DROP FUNCTION ' || name || ' CASCADE'; END LOOP;
        END $$;
        CREATE ROLE {role} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {role};
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}"
    );
    execute(&mut connection, &grants).await;
    url.set_username(&role).unwrap();
    let store = store(&url, "one").await;
    assert!(!store.adds_next_jobs());
    let claim = granted(&store, &world.request("job")).await.claim;
    let refused = store.finish_with(&claim, None, &[job("1")]).await;
    assert!(
        matches!(&refused, Err(StoreError::Refused(text)) if text.to_string().contains("drumline outbox migrate")),
        "{refused:?}"
    );
    assert_eq!(store.finish_with(&claim, None, &[]).await, Ok(Ownership::Kept));
}
