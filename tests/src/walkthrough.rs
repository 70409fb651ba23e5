//! The comment at the top of an example: its commands are run, and its output is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::binary::binary;
use crate::eventually::eventually;
use crate::local_queue::LocalQueue;
use crate::worker::{Launch, Worker};

/// The address of the queue in comments, which is replaced by that of the test's queue.
const DEV: &str = "http://127.0.0.1:9324";

/// The commands and the output in the comment of an example in Rust.
pub struct Walkthrough {
    name: &'static str,
    commands: Vec<String>,
    output: Vec<String>,
    env: BTreeMap<String, String>,
    one_by_one: bool,
}

/// The folder of the examples in Rust.
pub fn examples_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

impl Walkthrough {
    /// Returns the comment of the example `name`.
    pub fn of(name: &'static str) -> Self {
        let source = std::fs::read_to_string(examples_folder().join(format!("{name}.rs"))).unwrap();
        let comment = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim);
        let (mut commands, mut output, mut block) = (Vec::new(), Vec::new(), "");
        for line in comment {
            match line.strip_prefix("```") {
                Some(kind) => block = kind,
                None if block == "sh" => commands.push(line.to_owned()),
                None if block == "text" => output.push(line.to_owned()),
                None => {}
            }
        }
        Self { name, commands, output, env: BTreeMap::new(), one_by_one: false }
    }

    /// Replaces a text, in the commands and in the output.
    pub fn replace(mut self, from: &str, to: &str) -> Self {
        for line in self.commands.iter_mut().chain(&mut self.output) {
            *line = line.replace(from, to);
        }
        self
    }

    /// Sets a variable of the example, which replaces an export of the comment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Sends each job after the one before has left the queue: a duplicate of a running job would wait for half a minute.
    pub fn one_by_one(self) -> Self {
        Self { one_by_one: true, ..self }
    }

    /// Returns the lines of the output.
    pub fn output(&self) -> &[String] {
        &self.output
    }

    /// Starts the example on this queue and sends the jobs, like the comment. The test replaces other commands, such as those
    /// that serve the queue.
    pub async fn begin(&self, queue: &LocalQueue) -> Worker {
        let (mut exported, mut worker) = (BTreeMap::new(), None);
        for command in &self.commands {
            let command = command.replace(DEV, &queue.endpoint_url());
            if let Some((name, value)) = command.strip_prefix("export ").and_then(|rest| rest.split_once('='))
            {
                exported.insert(name.to_owned(), value.to_owned());
            } else if command.starts_with("cargo run ") {
                assert_eq!(command, format!("cargo run -p drumline-examples --bin {}", self.name));
                let launch = Launch::on(queue).program(binary("drumline-examples", self.name));
                let env = exported.iter().chain(&self.env);
                worker = Some(env.fold(launch, |launch, (name, value)| launch.env(name, value)).spawn());
            } else if command.starts_with("drumline send ") || command.contains(" | drumline send ") {
                if self.one_by_one {
                    eventually("the queue is empty", async || queue.count() == 0).await;
                }
                run(&command, &exported).await;
            }
        }
        worker.expect("the comment says how to run the example")
    }
}

/// Runs a command of a shell, with the built `drumline` in its path.
async fn run(command: &str, exported: &BTreeMap<String, String>) {
    let drumline = binary("drumline-cli", "drumline");
    let mut shell = Command::new("/bin/sh");
    let path = drumline.parent().expect("a binary lies in a folder");
    shell.args(["-c", command]).env_clear().env("PATH", path).envs(exported);
    let output = shell.output().await.unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}
