//! A function deployed to `LocalStack`, with event source mappings that feed it from queues.
//!
//! How Lambda reads a queue: <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::app::App;
use crate::aws_api::{authorization, put_object};
use crate::binary::binary;
use crate::eventually::eventually;
use crate::http::exchange;
use crate::queues::{TestQueue, localstack};

/// The paths of functions and mappings in Lambda's API.
const FUNCTIONS: &str = "/2015-03-31/functions";
const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// `LocalStack` requires a role, and gives the same permissions to each.
const ROLE: &str = "arn:aws:iam::000000000000:role/function";

/// Returns true if functions can be deployed here. Otherwise prints that the calling test is skipped.
///
/// They cannot if `LocalStack` runs in Docker: it would need its own engine, and could not reach the servers of the tests.
/// `cargo xtask test` sets `DRUMLINE_TEST_LAMBDA` if they can.
#[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
pub fn can_deploy() -> bool {
    let can = drumline_store::variable("DRUMLINE_TEST_LAMBDA").is_some();
    if !can {
        // The test runner names threads after their tests. It hides the output of tests that succeed, except for output written
        // directly to the stream.
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        writeln!(std::io::stderr(), "skipped: {test}, as this LocalStack runs no functions").unwrap();
    }
    can
}

/// A function that is being prepared.
#[derive(Debug, Clone)]
pub struct Deployment {
    bootstrap: PathBuf,
    env: HashMap<String, String>,
    timeout_secs: i32,
}

impl Deployment {
    /// Returns the project's own function, forwarding to `app`. It retries without jitter.
    pub fn forwarding_to(app: &App) -> Self {
        Self::of(binary("drumline-lambda", "drumline-lambda")).env("DRUMLINE_FORWARD_TO", &app.url())
    }

    /// Returns a function with this binary as its `bootstrap`.
    pub fn of(bootstrap: PathBuf) -> Self {
        let deployment = Self { bootstrap, env: HashMap::new(), timeout_secs: 10 };
        deployment.env("DRUMLINE_RETRY_JITTER", "none").env("RUST_BACKTRACE", "1")
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sets the time limit. The default is 10 s.
    pub fn timeout_secs(mut self, secs: i32) -> Self {
        self.timeout_secs = secs;
        self
    }

    /// Creates the function, with `name` in its name, and waits until it can be invoked.
    pub async fn create(self, name: &str) -> DeployedFunction {
        let name = format!("{name}-{:x}-{:x}", std::process::id(), fastrand::u32(..));
        let create = json!({
            "FunctionName": name,
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": ROLE,
            "Code": { "ZipFile": BASE64_STANDARD.encode(archive(&self.bootstrap)) },
            "Timeout": self.timeout_secs,
            "Environment": { "Variables": self.env },
        });
        lambda(Method::POST, FUNCTIONS, create.to_string()).await;
        let function = DeployedFunction { name, mappings: Mutex::default() };
        let configuration = format!("{FUNCTIONS}/{}/configuration", function.name);
        eventually("the function is active", async || {
            lambda(Method::GET, &configuration, String::new()).await["State"] == "Active"
        })
        .await;
        function
    }
}

/// A function on `LocalStack`. It is removed with its mappings when dropped.
pub struct DeployedFunction {
    name: String,
    mappings: Mutex<Vec<String>>,
}

impl DeployedFunction {
    /// Makes Lambda invoke it with messages of `queue`, up to `batch_size` at a time, with failures reported by message. Waits
    /// until it does. Messages sent before that form whole batches, as far as possible.
    pub async fn feed_from(&self, queue: &TestQueue, batch_size: i32) {
        let create = json!({
            "FunctionName": self.name,
            "EventSourceArn": queue.arn(),
            "BatchSize": batch_size,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        let mapping = lambda(Method::POST, MAPPINGS, create.to_string()).await;
        let mapping = format!("{MAPPINGS}/{}", mapping["UUID"].as_str().expect("a mapping has an id"));
        self.mappings.lock().unwrap().push(mapping.clone());
        eventually("the mapping is enabled", async || {
            lambda(Method::GET, &mapping, String::new()).await["State"] == "Enabled"
        })
        .await;
    }

    /// Invokes it with an event and waits for its response. The error is what AWS returns as one.
    pub async fn invoke(&self, event: impl Into<Vec<u8>>) -> Result<Value, Value> {
        let path = format!("{FUNCTIONS}/{}/invocations", self.name);
        let answer = ask(Method::POST, &path, event.into()).await;
        let payload = serde_json::from_slice(answer.body()).expect("functions answer with JSON");
        if answer.headers().contains_key("x-amz-function-error") { Err(payload) } else { Ok(payload) }
    }

    /// Returns the lines of its log so far, including those of Lambda. A line appears some time after its invocation.
    pub async fn log(&self) -> Vec<String> {
        log_of(&self.name).await
    }

    /// Returns the number of invocations that the log shows so far.
    pub async fn invocations(&self) -> usize {
        self.log().await.iter().filter(|line| line.starts_with("REPORT ")).count()
    }
}

impl Drop for DeployedFunction {
    #[allow(clippy::print_stderr, reason = "the test runner shows it with the failed test")]
    fn drop(&mut self) {
        let name = self.name.clone();
        let mappings = std::mem::take(self.mappings.get_mut().unwrap());
        let failed = std::thread::panicking();
        // A separate thread and runtime, because the test's runtime is blocked here.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let log = if failed { log_of(&name).await } else { Vec::new() };
                remove(&name, &mappings).await;
                log
            })
        });
        match removal.join() {
            Ok(log) if failed => eprintln!("the function's log:\n{}", log.join("\n")),
            Ok(_) => {}
            Err(_) => eprintln!("the function {} could not be removed", self.name),
        }
    }
}

