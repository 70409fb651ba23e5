//! State shared by handlers: an async factory opens it before the first message, and a hook closes it after the last one.
//!
//! ```sh
//! drumline dev --queue-only        # in a terminal of its own: serves the queue
//! export DRUMLINE_QUEUE_URL=http://127.0.0.1:9324/000000000000/jobs
//! cargo run -p drumline-examples --bin state
//! drumline send --type note.add --payload '{"text":"buy milk"}'
//! ```
//!
//! It prints, and a Ctrl-C adds the last line:
//!
//! ```text
//! notes go to notes.txt
//! noted: buy milk
//! closed
//! ```

use std::process::ExitCode;
use std::sync::OnceLock;

use drumline::{Context, Failure, Handler, Job, Router};
use drumline_consumer::{App, BoxError, variable};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::Mutex;

#[derive(Deserialize)]
struct Note {
    text: String,
}

impl Job for Note {
    const TYPE: &'static str = "note.add";
}

/// A file in this example. A connection pool is shared in the same way.
struct Notes(Mutex<File>);

/// One instance for the process, so that the hook can reach it.
static NOTES: OnceLock<Notes> = OnceLock::new();

/// A type with state can be a handler. For two or three values, a closure that captures them is shorter.
impl Handler<Note> for &'static Notes {
    async fn handle(&self, _: Context, job: Note) -> Result<(), Failure> {
        self.0.lock().await.write_all(format!("{}\n", job.text).as_bytes()).await?;
        println!("noted: {}", job.text);
        Ok(())
    }
}

/// An error here ends the process with status 64 before any message is received.
async fn router() -> Result<Router, BoxError> {
    let path = variable("NOTES_FILE").unwrap_or_else(|| "notes.txt".to_owned());
    let file = File::options().create(true).append(true).open(&path).await?;
    println!("notes go to {path}");
    Ok(Router::new().handle(NOTES.get_or_init(|| Notes(Mutex::new(file)))))
}

/// Runs after the last handler. An error here is logged, and the exit status is 1.
async fn close() -> std::io::Result<()> {
    if let Some(notes) = NOTES.get() {
        notes.0.lock().await.sync_all().await?;
    }
    println!("closed");
    Ok(())
}

fn main() -> ExitCode {
    App::new(router).on_shutdown(close).main()
}
