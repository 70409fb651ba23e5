//! From texts to values, each with words for what would be right.

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use drumline::core::{JitterMode, MAX_CONCURRENCY, MAX_VISIBILITY, MAX_WAIT_TIME, Priority, UnknownType};
use drumline::message::{MAX_SCOPE_BYTES, MAX_TYPE_BYTES, RequiredFields};
use drumline_store::{Location, OpenError, SecretText, SecretUrl};
use url::Url;

use crate::aws::SqsClientChoice;
use crate::claims::StoreOutage;
use crate::sqs_price::SqsPrice;

/// The destination of permanent failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermanentFailures {
    /// The queue's redrive policy moves the original.
    Redrive,
    /// A copy with the reason goes to the DLQ.
    DeadLetter,
}

/// The messages of a Lambda batch that a failed FIFO message returns with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FifoStop {
    /// The rest of its message group.
    Group,
    /// The rest of the batch.
    Batch,
}

/// The response to a Lambda batch in which every message failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllFailed {
    /// A response that lists them.
    List,
    /// A failed invocation.
    Error,
}

/// The format of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// Pretty on a terminal, JSON elsewhere.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// The longest time for which anything is kept.
const LONGEST_KEEP: Duration = Duration::from_secs(365 * 24 * 60 * 60);

type Parsed<T> = Result<T, String>;

pub(super) fn queue_url(text: &str) -> Parsed<Url> {
    crate::aws::queue_url(text)
}

pub(super) fn concurrency(text: &str) -> Parsed<NonZeroUsize> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX_CONCURRENCY);
    number.ok_or_else(|| format!("must be a whole number from 1 to {MAX_CONCURRENCY}"))
}

pub(super) fn weight(text: &str) -> Parsed<NonZeroU32> {
    const LARGEST: u32 = 1_000;
    let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= LARGEST);
    number.ok_or_else(|| format!("must be a whole number from 1 to {LARGEST}"))
}

pub(super) fn priority(text: &str) -> Parsed<Priority> {
    match text {
        "normal" => Ok(Priority::Normal),
        "critical" => Ok(Priority::Critical),
        _ => Err("must be normal or critical".to_owned()),
    }
}

pub(super) fn visibility_timeout(text: &str) -> Parsed<Duration> {
    whole_seconds(text, Duration::from_secs(1), MAX_VISIBILITY)
}

pub(super) fn wait_time(text: &str) -> Parsed<Duration> {
    whole_seconds(text, Duration::ZERO, MAX_WAIT_TIME)
}

fn whole_seconds(text: &str, from: Duration, to: Duration) -> Parsed<Duration> {
    let duration = duration(text)?;
    if duration < from || duration > to || duration.subsec_nanos() != 0 {
        let show = humantime::format_duration;
        return Err(format!("must be whole seconds from {} to {}", show(from), show(to)));
    }
    Ok(duration)
}

pub(super) fn positive_duration(text: &str) -> Parsed<Duration> {
    let duration = duration(text)?;
    // Anything longer is a slip of the unit, and would overflow clocks.
    if duration.is_zero() || duration > MAX_VISIBILITY {
        return Err("must be more than nothing, and at most 12h".to_owned());
    }
    Ok(duration)
}

/// The interval at which a depth is read, or the time for which a breaker looks back or pauses.
pub(super) fn up_to_an_hour(text: &str) -> Parsed<Duration> {
    const LONGEST: Duration = Duration::from_secs(60 * 60);
    let every = duration(text)?;
    if (Duration::from_secs(1)..=LONGEST).contains(&every) {
        Ok(every)
    } else {
        Err("must be a duration from 1s to 1h".to_owned())
    }
}

/// The content of a file.
pub(super) fn file_text(path: &str) -> Parsed<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    humantime::parse_duration(text)
        .map_err(|_| "is not a duration; write it like 30s, 5m or 1h 30m".to_owned())
}

pub(super) fn jitter(text: &str) -> Parsed<JitterMode> {
    one_of(text, &JitterMode::ALL.map(|mode| (mode.label(), mode)))
}

pub(super) fn permanent_failures(text: &str) -> Parsed<PermanentFailures> {
    one_of(text, &[("redrive", PermanentFailures::Redrive), ("dead-letter", PermanentFailures::DeadLetter)])
}

pub(super) fn unknown_type(text: &str) -> Parsed<UnknownType> {
    one_of(text, &[("retry", UnknownType::Retry), ("reject", UnknownType::Reject)])
}

pub(super) fn scope(text: &str) -> Parsed<Arc<str>> {
    short_text(text, MAX_SCOPE_BYTES)
}

pub(super) fn job_type(text: &str) -> Parsed<Arc<str>> {
    short_text(text, MAX_TYPE_BYTES)
}

/// A text that is part of an identity, or is looked up by one.
pub(super) fn short_text(text: &str, longest: usize) -> Parsed<Arc<str>> {
    if text.is_empty() || text.len() > longest || text.contains(char::is_control) {
        return Err(format!("must be 1 to {longest} bytes without control characters"));
    }
    Ok(text.into())
}

