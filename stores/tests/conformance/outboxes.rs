//! The outboxes under test: each case has its own.

use std::sync::Arc;
use std::time::Duration;

use drumline_store::OpenError;
use drumline_store::conformance::outbox::OutboxSubject;
use drumline_store::outbox::{self, MemoryOutbox, Outbox};

use crate::world::{Kind, place};

/// Returns the outbox of a kind, if there is one.
pub fn subject(kind: Kind) -> Option<OutboxSubject> {
    let at = place(kind)?;
    Some(match kind {
        Kind::Memory => OutboxSubject::new(|keep_sent| async move {
            Ok::<_, OpenError>(Arc::new(MemoryOutbox::new(keep_sent)) as Arc<dyn Outbox>)
        })
        .in_process()
        .paused(),
        #[cfg(feature = "redis")]
        Kind::Redis => of_url(format!("{at}?prefix=drumline-test-{:016x}", fastrand::u64(..))),
        #[cfg(feature = "postgres")]
        Kind::Postgres => in_schema(at),
        #[allow(unreachable_patterns, reason = "all stores that have outboxes may be compiled in, or none")]
        _ => unreachable!("{kind:?} at {at} has no outbox"),
    })
}

#[cfg(feature = "redis")]
fn of_url(url: String) -> OutboxSubject {
    let url: Arc<str> = url.into();
    OutboxSubject::new(move |keep_sent: Duration| {
        let url = Arc::clone(&url);
        async move { outbox::open(&url, keep_sent).await }
    })
}

/// The tables are in the first schema of the connection's `search_path`.
#[cfg(feature = "postgres")]
fn in_schema(at: String) -> OutboxSubject {
    use drumline_store::postgres::sqlx::postgres::PgConnection;
    use drumline_store::postgres::sqlx::{self, AssertSqlSafe, Connection};

    let schema = format!("outbox_{:016x}", fastrand::u64(..));
    let opened: Arc<tokio::sync::OnceCell<String>> = Arc::default();
    OutboxSubject::new(move |keep_sent| {
        let (at, schema, opened) = (at.clone(), schema.clone(), Arc::clone(&opened));
        async move {
            let make = || async {
                let mut connection = PgConnection::connect(&at).await.unwrap();
                let statement = AssertSqlSafe(format!("create schema {schema}"));
                sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
                format!("{at}?pool=2&options[search_path]={schema}")
            };
            outbox::open(opened.get_or_init(make).await, keep_sent).await
        }
    })
}
