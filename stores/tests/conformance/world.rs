//! The stores under test and their locations.

use std::future::Future;
use std::io::Write;
use std::ops::Deref;
use std::sync::Arc;

pub use drumline_store::conformance::steps::*;
use drumline_store::conformance::{self, Subject};
use drumline_store::{MemoryStore, OpenError, Store};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Memory,
    #[cfg(feature = "file")]
    File,
    #[cfg(feature = "redis")]
    Redis,
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "dynamodb")]
    DynamoDb,
}

/// The environment of a case, with the kind of its store and its location.
#[derive(Clone)]
pub struct World {
    pub kind: Kind,
    at: Arc<str>,
    /// The name of its table, for DynamoDB.
    table: Arc<str>,
    general: conformance::World,
}

impl Deref for World {
    type Target = conformance::World;

    fn deref(&self) -> &conformance::World {
        &self.general
    }
}

/// Runs a case of this kind of store, if there is one.
pub fn run<F: Future<Output = ()>>(kind: Kind, case: impl FnOnce(World) -> F) {
    let Some(at) = place(kind) else { return };
    let (at, table): (Arc<str>, _) = (at.into(), new_table());
    let subject = subject_at(kind, &at, &table);
    conformance::run(subject, |general| case(World { kind, at, table, general }));
}

/// Returns the store of a kind, if there is one.
pub fn subject(kind: Kind) -> Option<Subject> {
    Some(subject_at(kind, &place(kind)?, &new_table()))
}

fn new_table() -> Arc<str> {
    format!("{:016x}", fastrand::u64(..)).into()
}

fn subject_at(kind: Kind, at: &str, table: &Arc<str>) -> Subject {
    let (at, table): (Arc<str>, _) = (at.into(), Arc::clone(table));
    match kind {
        Kind::Memory => Subject::new(|owner, keep| async move {
            Ok::<_, OpenError>(Arc::new(MemoryStore::new(owner, keep)) as Arc<dyn Store>)
        })
        .in_process()
        .paused(),
        #[cfg(feature = "file")]
        Kind::File => {
            let folder = Arc::new(tempfile::tempdir().unwrap());
            Subject::new(move |owner, keep| {
                let folder = Arc::clone(&folder);
                async move {
                    let url = format!("file:{}/jobs.db", folder.path().display());
                    drumline_store::open(&url.parse()?, owner, keep).await
                }
            })
        }
        #[cfg(feature = "redis")]
        // The names differ anyway; this shows that a prefix works.
        Kind::Redis => of_url(format!("{at}?prefix=drumline-test")),
        #[cfg(feature = "postgres")]
        Kind::Postgres => of_url(format!("{at}?pool=2")),
        #[cfg(feature = "dynamodb")]
        Kind::DynamoDb => {
            let made: Arc<tokio::sync::OnceCell<()>> = Arc::default();
            Subject::new(move |owner, keep| {
                let (at, table, made) = (Arc::clone(&at), Arc::clone(&table), Arc::clone(&made));
                async move {
                    made.get_or_init(|| crate::dynamodb_only::make_table(&at, &table)).await;
                    open_table(&at, &table, owner, keep).await
                }
            })
        }
    }
}

#[cfg(feature = "dynamodb")]
pub async fn open_table(
    at: &str,
    table: &str,
    owner: Arc<str>,
    keep: drumline_store::Retention,
) -> Result<Arc<dyn Store>, OpenError> {
    let config = crate::dynamodb_only::config(at).await;
    let store = drumline_store::dynamodb::DynamoStore::with_config(&config, table, owner, keep).await?;
    Ok(Arc::new(store))
}

#[cfg(any(feature = "redis", feature = "postgres"))]
fn of_url(url: String) -> Subject {
    let url: Arc<str> = url.into();
    Subject::new(move |owner, keep| {
        let url = Arc::clone(&url);
        async move { drumline_store::open(&url.parse()?, owner, keep).await }
    })
}

/// Returns the location of the store of a kind.
pub fn place(kind: Kind) -> Option<String> {
    match kind {
        Kind::Memory => Some("memory:".to_owned()),
        #[cfg(feature = "file")]
        Kind::File => Some("file:".to_owned()),
        #[cfg(feature = "redis")]
        Kind::Redis => variable("DRUMLINE_TEST_REDIS"),
        #[cfg(feature = "postgres")]
        Kind::Postgres => variable("DRUMLINE_TEST_POSTGRES"),
        #[cfg(feature = "dynamodb")]
        Kind::DynamoDb => variable("DRUMLINE_TEST_DYNAMODB"),
    }
}

/// Returns a variable of the environment. If it is not set, prints that the calling test is skipped.
#[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
pub fn variable(name: &str) -> Option<String> {
    let value = drumline_store::variable(name);
    if value.is_none() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        writeln!(std::io::stderr(), "skipped: {test}, as {name} is not set").unwrap();
    }
    value
}

impl World {
    /// Returns the server's location from the environment.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// Returns the name of its table.
    #[cfg(feature = "dynamodb")]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// Returns the same environment with another location.
    pub fn moved_to(&self, at: String) -> Self {
        let subject = subject_at(self.kind, &at, &self.table);
        Self { general: self.general.of(subject), at: at.into(), ..self.clone() }
    }
}
