//! A service built around the runtime: the factory of its router, its shutdown hook, and its name.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use drumline_tests::{
    Finished, FunctionLaunch, Invocation, Launch, LocalQueue, Proxy, Record, Setup, Signal, eventually,
    free_address, sqs_event,
};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// `EX_USAGE`.
const USAGE: i32 = 64;

/// The variable with the address of the service's database.
const ADDR: &str = "DATABASE_ADDR";

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_stateful_service"))
}

/// The database's reaction to a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Answers,
    /// The line is answered when the test releases it.
    Waits,
    HangsUp,
}

/// Decides about the database's reaction to a line.
type TakeLine = fn(&str) -> Manner;

/// The database of the service. It records the lines of all connections.
struct Database {
    addr: String,
    lines: Arc<Mutex<Vec<String>>>,
    release: watch::Sender<bool>,
}

impl Database {
    async fn start(manner: TakeLine) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let release = watch::Sender::new(false);
        let (noted, released) = (Arc::clone(&lines), release.subscribe());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, manner, Arc::clone(&noted), released.clone()));
            }
        });
        Self { addr, lines, release }
    }

    async fn answering() -> Self {
        Self::start(|_| Manner::Answers).await
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    async fn until(&self, line: &str) {
        eventually(line, async || self.lines().iter().any(|noted| noted == line)).await;
    }
}

async fn serve(
    stream: TcpStream,
    manner: TakeLine,
    noted: Arc<Mutex<Vec<String>>>,
    mut released: watch::Receiver<bool>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        noted.lock().unwrap().push(line.trim().to_owned());
        match manner(line.trim()) {
            Manner::Answers => {}
            Manner::Waits => drop(released.wait_for(|released| *released).await),
            Manner::HangsUp => return,
        }
        if stream.write_all(b"ok\n").await.is_err() {
            return;
        }
        line.clear();
    }
}

fn order(id: &str) -> String {
    json!({ "type": "order", "jobId": format!("order-{id}"), "payload": { "id": id } }).to_string()
}

/// The service as a worker on `queue`.
fn worker(queue: &LocalQueue, database: &str) -> Launch {
    Launch::on(queue).program(program()).env(ADDR, database)
}

fn expect(finished: &Finished, status: i32, words: &[&str]) {
    let errors = finished.errors();
    assert_eq!(finished.status, Some(status), "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} in\n{errors}");
    }
}

#[tokio::test]
async fn the_factory_runs_once_and_the_hook_after_the_last_job() {
    let database =
        Database::start(|line| if line == "order slow" { Manner::Waits } else { Manner::Answers }).await;
    let queue = LocalQueue::create(Setup::default()).await;
    queue.send(&order("quick"));
    let worker = worker(&queue, &database.addr).spawn();
    eventually("the order is done", async || queue.count() == 0).await;
    let kept = &worker.until_logged("order kept", 1).await[0];
    assert_eq!((&kept["span"]["job_id"], &kept["span"]["type"]), (&"order-quick".into(), &"order".into()));
    queue.send(&order("slow"));
    database.until("order slow").await;
    worker.signal(Signal::TERM);
    worker.until_logged("stopping; once more to stop at once", 1).await;
    assert!(!database.lines().contains(&"close".to_owned()), "a job runs: {:?}", database.lines());
    database.release.send_replace(true);
    expect(&worker.finish().await, 0, &[]);
    assert_eq!(database.lines(), ["hello from drumline-job", "order quick", "order slow", "close"]);
    assert_eq!(queue.count(), 0);
}

#[tokio::test]
async fn a_line_for_people_names_the_job_too() {
    let (database, queue) = (Database::answering().await, LocalQueue::create(Setup::default()).await);
    queue.send(&order("a"));
    let worker = worker(&queue, &database.addr).env("DRUMLINE_LOG_FORMAT", "pretty").spawn();
    eventually("the order is done", async || queue.count() == 0).await;
    let finished = worker.stop().await;
    let line = finished.stderr.iter().find(|line| line.contains("order kept")).unwrap();
    assert!(line.contains("order-a"), "{line}");
}

#[tokio::test]
async fn a_factory_error_ends_the_start_with_causes_without_secrets() {
    let queue = LocalQueue::create(Setup::default()).await;
    let proxy = Proxy::start(&queue.endpoint_url()).await;
    let id = queue.send(&order("a"));
    let closed = free_address().to_string();
    let launch = worker(&queue, &closed).env("AWS_ENDPOINT_URL", &proxy.url());
    let finished = launch.finish().await;
    let text =
        format!("stateful_service: no database at tcp://***@{closed}: Connection refused (os error 111)");
    expect(&finished, USAGE, &[&text]);
    assert_eq!(finished.errors().matches("no database").count(), 1, "{}", finished.errors());
    assert_eq!(proxy.count("ReceiveMessage"), 0);
    assert_eq!(queue.find(&id).unwrap().receive_count, 0);
}

