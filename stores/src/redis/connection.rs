//! The connection to Redis: all calls share one, which is replaced after it was lost.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::io::tcp::TcpSettings;
use ::redis::{ConnectionInfo, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError, ScriptInvocation};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::open::OpenError;
use crate::store::{StoreError, StoreErrorText};

/// The time limit for the server's response to a call, and for connecting. It usually responds in less than a millisecond.
const ANSWER: Duration = Duration::from_secs(2);

/// The time limit of a call, including a connection that must be made for it first.
const CALL: Duration = Duration::from_secs(3);

/// The time after which a connection counts as lost if sent data is not acknowledged. Without this limit, calls to a server
/// whose machine has vanished would wait for minutes.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// The number of attempts to reconnect before the callers get an error. The next call begins anew.
const RECONNECTS: usize = 2;

/// The longest wait between two attempts.
const RECONNECT_DELAY: Duration = Duration::from_millis(500);

/// The largest number of calls that wait to be written: more than a worker has jobs, so that calls share writes.
const QUEUED_CALLS: usize = 1_000;

/// The shortest time between two replacements of a connection after errors for which the manager does not reconnect.
const REPLACE_EVERY: Duration = Duration::from_secs(1);

pub(crate) struct Connection {
    client: ::redis::Client,
    config: ConnectionManagerConfig,
    current: Mutex<Current>,
}

struct Current {
    manager: ConnectionManager,
    since: Instant,
}

impl Connection {
    /// Connects, and checks that the server answers.
    pub(crate) async fn open(url: &Url) -> Result<Self, OpenError> {
        if matches!(url.scheme(), "rediss" | "valkeys") {
            // The client uses the cryptography provider that the process has chosen; this sets the one that all of Drumline
            // uses, unless another one is already set.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let client = ::redis::Client::open(info(url).map_err(OpenError::Url)?)
            .map_err(|error| OpenError::Url(error.to_string()))?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(ANSWER))
            .set_number_of_retries(RECONNECTS)
            .set_max_delay(RECONNECT_DELAY)
            .set_pipeline_buffer_size(QUEUED_CALLS);
        let connect = ConnectionManager::new_with_config(client.clone(), config.clone());
        let manager = match timeout(CALL, connect).await {
            Ok(connected) => connected.map_err(|error| OpenError::Unavailable(failed(error)))?,
            Err(_) => return Err(OpenError::Unavailable(silent())),
        };
        let current = Mutex::new(Current { manager, since: Instant::now() });
        let connection = Self { client, config, current };
        let mut ping = ::redis::pipe();
        ping.cmd("PING").ignore();
        connection.send::<()>(&ping).await.map_err(OpenError::Unavailable)?;
        Ok(connection)
    }

    /// Runs a script.
    pub(crate) async fn run<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        let calls = async {
            let mut manager = self.manager();
            match call.invoke_async(&mut manager).await {
                Err(error) if error.is_connection_dropped() => call.invoke_async(&mut manager).await,
                answer => answer,
            }
        };
        self.told(timeout(CALL, calls).await)
    }

    /// Sends commands, and reads all their results.
    pub(crate) async fn send<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, StoreError> {
        let calls = async {
            let mut manager = self.manager();
            match commands.query_async(&mut manager).await {
                Err(error) if error.is_connection_dropped() => commands.query_async(&mut manager).await,
                answer => answer,
            }
        };
        self.told(timeout(CALL, calls).await)
    }

    fn told<T>(&self, answer: Result<Result<T, RedisError>, Elapsed>) -> Result<T, StoreError> {
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                self.check(&error);
                Err(failed(error))
            }
            Err(_) => Err(silent()),
        }
    }

    /// Replaces the connection after an error that may come from its handshake. The manager reconnects only after I/O errors:
    /// if the handshake failed otherwise, for example because the server is loading its data, refuses a password for now, or is
    /// not Redis, the manager would keep the failed handshake and return its error for every call.
    fn check(&self, error: &RedisError) {
        if error.is_io_error() {
            return;
        }
        let mut current = self.current();
        if current.since.elapsed() >= REPLACE_EVERY
            && let Ok(manager) =
                ConnectionManager::new_lazy_with_config(self.client.clone(), self.config.clone())
        {
            *current = Current { manager, since: Instant::now() };
        }
    }

    fn manager(&self) -> ConnectionManager {
        self.current().manager.clone()
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the connection parameters of a URL, without data that would be sent to the server.
pub(super) fn info(url: &Url) -> Result<ConnectionInfo, String> {
    let tcp = TcpSettings::default().set_nodelay(true);
    #[cfg(target_os = "linux")]
    let tcp = tcp.set_user_timeout(UNACKNOWLEDGED);
    let info = url.clone().into_connection_info().map_err(|error| error.to_string())?;
    Ok(info.set_tcp_settings(tcp))
}

fn failed(error: RedisError) -> StoreError {
    let text = format!("Redis: {error}");
    StoreError::Unanswered(StoreErrorText::about(error, text))
}

fn silent() -> StoreError {
    StoreError::Unanswered(format!("Redis does not answer within {} seconds", CALL.as_secs()).into())
}
