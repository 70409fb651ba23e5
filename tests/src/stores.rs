//! The servers of shared stores: those started by `cargo xtask test`, and a Redis for one test that can be killed.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tempfile::TempDir;

use crate::aws_api::authorization;
use crate::http::exchange;
use crate::worker::free_address;

/// Returns the URL of a store that several processes share, from the variable with its server. Without one, prints that the
/// calling test is skipped.
#[allow(clippy::explicit_write, reason = "`eprintln` is what the test runner keeps back")]
pub fn shared_store(variable: &str) -> Option<String> {
    let url = drumline_store::variable(variable);
    if url.is_none() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        writeln!(std::io::stderr(), "skipped: {test}, as {variable} is not set").unwrap();
    }
    url
}

/// Creates a table for claims in the DynamoDB at `endpoint`.
pub async fn create_table(endpoint: &str, name: &str) {
    let table = serde_json::json!({
        "TableName": name,
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "BillingMode": "PAY_PER_REQUEST",
    });
    let request = Request::post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", "DynamoDB_20120810.CreateTable")
        .header("authorization", authorization("dynamodb"))
        .body(Full::new(Bytes::from(table.to_string())));
    let answer = exchange(request.unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
}

/// A Redis server for one test. It keeps its data when it is killed.
pub struct StoreServer {
    program: PathBuf,
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl StoreServer {
    /// Starts a server. `None`, with a message, if none is installed.
    pub fn start() -> Option<Self> {
        let program = shared_store("DRUMLINE_TEST_REDIS_SERVER")?.into();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { program, port: free_address().port(), folder, process: None };
        server.restart();
        Some(server)
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts it again after a kill. It responds some time later.
    pub fn restart(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""]);
        command.arg("--port").arg(self.port.to_string()).arg("--dir").arg(self.folder.path());
        self.process = Some(command.stdout(Stdio::null()).spawn().unwrap());
    }

    /// Kills it.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for StoreServer {
    fn drop(&mut self) {
        self.kill();
    }
}
