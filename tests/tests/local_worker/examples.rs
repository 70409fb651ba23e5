//! The examples of forward mode, each in its own language: progress is visible while a job runs, and a checkpoint is used after
//! a kill. An example whose interpreter or package is missing is skipped.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use drumline_tests::{Launch, LocalQueue, Setup, Worker, eventually, free_address};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The start of an example.
struct Example {
    program: &'static str,
    /// Succeeds if the program and its packages are installed.
    check: &'static [&'static str],
    args: fn(SocketAddr) -> Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/forward")
}

fn file(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

const PLAIN: Example = Example { program: "python3", check: &["--version"], args: |_| file("plain.py") };
const FLASK: Example =
    Example { program: "python3", check: &["-c", "import flask"], args: |_| file("flask_app.py") };
const EXPRESS: Example =
    Example { program: "node", check: &["-e", "require('express')"], args: |_| file("express.mjs") };
const PHP: Example = Example {
    program: "php",
    check: &["--version"],
    args: |addr| vec!["-S".to_owned(), addr.to_string(), "app.php".to_owned()],
};

impl Example {
    #[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
    async fn can_run(&self) -> bool {
        let mut command = Command::new(self.program);
        command.args(self.check).current_dir(folder()).stdout(Stdio::null()).stderr(Stdio::null());
        let can_run = command.status().await.is_ok_and(|status| status.success());
        if !can_run {
            writeln!(std::io::stderr(), "skipped: {} {} fails here", self.program, self.check.join(" "))
                .unwrap();
        }
        can_run
    }

    fn start(&self, addr: SocketAddr) -> Application {
        let mut command = Command::new(self.program);
        command.args((self.args)(addr)).current_dir(folder()).env("PORT", addr.port().to_string());
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let shared = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = stdout.next_line().await {
                shared.lock().unwrap().push(line);
            }
        });
        Application { child, lines }
    }
}

struct Application {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Application {
    /// Returns the record at which each of its runs has started.
    fn beginnings(&self) -> Vec<u32> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line.strip_prefix("begins at ")?.parse().ok()).collect()
    }
}

fn watch(worker: &Worker, job_id: &str) -> Worker {
    let endpoint = worker.endpoint("");
    let launch = Launch::new(&["jobs", "watch", job_id]);
    launch.env("DRUMLINE_HTTP_ADDR", endpoint.trim_start_matches("http://")).spawn()
}

async fn works(example: Example) {
    if !example.can_run().await {
        return;
    }
    let addr = free_address();
    let setup = Setup { max_receive_count: Some(3), visibility_secs: 5, ..Setup::default() };
    let queue = LocalQueue::create(setup).await;
    let worker = Launch::on(&queue).env("DRUMLINE_FORWARD_TO", &format!("http://{addr}/jobs")).spawn();
    let mut application = example.start(addr);
    let body = r#"{"type":"copy","jobId":"j-copy","payload":{"records":60,"pause":0.1}}"#;
    let id = queue.send(body);
    eventually("it begins", async || application.beginnings() == [0]).await;
    let watching = watch(&worker, "j-copy");
    eventually("progress is watched", async || {
        watching.stdout().iter().any(|line| line.contains(" of 60 records"))
    })
    .await;
    // It may have been paused once before, until the application listened.
    let pauses = worker.logged("receiving paused").len();
    application.child.kill().await.unwrap();
    worker.until_logged("receiving paused", pauses + 1).await;
    let application = example.start(addr);
    eventually("it begins again", async || !application.beginnings().is_empty()).await;
    assert!(application.beginnings()[0] > 0, "where it was: {:?}", application.beginnings());
    let finished = watching.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    assert!(finished.stdout.last().unwrap().contains(" done"), "{finished:?}");
    assert!(
        finished.stdout.iter().all(|line| !line.contains("retry_asked")),
        "no attempt failed: {finished:?}"
    );
    assert!(queue.find(&id).is_none_or(|message| message.receive_count == 1), "no receive was spent");

    queue.send(r#"{"type":"copy","payload":{}}"#);
    let failed = worker.until_logged("failed for good", 1).await;
    assert!(failed[0]["reason"].as_str().unwrap().contains("needs a payload with records"), "{}", failed[0]);
    worker.stop().await;
}

#[tokio::test]
async fn plain_python_works() {
    works(PLAIN).await;
}

#[tokio::test]
async fn flask_works() {
    works(FLASK).await;
}

#[tokio::test]
async fn express_works() {
    works(EXPRESS).await;
}

#[tokio::test]
async fn plain_php_works() {
    works(PHP).await;
}

#[test]
fn every_example_is_short() {
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file()
            && path.file_name().is_some_and(|name| name != "README.md" && name != "package.json")
        {
            let lines = std::fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 70, "{} has {lines} lines", path.display());
        }
    }
}
