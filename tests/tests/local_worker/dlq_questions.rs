//! `drumline dlq` on a terminal: events that end a command while it asks.

use std::path::{Path, PathBuf};

use drumline_queue::MessageState;
use drumline_queue::api::SendMessage;
use drumline_tests::{Launch, LocalQueue, Setup, Worker, eventually};
use rustix::process::{Pid, Signal, kill_process};

/// Starts the program on a separate terminal, that of util-linux's `script`, and records its process ID. An input that is a
/// pipe
/// opened for both directions never ends.
const ON_A_TERMINAL: &str = r#"/usr/bin/mkfifo "$HOME/input" && exec /usr/bin/script -qefc \
"echo \$\$ >\"$HOME/pid\"; exec \"$0\" $*" "$HOME/terminal" <>"$HOME/input""#;

async fn buried(letters: usize) -> LocalQueue {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(1), ..Setup::default() }).await;
    queue.bury((0..letters).map(|n| SendMessage {
        message_body: format!(r#"{{"jobId":"j-{n}","type":"mail.test","payload":{n}}}"#),
        ..SendMessage::default()
    }));
    queue
}

fn all_are_visible(queue: &LocalQueue) -> bool {
    queue.dead().iter().all(|letter| letter.state == MessageState::Visible)
}

fn dlq(queue: &LocalQueue, state: &Path, args: &[&str]) -> Launch {
    Launch::new(&[&["dlq"], args].concat())
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("XDG_STATE_HOME", &state.display().to_string())
}

/// A command that asks a question.
struct Asking {
    terminal: Worker,
    home: PathBuf,
}

impl Asking {
    /// Starts `drumline dlq ARGS…`, and waits until its terminal shows the question.
    async fn start(queue: &LocalQueue, state: &Path, args: &[&str], question: &str) -> Self {
        let launch = dlq(queue, state, args).shell(ON_A_TERMINAL);
        let home = launch.home().to_owned();
        let asking = Self { terminal: launch.spawn(), home };
        eventually("it asks", async || asking.shown().contains(question)).await;
        asking
    }

    fn shown(&self) -> String {
        std::fs::read_to_string(self.home.join("terminal")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = std::fs::read_to_string(self.home.join("pid")).unwrap();
        kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), signal).unwrap();
    }

    /// Waits until it ends. Returns its exit status.
    async fn end(self) -> Option<i32> {
        self.terminal.finish().await.status
    }
}

#[tokio::test]
async fn a_signal_ends_a_question_and_nothing_is_sent_or_deleted() {
    let queue = buried(5).await;
    let state = tempfile::tempdir().unwrap();
    let table = [
        ("replay", "Replay 5 letters from jobs-dlq to jobs?", Signal::TERM, 143),
        ("delete", "Delete 5 letters from jobs-dlq?", Signal::HUP, 129),
        ("delete", "Delete 5 letters from jobs-dlq?", Signal::INT, 130),
    ];
    for (command, question, signal, status) in table {
        let asking = Asking::start(&queue, state.path(), &[command], question).await;
        asking.signal(signal);
        assert_eq!(asking.end().await, Some(status), "{command}");
        assert_eq!((queue.count(), queue.dead().len()), (0, 5), "{command}");
        assert!(all_are_visible(&queue), "{command}");
    }
    let files = std::fs::read_dir(state.path().join("drumline/dlq")).unwrap().count();
    assert_eq!(files, 0, "no journal and no export is left");
}

#[tokio::test]
async fn an_action_can_be_aborted_during_its_first_look_ups() {
    let state = tempfile::tempdir().unwrap();
    let question = "Continue with the rest?";
    for (name, is_abort, expected) in [("one", true, (1, "aborted")), ("two", false, (143, "interrupted"))] {
        let queue = buried(9).await;
        // Its outcomes are never known.
        let args = ["replay", "--yes", "--no-check", "--canary", "2", "--canary-wait", "1s", "--name", name];
        let asking = Asking::start(&queue, state.path(), &args, question).await;
        if is_abort {
            let aborted = dlq(&queue, state.path(), &["actions", "abort", name]).finish().await;
            assert_eq!(aborted.status, Some(0), "{}", aborted.errors());
        } else {
            asking.signal(Signal::TERM);
        }
        assert_eq!(asking.end().await, Some(expected.0), "{name}");
        assert_eq!((queue.count(), queue.dead().len()), (2, 7), "{name}");
        assert!(all_are_visible(&queue), "{name}");
        let shown = dlq(&queue, state.path(), &["actions", "show", name]).finish().await.stdout.join("\n");
        for expected in [expected.1, "--canary=2 --canary-wait=1s"] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
        let resumed = dlq(&queue, state.path(), &["replay", "--resume", name, "--no-check"]).finish().await;
        assert_eq!((resumed.status, queue.count()), (Some(0), 9), "{}", resumed.errors());
    }
}

#[tokio::test]
async fn a_replay_whose_terminal_is_closed_releases_its_letters() {
    let queue = buried(60).await;
    let state = tempfile::tempdir().unwrap();
    let args = ["replay", "--yes", "--no-check", "--rate", "5/s", "--name", "closed"];
    let running = Asking::start(&queue, state.path(), &args, "the journal is").await;
    eventually("some are sent", async || queue.count() > 0).await;
    // The terminal ends with its process.
    running.terminal.kill().await;
    let show = ["actions", "show", "closed"];
    eventually("it has ended", async || {
        let shown = dlq(&queue, state.path(), &show).finish().await.stdout.join("\n");
        shown.contains("interrupted") && shown.contains("ended ")
    })
    .await;
    assert!(all_are_visible(&queue));
    assert_eq!(queue.count() + queue.dead().len(), 60, "each letter is in one queue");
}
