//! A service whose handlers share a connection, as a worker with a command line or as a function: an async factory opens it,
//! and a hook closes it. The other end is a test, which answers each line and so controls the time of everything.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use drumline::{Context, Failure, Job, Router};
use drumline_store::{MemoryStore, Retention};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

/// The address of the test.
const DATABASE_ADDR: &str = "DATABASE_ADDR";

/// If set, the factory panics.
const FACTORY_PANICS: &str = "FACTORY_PANICS";

/// If set, the factory refuses its settings before its first await point.
const FACTORY_REFUSES: &str = "FACTORY_REFUSES";

/// If set, the program has its own store.
const OWN_STORE: &str = "OWN_STORE";

static DATABASE: OnceLock<Database> = OnceLock::new();

type Asked = (String, oneshot::Sender<io::Result<()>>);

/// The connection. A task keeps it, like those of pools, and lives as long as the runtime on which it was spawned.
struct Database(mpsc::Sender<Asked>);

impl Database {
    async fn connect(addr: &str) -> io::Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(addr).await?);
        let (requests, mut asked) = mpsc::channel::<Asked>(1);
        tokio::spawn(async move {
            while let Some((line, answer)) = asked.recv().await {
                drop(answer.send(ask(&mut stream, &line).await));
            }
        });
        Ok(Self(requests))
    }

    /// Sends a line, and waits for the answer.
    async fn execute(&self, line: String) -> io::Result<()> {
        let (answer, answered) = oneshot::channel();
        self.0.send((line, answer)).await.map_err(io::Error::other)?;
        answered.await.map_err(io::Error::other)?
    }
}

async fn ask(stream: &mut BufReader<TcpStream>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    match stream.read_line(&mut String::new()).await? {
        0 => Err(io::Error::other("the database hung up")),
        _ => Ok(()),
    }
}

/// The database cannot be used. The source has the cause.
#[derive(Debug)]
struct NoDatabase {
    addr: String,
    cause: io::Error,
}

impl fmt::Display for NoDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no database at tcp://app:hunter2@{}", self.addr)
    }
}

impl std::error::Error for NoDatabase {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[derive(Deserialize)]
struct Order {
    id: String,
}

impl Job for Order {
    const TYPE: &'static str = "order";
}

async fn router() -> Result<Router, drumline_cli::BoxError> {
    assert!(drumline_consumer::variable(FACTORY_PANICS).is_none(), "FACTORY_PANICS is set");
    if drumline_consumer::variable(FACTORY_REFUSES).is_some() {
        return Err("FACTORY_REFUSES is set".into());
    }
    let addr = drumline_consumer::variable(DATABASE_ADDR).ok_or("DATABASE_ADDR is not set")?;
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    let connected = async {
        let database = Database::connect(&addr).await?;
        database.execute(format!("hello from {thread}")).await?;
        Ok(database)
    };
    let database = connected.await.map_err(|cause| NoDatabase { addr, cause })?;
    let database = DATABASE.get_or_init(|| database);
    Ok(Router::new().handle(move |_: Context, order: Order| async move {
        database.execute(format!("order {}", order.id)).await?;
        tracing::info!("order kept");
        Ok::<(), Failure>(())
    }))
}

async fn close() -> io::Result<()> {
    match DATABASE.get() {
        Some(database) => database.execute("close".to_owned()).await,
        None => Ok(()),
    }
}

fn main() -> ExitCode {
    if drumline_consumer::variable("AWS_LAMBDA_RUNTIME_API").is_some() {
        drumline_lambda::App::new(router).on_shutdown(close).main()
    } else {
        let app = drumline_cli::App::new(router).version("1.4.2").on_shutdown(close);
        match drumline_consumer::variable(OWN_STORE) {
            Some(owner) => app.store(Arc::new(MemoryStore::new(owner.into(), Retention::default()))).main(),
            None => app.main(),
        }
    }
}