#[tokio::test]
async fn invalid_settings_include_the_factorys_without_a_wait() {
    let database = Database::start(|_| Manner::Waits).await;
    let queue = LocalQueue::create(Setup::default()).await;
    let launch = || worker(&queue, &database.addr).env("DRUMLINE_CONCURRENCY", "0");
    expect(
        &launch().env("FACTORY_REFUSES", "1").finish().await,
        USAGE,
        &["DRUMLINE_CONCURRENCY", "FACTORY_REFUSES"],
    );
    expect(&launch().finish().await, USAGE, &["1 problem with the settings", "DRUMLINE_CONCURRENCY"]);
}

#[tokio::test]
async fn a_panic_of_the_factory_ends_the_start() {
    let (database, queue) = (Database::answering().await, LocalQueue::create(Setup::default()).await);
    let id = queue.send(&order("a"));
    let finished = worker(&queue, &database.addr).env("FACTORY_PANICS", "1").finish().await;
    expect(&finished, 1, &["stateful_service: the router's factory panicked: FACTORY_PANICS is set"]);
    assert_eq!(queue.find(&id).unwrap().receive_count, 0);
    assert!(database.lines().is_empty(), "no hook runs: {:?}", database.lines());
}

#[tokio::test]
async fn an_interrupt_while_the_factory_waits_ends_the_process() {
    let database = Database::start(|_| Manner::Waits).await;
    let queue = LocalQueue::create(Setup::default()).await;
    let id = queue.send(&order("a"));
    let worker = worker(&queue, &database.addr).spawn();
    database.until("hello from drumline-job").await;
    worker.signal(Signal::INT);
    expect(&worker.finish().await, 0, &[]);
    assert_eq!(
        database.lines(),
        ["hello from drumline-job"],
        "the hook does not close an unopened connection"
    );
    assert_eq!(queue.find(&id).unwrap().receive_count, 0);
}

#[tokio::test]
async fn a_hook_that_hangs_is_bounded_and_one_that_fails_is_logged() {
    let table: [(TakeLine, &str); 2] = [
        (|line| if line == "close" { Manner::Waits } else { Manner::Answers }, "it has not ended within"),
        (|line| if line == "close" { Manner::HangsUp } else { Manner::Answers }, "the database hung up"),
    ];
    for (manner, words) in table {
        let (database, queue) = (Database::start(manner).await, LocalQueue::create(Setup::default()).await);
        let worker = worker(&queue, &database.addr).env("DRUMLINE_SHUTDOWN_GRACE", "2s").spawn();
        worker.until_logged("consuming", 1).await;
        let begun = Instant::now();
        worker.signal(Signal::TERM);
        let finished = worker.finish().await;
        expect(&finished, 1, &[words]);
        assert_eq!(finished.logged("shutdown hook failed").len(), 1, "{}", finished.errors());
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert_eq!(database.lines().last().unwrap(), "close");
    }
}

#[tokio::test]
async fn a_hook_runs_after_a_start_that_failed_behind_the_factory() {
    let (database, queue) = (Database::answering().await, LocalQueue::create(Setup::default()).await);
    let missing = queue.url.replace("jobs", "missing");
    let finished = worker(&queue, &database.addr).env("DRUMLINE_QUEUE_URL", &missing).finish().await;
    expect(&finished, 69, &["missing"]);
    assert_eq!(database.lines(), ["hello from drumline-job", "close"]);
}

#[tokio::test]
async fn a_function_has_the_same_factory_and_hook() {
    let database = Database::answering().await;
    let launch = || FunctionLaunch::new().program(program()).env(ADDR, &database.addr);
    let function = launch().spawn().await;
    for id in ["a", "b"] {
        let event = sqs_event(&[Record::hand_made(&order(id))]);
        function.invoke(Invocation::new(event)).await.expect_all_done();
    }
    let kept = function.logged("order kept");
    let in_a_span = |id: &str| kept.iter().any(|line| line["spans"][1]["job_id"] == id);
    assert!(in_a_span("order-a") && in_a_span("order-b"), "{kept:?}");
    function.signal(Signal::TERM);
    let (finished, _) = function.finish().await;
    expect(&finished, 0, &[]);
    assert_eq!(database.lines(), ["hello from drumline-job", "order a", "order b", "close"]);

    let closed = free_address().to_string();
    let table = [
        (launch().env(ADDR, &closed), USAGE, "no database at tcp://***@"),
        (launch().env("FACTORY_PANICS", "1"), 1, "the router's factory panicked: FACTORY_PANICS is set"),
    ];
    for (launch, status, words) in table {
        let (finished, api) = launch.spawn().await.finish().await;
        expect(&finished, status, &[words]);
        let errors = api.init_errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].body["errorMessage"].as_str().unwrap().contains(words), "{errors:?}");
        assert!(api.asked().is_empty(), "it does not ask for work");
    }
}

