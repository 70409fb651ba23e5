//! The connections to PostgreSQL: as many as are needed at once, up to a limit.
//!
//! This is not `sqlx`'s own pool, because that pool sends a request to the server whenever a connection is returned, which
//! would double the round trips of most calls. Here, a connection is used again if its last call succeeded, and closed if it
//! failed or was aborted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tracing::subscriber::{NoSubscriber, with_default};
use url::Url;

use crate::store::{StoreError, StoreErrorText};

/// The largest number of connections of a process if its URL does not set it. A call takes about a millisecond, and PostgreSQL
/// by default has 100 connections for all clients.
const CONNECTIONS: usize = 8;

/// The largest number that a URL can set.
const MOST_CONNECTIONS: usize = 1_000;

/// The time limit of a call, including the wait for a connection or for a new one.
pub(crate) const CALL: Duration = Duration::from_secs(3);

/// The time limit for connecting.
const CONNECT: Duration = Duration::from_secs(2);

/// The longest idle time after which a connection is still used. Firewalls drop idle connections silently.
const IDLE: Duration = Duration::from_secs(60);

/// The parameters of connections, and their largest number.
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
    /// Reads the options from a URL.
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
        // PgBouncer refuses connections that set this parameter.
        let connect = connect.extra_float_digits(None).disable_statement_logging();
        Ok(Self { connect, connections })
    }
}

/// All connections of a store.
pub(crate) struct Connections {
    options: PgConnectOptions,
    permits: Arc<Semaphore>,
    /// The most recently used connection is last.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
}

/// A borrowed connection. It is closed when dropped, unless it was returned.
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

    /// Returns the options with which connections are made.
    pub(crate) fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Makes a call on a connection, which the call returns; if the connection was lost, makes the call again on a new one.
    ///
    /// Calls can be repeated, see [`Store`](crate::Store).
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
            // An error from the server leaves the connection usable.
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

    /// Returns an idle connection or a new one; waits if the limit is reached.
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

    /// Returns a connection for the next call.
    pub(crate) fn return_connection(&self, loan: PooledConnection) {
        let PooledConnection { connection, permit } = loan;
        self.idle().push((connection, Instant::now()));
        drop(permit);
    }

    /// Closes idle connections after one was found to be lost, because the others are probably lost, too.
    pub(crate) fn forget_idle(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if the error concerns the connection and not the call.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(error) => error.kind() != std::io::ErrorKind::TimedOut,
        // Class 57P: the server is shutting down, has crashed, or is starting.
        Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

pub(crate) fn failed(error: Error) -> StoreError {
    // Class 22: data that no column can store; class 54: more data than PostgreSQL can store; 23514: a check of a table.
    let is_refusal = |code: &str| code.starts_with("22") || code.starts_with("54") || code == "23514";
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let is_refused = code.as_ref().is_some_and(|code| is_refusal(code));
    // The error's own text ends with a line of the server's source code.
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
