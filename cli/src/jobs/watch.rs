//! `drumline jobs watch`: updates one line on a terminal, or prints a line for each change.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use drumline_consumer::ExitError;
use drumline_consumer::job_view::{JobFilter, JobView, ShownState};
use drumline_runtime::Environment;
use drumline_store::ProgressRecord;
use indicatif::{ProgressBar, ProgressStyle};

use super::lookup::{JobArgs, WHO_IS_ASKED, unknown};
use crate::format::{duration, note, now_ms, one_line};
use crate::job_lookup::{Histories, LookupError};
use crate::job_text::{line, stamped};
use crate::output::print;

/// The time between two requests. Progress is written once a second.
const LOOK: Duration = Duration::from_millis(500);

/// The time without an answer that is tolerated: a worker that is redeployed is back by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exit status that shells report after Ctrl-C: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

/// Follows a job until it ends
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
On a terminal, the command updates one line. Otherwise it prints a line for each change.

Examples:
  {{program}} jobs watch 01JQ3ZC5T8M1Y4
  {{program}} jobs watch 01JQ3ZC5T8M1Y4 && echo done || echo failed
  {{program}} jobs watch $({{program}} send --type email.send --payload @payload.json)

{WHO_IS_ASKED}

SQS does not notify the worker when it moves a message to the DLQ because of too many receives. Such a job stays in the state waiting: \
look for it with `{{program}} dlq ls`.

Exit status: 0 the job is done, 1 it failed or is unknown, 64 bad usage, 69 the store or the worker does not answer, 130 after Ctrl-C."))]
pub(super) struct WatchArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Wait this long for an unknown job to start
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    wait: Duration,
}

pub(super) async fn watch(args: &WatchArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    tokio::select! {
        result = follow(args, environment) => result,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn follow(args: &WatchArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let (id, mut filter, histories) = args.job.open(environment).await?;
    let Some(mut job) = first_look(id, &filter, &histories, args.wait).await? else {
        return Err(unknown(id, &filter, &histories).await);
    };
    // The given id may be that of its message.
    let id = &job.job.job_id.clone();
    let mut screen = Screen::new(id);
    screen.show(&job)?;
    let mut silent_since = None;
    while !job.state.is_final() {
        filter = filter.narrowed_to(&job);
        tokio::time::sleep(LOOK).await;
        match histories.job(id, &filter).await {
            Ok(Some(now)) => {
                silent_since = None;
                job = now;
                screen.show(&job)?;
            }
            Ok(None) => return Err(unknown(id, &filter, &histories).await),
            Err(silence) => screen.wait(&mut silent_since, silence)?,
        }
    }
    screen.end(&job)?;
    Ok(if job.state == ShownState::Done { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the job as soon as it is known: a job that was just sent is unknown until a worker begins it.
async fn first_look(
    id: &str,
    filter: &JobFilter,
    histories: &Histories,
    wait: Duration,
) -> Result<Option<JobView>, LookupError> {
    let mut waiting_since = None;
    loop {
        let job = histories.job(id, filter).await?;
        let waited = waiting_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
        if job.is_some() || waited >= wait {
            return Ok(job);
        }
        if waiting_since.is_none() {
            waiting_since = Some(Instant::now());
            let id = one_line(id);
            note(&format!("nothing is known of the job {id} yet; waiting {wait:?} for a worker to begin it"));
        }
        tokio::time::sleep(LOOK.min(wait)).await;
    }
}

/// Standard output, or the last line of a terminal.
struct Screen {
    bar: Option<ProgressBar>,
    /// The last line that was printed, without its time.
    said: String,
}

impl Screen {
    fn new(id: &str) -> Self {
        let is_terminal = stdout().is_terminal() && stderr().is_terminal();
        let bar = is_terminal.then(|| {
            let bar = ProgressBar::no_length().with_prefix(one_line(id));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, said: String::new() }
    }

    fn show(&mut self, job: &JobView) -> Result<(), ExitError> {
        let text = line(job);
        match &self.bar {
            Some(bar) => {
                bar.set_style(style(job.job.progress.as_ref()));
                if let Some(progress) = &job.job.progress {
                    bar.set_length(progress.total);
                    bar.set_position(progress.done.min(progress.total));
                }
                bar.set_message(text.clone());
            }
            None if text != self.said => print_line(job)?,
            None => {}
        }
        self.said = text;
        Ok(())
    }

    /// Continues without an answer for a limited time.
    fn wait(&mut self, since: &mut Option<Instant>, silence: LookupError) -> Result<(), ExitError> {
        let first = since.is_none();
        let since = since.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE || matches!(silence, LookupError::Settings(_)) {
            return Err(silence.into());
        }
        if first {
            let text = format!("{}; still asking", silence.text());
            match &self.bar {
                Some(bar) => bar.suspend(|| note(&text)),
                None => note(&text),
            }
        }
        Ok(())
    }

    /// Ends the output; on a terminal the last line stays.
    fn end(self, job: &JobView) -> Result<(), ExitError> {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
            print_line(job)?;
        }
        Ok(())
    }
}

fn print_line(job: &JobView) -> Result<(), ExitError> {
    print(|out| writeln!(out, "{}", stamped(job, now_ms())))
}

fn style(progress: Option<&ProgressRecord>) -> ProgressStyle {
    let template = match progress {
        Some(_) => "{spinner} {prefix} [{bar:30}] {wide_msg}",
        None => "{spinner} {prefix} {wide_msg}",
    };
    ProgressStyle::with_template(template).expect("the template is sound").progress_chars("#>-")
}
