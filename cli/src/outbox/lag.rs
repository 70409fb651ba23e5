//! `drumline outbox lag`: shows how far the relays are behind.

use std::io::{self, Write};
use std::process::ExitCode;

use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use drumline_store::outbox::Lag;
use serde::Serialize;

use crate::format::{millis, short};
use crate::opened_outbox::{OpenedOutbox, OutboxSettings, WHICH_OUTBOX};
use crate::output::{Output, print};
use crate::settings_args::SettingsArgs;

/// Shows how many jobs wait, and how long the oldest due job has waited
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("\
Examples:
  {{program}} outbox lag
  {{program}} outbox lag --output json | jq .oldestSecs

Relays export the same numbers as the metrics drumline_outbox_lag_seconds and drumline_outbox_rows.

{WHICH_OUTBOX}

Exit status: 0 shown, 64 bad usage, 69 the outbox cannot be used."))]
pub(super) struct LagArgs {
    /// Text for people, or JSON for programs
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    #[command(flatten)]
    settings: SettingsArgs<OutboxSettings>,
}

/// The lag, for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LagView {
    due: u64,
    oldest_secs: f64,
    later: u64,
    parked: u64,
}

pub(super) async fn lag(args: &LagArgs, environment: &Environment) -> Result<ExitCode, ExitError> {
    let settings = args.settings.read_for_tool(environment)?;
    let opened = OpenedOutbox::of(&settings).await?;
    let lag = opened.outbox.lag().await.map_err(|error| opened.error(&error))?;
    let Lag { due, oldest, later, parked, .. } = lag;
    print(|out| match args.output {
        Output::Json => out.json_line(&LagView { due, oldest_secs: oldest.as_secs_f64(), later, parked }),
        Output::Table => write_lag(out, &lag),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write_lag(out: &mut impl Write, lag: &Lag) -> io::Result<()> {
    let since =
        if lag.due == 0 { String::new() } else { format!(", the oldest for {}", short(millis(lag.oldest))) };
    writeln!(out, "due     {}{since}", lag.due)?;
    writeln!(out, "later   {}", lag.later)?;
    writeln!(out, "parked  {}", lag.parked)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_oldest_job_is_named_only_if_there_is_one() {
        let text = |lag: &Lag| {
            let mut out = Vec::new();
            write_lag(&mut out, lag).unwrap();
            String::from_utf8(out).unwrap()
        };
        let behind = Lag::new(3, Duration::from_secs(65), 2, 1);
        assert_eq!(text(&behind), "due     3, the oldest for 1m 5s\nlater   2\nparked  1\n");
        assert_eq!(text(&Lag::default()), "due     0\nlater   0\nparked  0\n");
    }
}