#[tokio::test]
async fn commands_that_run_no_handler_work_without_a_router() {
    let (database, queue) = (Database::answering().await, LocalQueue::create(Setup::default()).await);
    let launch = |args: &[&str]| {
        let launch =
            Launch::new(args).program(program()).env("FACTORY_PANICS", "1").env(ADDR, &database.addr);
        launch.env("DRUMLINE_QUEUE_URL", &queue.url).env("AWS_ENDPOINT_URL", &queue.endpoint_url())
    };
    let send = ["send", "--type", "order", "--payload", r#"{"id":"a"}"#];
    // Without the handler, the version of its type is not known.
    expect(&launch(&send).finish().await, 0, &["schemaVersion is 1", "FACTORY_PANICS is set"]);
    let table: [&[&str]; 3] =
        [&[&send[..], &["--schema-version", "1", "--no-check"]].concat(), &["dlq", "ls"], &["--help"]];
    for args in table {
        let finished = launch(args).finish().await;
        expect(&finished, 0, &[]);
        assert!(
            !finished.errors().contains("FACTORY_PANICS"),
            "{args:?} calls the factory: {}",
            finished.errors()
        );
    }
    // The settings are still shown, with the reason for the missing types.
    let finished = launch(&["config"]).finish().await;
    expect(
        &finished,
        0,
        &["the values of job types are left out", "the router's factory panicked: FACTORY_PANICS is set"],
    );
    assert!(finished.stdout.join("\n").contains("shutdown_grace"), "{:?}", finished.stdout);
    let finished = launch(&["config", "--check"]).finish().await;
    expect(&finished, 69, &["1 check failed"]);
    let row = |name: &str| finished.stdout.iter().find(|line| line.trim_start().starts_with(name)).unwrap();
    assert!(row("handlers").contains("FAILED") && row("handlers").contains("FACTORY_PANICS is set"));
    assert!(row("queue ").contains(" ok "), "{:?}", finished.stdout);
}

#[tokio::test]
async fn dev_runs_a_plain_router_where_it_cannot_keep_histories() {
    for once in [true, false] {
        let database = Database::answering().await;
        // No folder can exist below a device.
        let arguments = ["dev", "--sqs-addr", "127.0.0.1:0", "--dir", "/dev/null/drumline-dev"];
        let mut launch = Launch::new(&arguments).program(program()).env(ADDR, &database.addr);
        if once {
            launch = launch.arg("--once");
        }
        let folder = launch.home().to_path_buf();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
        let process = launch.spawn();
        let advice = "stateful_service send --queue-url ";
        if !once {
            eventually("it advises a job", async || process.stdout().join("\n").contains(advice)).await;
            let text = process.stdout().join("\n");
            assert!(text.contains("--type order ") && text.contains("--payload '{}'"), "{text}");
            assert!(!text.contains("drumline send") && !text.contains("email.send"), "{text}");
            assert!(text.contains("Histories end with this process"), "{text}");
            process.signal(Signal::INT);
        }
        eventually("it has closed the database", async || database.lines().contains(&"close".to_owned()))
            .await;
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing is written");
        let finished = process.finish().await;
        expect(&finished, 0, &[]);
        assert_eq!(database.lines(), ["hello from drumline-job", "close"]);
    }
}

#[tokio::test]
async fn a_store_of_the_programs_own_is_shown_and_stands_alone() {
    let database = Database::answering().await;
    let launch = |arguments: &[&str]| {
        let launch =
            Launch::new(arguments).program(program()).env(ADDR, &database.addr).env("OWN_STORE", "one");
        launch.env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9324/000000000000/jobs")
    };
    let finished = launch(&["config", "--output", "json"]).finish().await;
    expect(&finished, 0, &[]);
    let row = finished.stdout.iter().find(|line| line.contains(r#""store_url""#)).unwrap();
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    assert_eq!((&row["value"], &row["origin"]), (&json!("own (given in code)"), &json!("code")));

    let words = ["DRUMLINE_STORE_URL", "has a store of its own, given in code: unset this setting"];
    for command in ["config", "run"] {
        let finished = launch(&[command]).env("DRUMLINE_STORE_URL", "memory:").finish().await;
        expect(&finished, USAGE, &words);
    }
}

#[tokio::test]
async fn help_versions_and_errors_name_the_service_as_it_is_called() {
    let folder = tempfile::tempdir().unwrap();
    let orders = folder.path().join("orders");
    symlink(program(), &orders).unwrap();
    let finish = async |args: &[&str]| Launch::new(args).program(orders.clone()).finish().await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(finish(&["--version"]).await.stdout, [format!("orders 1.4.2 (drumline {version})")]);
    let help = finish(&["send", "--help"]).await.stdout.join("\n");
    assert!(help.contains("Usage: orders send") && help.contains("  orders send --queue-url URL"), "{help}");
    expect(&finish(&["run", "--concurency", "3"]).await, USAGE, &["Usage: orders run"]);
    expect(&finish(&["run"]).await, USAGE, &["orders: ", "DRUMLINE_QUEUE_URL"]);
    // Drumline's own binary has no other version.
    assert_eq!(Launch::new(&["--version"]).finish().await.stdout, [format!("drumline {version}")]);
}