/// An empty text requires nothing, so that a queue can lift what all queues require.
pub(super) fn required_fields(text: &str) -> Parsed<RequiredFields> {
    let mut required = RequiredFields::default();
    for field in text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()) {
        match field {
            "idempotencyKey" => required.idempotency_key = true,
            "jobId" => required.job_id = true,
            _ => return Err("must be idempotencyKey, jobId, or both with a comma between them".to_owned()),
        }
    }
    Ok(required)
}

/// Returns true if records of version 0.1 are looked up.
pub(super) fn legacy_records(text: &str) -> Parsed<bool> {
    one_of(text, &[("read", true), ("ignore", false)])
}

pub(super) fn fifo_stop(text: &str) -> Parsed<FifoStop> {
    one_of(text, &[("group", FifoStop::Group), ("batch", FifoStop::Batch)])
}

pub(super) fn sqs_client(text: &str) -> Parsed<SqsClientChoice> {
    let choices =
        [("auto", SqsClientChoice::Auto), ("lean", SqsClientChoice::Lean), ("sdk", SqsClientChoice::Sdk)];
    one_of(text, &choices)
}

pub(super) fn all_failed(text: &str) -> Parsed<AllFailed> {
    one_of(text, &[("list", AllFailed::List), ("error", AllFailed::Error)])
}

pub(super) fn on_or_off(text: &str) -> Parsed<bool> {
    one_of(text, &[("on", true), ("off", false)])
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    one_of(text, &[("true", true), ("false", false)])
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    one_of(text, &[("auto", LogFormat::Auto), ("json", LogFormat::Json), ("pretty", LogFormat::Pretty)])
}

pub(super) fn http_url(text: &str) -> Parsed<SecretUrl> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    let is_address = match url.scheme() {
        "http" | "https" => url.host().is_some(),
        "unix" => url.path().starts_with('/'),
        _ => false,
    };
    if !is_address {
        return Err(
            "must be the application's http:// or https:// address, or unix:/run/app.sock:/path".to_owned()
        );
    }
    Ok(url.into())
}

/// A path of the application that forward mode calls, with or without a query.
pub(super) fn url_path(text: &str) -> Parsed<String> {
    if !text.starts_with('/') || text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
        return Err("must be a path such as /health".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn store_url(text: &str) -> Parsed<Location> {
    text.parse().map_err(|error: OpenError| error.to_string())
}

/// An outbox is checked as a store of its kind is.
pub(super) fn outbox_url(text: &str) -> Parsed<SecretUrl> {
    const RIGHT: &str = "an outbox is postgres://… or redis://…";
    match text.parse() {
        Ok(Location::Redis(url) | Location::Postgres(url)) => Ok(url),
        // For tests: it is lost with its process.
        Ok(Location::Memory) => Url::parse(text).map(SecretUrl::from).map_err(|_| RIGHT.to_owned()),
        Ok(_) => Err(RIGHT.to_owned()),
        Err(OpenError::Url(text)) if text.starts_with("a store is ") => Err(RIGHT.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The time for which sent jobs stay in an outbox.
pub(super) fn outbox_keep(text: &str) -> Parsed<Duration> {
    let keep = duration(text)?;
    if keep <= LONGEST_KEEP {
        Ok(keep)
    } else {
        Err("must be a duration from 0s to 365d, such as 7d".to_owned())
    }
}

/// The time for which a store keeps records. DynamoDB and Redis count in whole seconds.
pub(super) fn ttl(text: &str) -> Parsed<Duration> {
    let right = "must be a duration from 1m to 365d, such as 7d";
    let ttl = humantime::parse_duration(text).map_err(|_| right.to_owned())?;
    if (Duration::from_secs(60)..=LONGEST_KEEP).contains(&ttl) { Ok(ttl) } else { Err(right.to_owned()) }
}

pub(super) fn sqs_price(text: &str) -> Parsed<SqsPrice> {
    let price = text.trim().parse().ok().and_then(SqsPrice::new);
    price.ok_or_else(|| "must be the dollars for a million requests, from 0 to 1000, such as 0.40".to_owned())
}

pub(super) fn store_outage(text: &str) -> Parsed<StoreOutage> {
    one_of(text, &[("retry", StoreOutage::Retry), ("run", StoreOutage::Run)])
}

pub(super) fn schema_version(text: &str) -> Parsed<u32> {
    text.parse::<NonZeroU32>().map(NonZeroU32::get).map_err(|_| "must be a whole number from 1".to_owned())
}

pub(super) fn max_attempts(text: &str) -> Parsed<NonZeroU32> {
    text.parse().map_err(|_| "must be a whole number from 1".to_owned())
}

pub(super) fn address_or_off(text: &str) -> Parsed<Option<SocketAddr>> {
    if text == "off" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| "must be an address such as 127.0.0.1:9464, or off".to_owned())
}

/// A secret short enough to be guessed protects nothing.
pub(super) fn http_token(text: &str) -> Parsed<SecretText> {
    let fits = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(text.to_owned().into())
    } else {
        Err("must be at least 16 visible ASCII characters".to_owned())
    }
}

pub(super) fn host_names(text: &str) -> Parsed<Vec<String>> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match names.iter().find(|name| !matches!(url::Host::parse(name), Ok(url::Host::Domain(_)))) {
        None => Ok(names),
        Some(name) => Err(format!("{name:?} is no host name; give names without a scheme or a port")),
    }
}

fn one_of<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        format!("must be one of {}", names.join(", "))
    })
}
