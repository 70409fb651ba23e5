//! Exemplars: for each bucket of a job's histograms the trace of a job that fell into it lately.
//!
//! They are kept beside the registry and added to the lines of its text, so that a client that has not asked for them gets none.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drumline::message::Message;
use drumline_runtime::{DURATION_BUCKETS, SINCE_SENT_BUCKETS};

use super::series::sample;

/// The histograms that have exemplars.
const DURATION: &str = "drumline_job_duration_seconds";
const DWELL: &str = "drumline_job_dwell_seconds";

/// The latest exemplars, by histogram, queue and type. As bounded as these, times the buckets.
#[derive(Debug, Default)]
pub(super) struct Exemplars(Mutex<HashMap<OfType, Buckets>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct OfType {
    histogram: &'static str,
    queue: String,
    job_type: String,
}

/// The exemplar of each bucket, by its index; that of the last one has no upper bound.
type Buckets = HashMap<usize, Exemplar>;

#[derive(Debug)]
struct Exemplar {
    trace_id: String,
    value: f64,
    /// Since the Unix epoch.
    at: Duration,
}

impl Exemplars {
    /// Notes the times of a job, if its message is part of a trace that is recorded.
    pub(super) fn ran(
        &self,
        (queue, job_type): (&str, &str),
        message: &Message,
        duration: Option<Duration>,
        dwell: Option<Duration>,
    ) {
        let Some(trace_id) = recorded_trace(message) else { return };
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let times = [(DURATION, &DURATION_BUCKETS[..], duration), (DWELL, &SINCE_SENT_BUCKETS[..], dwell)];
        for (histogram, bounds, time) in times {
            let Some(value) = time.map(|time| time.as_secs_f64()) else { continue };
            let bucket = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
            let of_type = OfType { histogram, queue: queue.to_owned(), job_type: job_type.to_owned() };
            let exemplar = Exemplar { trace_id: trace_id.clone(), value, at };
            self.lock().entry(of_type).or_default().insert(bucket, exemplar);
        }
    }

    /// Adds the exemplars to the lines of their buckets.
    pub(super) fn add_to(&self, text: &str) -> String {
        let mut with_exemplars = String::with_capacity(text.len());
        for line in text.lines() {
            with_exemplars.push_str(line);
            if let Some((of_type, bucket)) = bucket_of(line) {
                // Only for this line: the text may be long, and jobs end meanwhile.
                let known = self.lock();
                if let Some(Exemplar { trace_id, value, at }) =
                    known.get(&of_type).and_then(|buckets| buckets.get(&bucket))
                {
                    let seconds = at.as_secs_f64();
                    write!(with_exemplars, " # {{trace_id=\"{trace_id}\"}} {value} {seconds:.3}")
                        .expect("writing to a string does not fail");
                }
            }
            with_exemplars.push('\n');
        }
        with_exemplars
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OfType, Buckets>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the type and the bucket of a line, if it is one of a histogram with exemplars.
fn bucket_of(line: &str) -> Option<(OfType, usize)> {
    let histograms = [(DURATION, &DURATION_BUCKETS[..]), (DWELL, &SINCE_SENT_BUCKETS[..])];
    let is_of = |name: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with("_bucket{"));
    let (histogram, bounds) = histograms.into_iter().find(|(name, _)| is_of(name))?;
    let (key, _) = sample(line)?;
    let label =
        |name: &str| key.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str());
    let of_type =
        OfType { histogram, queue: label("queue")?.to_owned(), job_type: label("type")?.to_owned() };
    let bound: f64 = label("le")?.parse().unwrap_or(f64::INFINITY);
    let bucket = bounds.iter().position(|known| bound <= *known).unwrap_or(bounds.len());
    Some((of_type, bucket))
}

/// Returns the id of the message's trace, if its sender records it.
fn recorded_trace(message: &Message) -> Option<String> {
    let traceparent = message.traceparent()?;
    let mut parts = traceparent.split('-').skip(1);
    let (trace_id, flags) = (parts.next()?, parts.nth(1)?);
    let is_recorded = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    is_recorded.then(|| trace_id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    fn message(flags: &str) -> Message {
        let header =
            format!("Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled={flags}");
        Message { trace_header: Some(header), ..Message::default() }
    }

    #[test]
    fn the_bucket_of_a_job_has_its_trace_and_no_other_line_has() {
        let exemplars = Exemplars::default();
        let seconds = |secs| Some(Duration::from_secs_f64(secs));
        exemplars.ran(("jobs", "a.b"), &message("1"), seconds(0.3), seconds(100_000.0));
        exemplars.ran(("jobs", "c"), &message("0"), seconds(0.3), None);
        exemplars.ran(("jobs", "c"), &Message::default(), seconds(0.3), None);
        let text = "# TYPE drumline_job_duration_seconds histogram\n\
                    drumline_job_duration_seconds_count{queue=\"jobs\",type=\"a.b\"} 1\n\
                    drumline_job_duration_seconds_bucket{le=\"0.25\",queue=\"jobs\",type=\"a.b\"} 0\n\
                    drumline_job_duration_seconds_bucket{le=\"0.5\",queue=\"jobs\",type=\"a.b\"} 1\n\
                    drumline_job_duration_seconds_bucket{le=\"0.5\",queue=\"jobs\",type=\"c\"} 2\n\
                    drumline_job_dwell_seconds_bucket{le=\"+Inf\",queue=\"jobs\",type=\"a.b\"} 1\n# EOF\n";
        let shown = exemplars.add_to(text);
        let traced: Vec<&str> = shown.lines().filter(|line| line.contains(" # {")).collect();
        let start = |line: &str| format!("{line} # {{trace_id=\"{TRACE}\"}} ");
        let duration = start(r#"drumline_job_duration_seconds_bucket{le="0.5",queue="jobs",type="a.b"} 1"#);
        let dwell = start(r#"drumline_job_dwell_seconds_bucket{le="+Inf",queue="jobs",type="a.b"} 1"#);
        assert_eq!(traced.len(), 2, "{shown}");
        assert!(traced[0].starts_with(&format!("{duration}0.3 ")), "{shown}");
        assert!(traced[1].starts_with(&format!("{dwell}100000 ")), "{shown}");
        let without = shown.lines().map(|line| line.split(" # {").next().unwrap_or_default());
        assert!(without.eq(text.lines()), "nothing else changes");
    }
}
