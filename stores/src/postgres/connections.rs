//! The connections to PostgreSQL: as many as are needed at once, up to a bound.
//!
//! Not `sqlx`'s own pool, because that asks the server whether it is there whenever a connection is given back, which
//! would double the round trips of calls that make but one. Here, a connection is used again if its last call went
//! well, and closed if it did not, or was broken off.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::subscriber::{NoSubscriber, with_default};
use url::Url;

use crate::store::{StoreError, StoreErrorText};

/// How many connections a process has at most, if its URL does not say. A call takes a millisecond or so, and
/// PostgreSQL has 100 connections for everybody.
const CONNECTIONS: usize = 8;

/// The most that a URL may ask for.
const MOST_CONNECTIONS: usize = 1_000;

/// How long a call may take in all, also where it waits for a connection or makes one.
pub(crate) const CALL: Duration = Duration::from_secs(3);

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How long a connection may lie idle and still be trusted. Firewalls forget idle connections without telling.
const IDLE: Duration = Duration::from_secs(60);

/// How to connect, and how often at once.
pub(crate) struct Options {
    connect: PgConnectOptions,
    connections: usize,
}

/// The parameters that `sqlx` reads, besides `options[NAME]`.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

impl Options {
    /// What a URL says.
    pub(crate) fn read(url: &Url) -> Result<Self, String> {
        let (ours, theirs): (Vec<_>, Vec<_>) =
            url.query_pairs().into_owned().partition(|(name, _)| name == "pool");
        let connections = match ours.last() {
            None => CONNECTIONS,
            Some((_, number)) => {
                let number = number.parse().ok().filter(|number| (1..=MOST_CONNECTIONS).contains(number));
                number.ok_or_else(|| {
                    format!("the pool of a PostgreSQL store is a number from 1 to {MOST_CONNECTIONS}")
                })?
            }
        };
        for (name, _) in &theirs {
            if !PARAMETERS.contains(&name.as_str()) && !name.starts_with("options[") {
                tracing::warn!(
                    parameter = name,
                    "ignoring a parameter of the store's URL that is not understood"
                );
            }
        }
        let mut url = url.clone();
        url.set_query(None);
        if !theirs.is_empty() {
            url.query_pairs_mut().extend_pairs(theirs);
        }
        // It would log such parameters with their values.
        let connect = with_default(NoSubscriber::default(), || PgConnectOptions::from_url(&url));
        let connect = connect.map_err(|error| error.to_string())?;
        let connect = match connect.get_application_name() {
            None => connect.application_name("drumline"),
            Some(_) => connect,
        };
        // PgBouncer turns connections away that set this.
        let connect = connect.extra_float_digits(None).disable_statement_logging();
        Ok(Self { connect, connections })
    }
}

/// All connections of a store.
pub(crate) struct Connections {
    options: PgConnectOptions,
    permits: Arc<Semaphore>,
    /// The one used last is at the end.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
}

/// A connection on loan. It is closed when dropped, unless it was given back.
pub(crate) struct PooledConnection {
    pub(crate) connection: PgConnection,
    permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            options: options.connect.clone(),
            permits: Arc::new(Semaphore::new(options.connections)),
            idle: Mutex::default(),
        }
    }

    /// Returns what each of them is made with.
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Makes a call over some connection, which it hands back; once more over a new one, where the first one was lost.
    ///
    /// Calls may be repeated, see [`Store`](crate::Store).
    pub(crate) async fn call<T, F>(&self, work: impl Fn(PooledConnection) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = (Result<T, Error>, PooledConnection)>,
    {
        let calls = async {
            let (mut answer, mut loan) = work(self.lend().await?).await;
            if answer.as_ref().err().is_some_and(is_lost) {
                self.forget_idle();
                drop(loan);
                (answer, loan) = work(self.lend().await?).await;
            }
            // What the server itself refuses leaves the connection as it was.
            if matches!(&answer, Ok(_) | Err(Error::Database(_))) {
                self.return_connection(loan);
            }
            answer
        };
        match timeout(CALL, calls).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(silent()),
        }
    }

    /// An idle connection, or a new one; waits where there are too many.
    pub(crate) async fn lend(&self) -> Result<PooledConnection, Error> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let idle = {
            let mut idle = self.idle();
            idle.retain(|(_, since)| since.elapsed() < IDLE);
            idle.pop()
        };
        let connection = match idle {
            Some((connection, _)) => connection,
            None => match timeout(CONNECT, self.options.connect()).await {
                Ok(connected) => connected?,
                Err(_) => return Err(Error::Io(std::io::ErrorKind::TimedOut.into())),
            },
        };
        Ok(PooledConnection { connection, permit })
    }

    /// For the next call.
    pub(crate) fn return_connection(&self, loan: PooledConnection) {
        let PooledConnection { connection, permit } = loan;
        self.idle().push((connection, Instant::now()));
        drop(permit);
    }

    /// After one of them was found to be lost, since the others are then most likely lost as well.
    pub(crate) fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the error is one of the connection and not of the call.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(error) => error.kind() != std::io::ErrorKind::TimedOut,
        // Class 57P: the server is shutting down, has crashed, or is starting.
        Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

pub(crate) fn failed(error: Error) -> StoreError {
    // Class 22: data that no column can hold; class 54: more of it than PostgreSQL can; 23514: a check of a table.
    let is_refusal = |code: &str| code.starts_with("22") || code.starts_with("54") || code == "23514";
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let is_refused = code.as_ref().is_some_and(|code| is_refusal(code));
    // Its own text ends with a line of the server's source.
    let text = match error.as_database_error() {
        Some(error) if code.as_deref() == Some("55P03") => {
            format!("PostgreSQL: {}: another transaction holds the table or row: try again", error.message())
        }
        Some(error) => format!("PostgreSQL: {}", error.message()),
        None => format!("PostgreSQL: {error}"),
    };
    let text = StoreErrorText::about(error, text);
    if is_refused { StoreError::Refused(text) } else { StoreError::Unanswered(text) }
}

pub(crate) fn silent() -> StoreError {
    StoreError::Unanswered(format!("PostgreSQL does not answer within {} seconds", CALL.as_secs()).into())
}