async fn remove(name: &str, mappings: &[String]) {
    for mapping in mappings {
        lambda(Method::DELETE, mapping, String::new()).await;
    }
    let answer = ask(Method::DELETE, &format!("{FUNCTIONS}/{name}"), String::new()).await;
    assert!(answer.status().is_success(), "{}", answer.status());
}

/// Calls Lambda's API and expects a success. Uses plain requests because AWS's SDK for it takes minutes to compile.
async fn lambda(method: Method, path: &str, body: String) -> Value {
    let answer = ask(method, path, body).await;
    let said = String::from_utf8_lossy(answer.body()).into_owned();
    assert!(answer.status().is_success(), "{path}: {} {said}", answer.status());
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{path}: {error} in {said}"))
}

async fn ask(method: Method, path: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", localstack()))
        .header("content-type", "application/json")
        .header("authorization", authorization("lambda"))
        .body(Full::new(body.into()));
    exchange(request.unwrap()).await.unwrap()
}

/// Returns an archive with this file as its `bootstrap`.
fn archive(bootstrap: &Path) -> Vec<u8> {
    // Packing takes seconds, and most tests of a suite deploy the same binary.
    static ARCHIVES: Mutex<Option<HashMap<PathBuf, Vec<u8>>>> = Mutex::new(None);
    let mut archives = ARCHIVES.lock().unwrap();
    let pack = || zip_of(&std::fs::read(bootstrap).unwrap());
    archives.get_or_insert_default().entry(bootstrap.to_owned()).or_insert_with(pack).clone()
}

fn zip_of(bootstrap: &[u8]) -> Vec<u8> {
    // A package has 50 MiB at most. A binary with debug information exceeds that at faster levels.
    let options = SimpleFileOptions::default().compression_level(Some(6)).unix_permissions(0o755);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("bootstrap", options).unwrap();
    archive.write_all(bootstrap).unwrap();
    archive.finish().unwrap().into_inner()
}

/// Uploads the project's own function for a template to deploy, forwarding to `app`: a script in its place sets the variables
/// that the template does not. Returns the bucket and the key.
pub async fn upload_function_forwarding_to(app: &App) -> (String, String) {
    const KEY: &str = "function.zip";
    let function = binary("drumline-lambda", "drumline-lambda");
    let script =
        format!("#!/bin/sh\nexport DRUMLINE_FORWARD_TO='{}'\nexec '{}'\n", app.url(), function.display());
    (put_object(KEY, zip_of(script.as_bytes())).await, KEY.to_owned())
}

/// Returns the function's log in `CloudWatch` Logs. Empty before its first invocation.
async fn log_of(function: &str) -> Vec<String> {
    let body = json!({ "logGroupName": format!("/aws/lambda/{function}") });
    let request = Request::post(localstack())
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "Logs_20140328.FilterLogEvents")
        .header("authorization", authorization("logs"))
        .body(Full::new(Bytes::from(body.to_string())));
    let answer = exchange(request.unwrap()).await.unwrap();
    let said: Value = serde_json::from_slice(answer.body()).unwrap();
    if said["__type"].as_str().is_some_and(|kind| kind.contains("ResourceNotFoundException")) {
        return Vec::new();
    }
    let events = said["events"].as_array().unwrap_or_else(|| panic!("no log but {said}"));
    let line = |event: &Value| event["message"].as_str().unwrap().trim_end().to_owned();
    events.iter().map(line).collect()
}
