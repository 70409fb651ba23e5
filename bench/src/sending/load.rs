//! The process that sends: `bench/examples/send_load.rs`.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crossbeam_channel::Receiver;
use serde::{Deserialize, Serialize};

use crate::cores;
use crate::programs::Profile;
use crate::queue::Queue;
use crate::usage::{forget_settings, on_core, processor_time};
use xtask::interrupt::Interrupted;
use xtask::process::Process;
use xtask::project;

pub(super) const PROGRAM: &str = "send_load";

/// A way of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Way {
    OneByOne,
    SdkBatches,
    SendAll,
    Sender,
}

impl Way {
    pub(super) const ALL: [Self; 4] = [Self::OneByOne, Self::SdkBatches, Self::SendAll, Self::Sender];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::OneByOne => "SDK, one by one",
            Self::SdkBatches => "SDK, batch loop",
            Self::SendAll => "Producer::send_all",
            Self::Sender => "Sender",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::OneByOne => "one-by-one",
            Self::SdkBatches => "sdk-batches",
            Self::SendAll => "send-all",
            Self::Sender => "sender",
        }
    }
}

/// The messages to send.
pub(super) struct Load {
    way: Way,
    messages: u64,
    callers: u64,
    rate: Option<u32>,
    linger_ms: Option<u64>,
}

impl Load {
    /// Sends as fast as possible.
    pub(super) fn full(way: Way, messages: u64, callers: u64) -> Self {
        Self { way, messages, callers, rate: None, linger_ms: None }
    }

    /// Sends at random times.
    pub(super) fn steady(way: Way, rate: u32, secs: u64, callers: u64, linger_ms: Option<u64>) -> Self {
        Self { way, messages: u64::from(rate) * secs, callers, rate: Some(rate), linger_ms }
    }
}

/// The results as the process prints them.
#[derive(Deserialize)]
struct Printed {
    requests: u64,
    elapsed_us: u64,
    waits_us: Vec<u64>,
    totals_us: Vec<u64>,
}

/// The figures of one process.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) cpu_ms_per_1000: f64,
    pub(super) messages_per_s: f64,
    pub(super) requests_per_message: f64,
    /// The time from the call to the start of the request.
    #[serde(skip)]
    pub(super) waits_ms: Vec<f64>,
    /// The time from the call to the receipt.
    #[serde(skip)]
    pub(super) totals_ms: Vec<f64>,
}

#[allow(clippy::cast_precision_loss, reason = "figures to read")]
pub(super) fn measure(profile: Profile, load: &Load, interrupts: &Receiver<Interrupted>) -> Result<Measured> {
    let mut queue = Queue::start_build(profile, interrupts)?;
    let mut sending = Sending::start(profile, load, &queue.url, interrupts)?;
    ensure!(sending.line()? == "ready", "the sending process did not start; see target/bench/send_load.log");
    let (there, before) = (queue.count()?, processor_time(sending.process.id())?);
    sending.input.write_all(b"go\n")?;
    let line = sending.line()?;
    let cpu = processor_time(sending.process.id())?.saturating_sub(before);
    let printed: Printed = serde_json::from_str(&line)
        .with_context(|| format!("the sending process failed ({line:?}); see target/bench/send_load.log"))?;
    let arrived = queue.count()? - there;
    ensure!(arrived == load.messages, "{arrived} of {} messages are in the queue", load.messages);
    let messages = load.messages as f64;
    let millis = |micros: Vec<u64>| micros.into_iter().map(|micros| micros as f64 / 1e3).collect();
    Ok(Measured {
        cpu_ms_per_1000: cpu.as_secs_f64() * 1e3 / (messages / 1e3),
        messages_per_s: messages / Duration::from_micros(printed.elapsed_us).as_secs_f64(),
        requests_per_message: printed.requests as f64 / messages,
        waits_ms: millis(printed.waits_us),
        totals_ms: millis(printed.totals_us),
    })
}

/// The running process. It ends with this value.
struct Sending {
    process: Process,
    input: PipeWriter,
    output: BufReader<PipeReader>,
}

impl Sending {
    fn start(
        profile: Profile,
        load: &Load,
        queue_url: &str,
        interrupts: &Receiver<Interrupted>,
    ) -> Result<Self> {
        let folder = project::target().join("bench");
        fs::create_dir_all(&folder)?;
        let (from_us, input) = io::pipe()?;
        let (output, to_us) = io::pipe()?;
        let mut command = Command::new(profile.example(PROGRAM));
        command.args(["--queue-url", queue_url, "--way", load.way.argument()]);
        command.args(["--messages", &load.messages.to_string(), "--callers", &load.callers.to_string()]);
        if let Some(rate) = load.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        if let Some(linger_ms) = load.linger_ms {
            command.args(["--linger-ms", &linger_ms.to_string()]);
        }
        project::forget_aws(forget_settings(&mut command));
        command.stdin(from_us).stdout(to_us).stderr(File::create(folder.join("send_load.log"))?);
        let process =
            on_core(cores::WORKER, || Process::spawn_with_input(PROGRAM, &mut command, interrupts))?;
        Ok(Self { process, input, output: BufReader::new(output) })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}
