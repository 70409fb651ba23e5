//! A real browser: Chromium, controlled by chromedriver over the `WebDriver` protocol.

use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::eventually::eventually;
use crate::http::{get, post};
use crate::worker::free_address;

/// The time limit for closing a browser.
const CLOSING: Duration = Duration::from_secs(10);

/// A browser window with a separate profile. It closes when dropped.
pub struct Browser {
    driver: SocketAddr,
    session: String,
    _process: Child,
    _profile: TempDir,
}

impl Browser {
    /// Opens a window. `None` if the browser or its driver is not installed; then `test` is reported as skipped.
    pub async fn open(test: &str) -> Option<Self> {
        let (Some(chromium), Some(driver)) = (program("chromium"), program("chromedriver")) else {
            #[allow(clippy::explicit_write, reason = "a report of a skipped test is no debug output")]
            writeln!(std::io::stderr(), "skipped: {test}, as chromium or chromedriver is not installed")
                .unwrap();
            return None;
        };
        let addr = free_address();
        let process = Command::new(driver)
            .arg(format!("--port={}", addr.port()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let status = format!("http://{addr}/status");
        eventually("chromedriver is ready", async || get(&status).await.is_some_and(|(code, _)| code == 200))
            .await;
        let profile = tempfile::tempdir().unwrap();
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({ "binary": chromium, "args": args });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "goog:chromeOptions": options } } });
        let session = command(&format!("http://{addr}/session"), &wanted).await;
        let session = session["sessionId"].as_str().expect("a session has an id").to_owned();
        Some(Self { driver: addr, session, _process: process, _profile: profile })
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn go(&self, url: &str) {
        self.command("url", &json!({ "url": url })).await;
    }

    /// Runs a function body in the page. Returns its value, or the resolved value of its promise.
    pub async fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] })).await
    }

    async fn command(&self, name: &str, body: &Value) -> Value {
        command(&format!("http://{}/session/{}/{name}", self.driver, self.session), body).await
    }

    /// Ends the session, which makes the driver end its browser.
    fn close(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(self.driver)?;
        stream.set_read_timeout(Some(CLOSING))?;
        let Self { driver, session, .. } = self;
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 64];
        stream.read(&mut answer).map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            // The test already has its result, and a failed test panics: this must not panic again.
            drop(writeln!(std::io::stderr(), "the browser of session {} may be left: {error}", self.session));
        }
    }
}

/// POSTs to the driver and returns the value of its response.
async fn command(url: &str, body: &Value) -> Value {
    let (status, answer) = post(url, "application/json", body.to_string()).await;
    assert_eq!(status, 200, "{url}: {answer}");
    let mut answer: Value = serde_json::from_str(&answer).unwrap();
    answer["value"].take()
}

/// Returns the path of a program in the folders of `PATH`.
fn program(name: &str) -> Option<PathBuf> {
    let path = drumline_store::variable("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
