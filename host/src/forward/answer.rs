//! The application's answer: its status decides about the job, and its body contains the reason.

use std::time::{Duration, SystemTime};

use drumline::Failure;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout, timeout_at};

use super::delay::read_delay;

/// The maximum number of bytes read from an answer's body, so that its connection can be reused; after a longer body a new
/// connection is opened.
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// The time limit of reading a failure's body for its reason.
const REASON_WITHIN: Duration = Duration::from_secs(2);

/// The time for which a done job waits for the end of its body, so that the next job finds the connection free. A longer body
/// is read in the background, for [`REASON_WITHIN`].
const DONE_WITHIN: Duration = Duration::from_millis(100);

/// The maximum length of a reason, which is one line of a log, in characters.
const MAX_REASON_CHARS: usize = 200;

/// The header with the reason why no attempt can succeed, for any status.
const REJECT: &str = "x-drumline-reject";

/// The header with the time until the next attempt, for any status.
const RETRY: &str = "x-drumline-retry-after";

/// The meaning of an answer.
pub(super) enum Verdict {
    /// The job is done.
    Done,
    /// The job has failed.
    Failed(Failure),
    /// The job has failed, and the cause may be the application as a whole.
    Suspicious(Failure),
}

pub(super) async fn verdict(response: Response<Incoming>) -> Verdict {
    let (head, body) = response.into_parts();
    let explicit = head.headers.contains_key(REJECT) || head.headers.contains_key(RETRY);
    if head.status.is_success() && !explicit {
        finish(body).await;
        return Verdict::Done;
    }
    let body = beginning(body).await;
    judge(head.status, &head.headers, &body, SystemTime::now())
}

fn judge(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Verdict {
    let text = text_of(headers, body);
    let reason = if text.is_empty() { status.to_string() } else { format!("{status}: {text}") };
    let reason = one_line(&reason);
    if let Some(why) = headers.get(REJECT) {
        let why = one_line(&String::from_utf8_lossy(why.as_bytes()));
        return Verdict::Failed(Failure::reject(if why.is_empty() { reason } else { why }));
    }
    if let Some(delay) = headers.get(RETRY).and_then(|value| read_delay(value.to_str().ok()?, now)) {
        return Verdict::Failed(Failure::retry_after(delay, reason));
    }
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| read_delay(value.to_str().ok()?, now));
    let retry = |reason| match retry_after {
        Some(delay) => Failure::retry_after(delay, reason),
        None => Failure::retry(reason),
    };
    match status.as_u16() {
        200..=299 => Verdict::Done,
        400 | 410 | 413 | 415 | 422 => Verdict::Failed(Failure::reject(reason)),
        // An application that throttles only this job uses its own header.
        429 => Verdict::Failed(Failure::throttled(retry_after, reason)),
        401 | 403 | 404 | 500..=599 => Verdict::Suspicious(retry(reason)),
        _ => Verdict::Failed(retry(reason)),
    }
}

/// Reads the rest of a body, so that its connection can be reused. A body that does not end loses its connection.
async fn finish(body: Incoming) {
    let mut rest = Box::pin(Limited::new(body, MAX_RESPONSE_BYTES).collect());
    if timeout(DONE_WITHIN, &mut rest).await.is_err() {
        tokio::spawn(async move { drop(timeout(REASON_WITHIN, rest).await) });
    }
}

/// Reads the part of a body that arrives in time.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let (mut bytes, end) = (Vec::new(), Instant::now() + REASON_WITHIN);
    while let Ok(Some(Ok(frame))) = timeout_at(end, body.frame()).await {
        if let Some(data) = frame.data_ref() {
            let most = MAX_RESPONSE_BYTES - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(most)]);
        }
        if bytes.len() == MAX_RESPONSE_BYTES {
            break;
        }
    }
    bytes
}

/// Returns the text of a body; for a page, its title.
fn text_of(headers: &HeaderMap, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let says_html = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    let begins = |with: &str| {
        let text = text.trim_start().as_bytes();
        text.get(..with.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(with.as_bytes()))
    };
    if says_html || begins("<!doctype html") || begins("<html") { title(&text) } else { text.into_owned() }
}

/// Returns the title of an HTML page; empty if it has none.
fn title(page: &str) -> String {
    // Only ASCII letters change, so positions stay the same.
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|tag| {
        let begin = tag + lower[tag..].find('>')? + 1;
        let end = begin + lower[begin..].find("</title")?;
        page.get(begin..end)
    });
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&#x27;", "'"), ("&amp;", "&")];
    let title = title.unwrap_or_default().to_owned();
    entities.iter().fold(title, |title, (entity, character)| title.replace(entity, character))
}

/// Returns one line of at most [`MAX_REASON_CHARS`]: control characters and runs of white space become one space.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()).collect();
    let line = words.join(" ");
    if line.chars().count() <= MAX_REASON_CHARS {
        return line;
    }
    let mut cut: String = line.chars().take(MAX_REASON_CHARS - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use drumline::run::FailureKind;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn failure(status: u16, pairs: &[(&'static str, &str)], body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        match judge(status, &headers(pairs), body.as_bytes(), SystemTime::now()) {
            Verdict::Failed(failure) | Verdict::Suspicious(failure) => failure,
            Verdict::Done => unreachable!("{status} is no failure"),
        }
    }

    #[test]
    fn a_page_is_its_title() {
        let table = [
            (
                "<html><head><title>Oops: db down</title></head><body>..</body>",
                "500 Internal Server Error: Oops: db down",
            ),
            (
                "<!DOCTYPE html>\n<TITLE lang=en>\n a &lt;b&gt; &amp;\n c</TITLE>",
                "500 Internal Server Error: a <b> & c",
            ),
            ("<html><body>no title</body></html>", "500 Internal Server Error"),
            ("<html><title>cut", "500 Internal Server Error"),
            ("plain\r\n\ttext\u{0}", "500 Internal Server Error: plain text"),
            ("", "500 Internal Server Error"),
        ];
        for (body, reason) in table {
            assert_eq!(failure(500, &[], body).reason(), reason);
        }
        let failure = failure(500, &[("content-type", "text/html; charset=utf-8")], "x<title>t</title>");
        assert_eq!(failure.reason(), "500 Internal Server Error: t");
    }

    #[test]
    fn a_reason_is_one_line_of_two_hundred_characters() {
        let long = failure(500, &[], &"ü\n".repeat(500));
        assert_eq!(long.reason().chars().count(), MAX_REASON_CHARS);
        assert!(long.reason().ends_with('…') && !long.reason().contains('\n'));
    }

    #[test]
    fn explicit_words_win_over_the_status() {
        for status in [200, 302, 400, 404, 429, 500, 503] {
            let rejected = failure(status, &[(REJECT, "no such user"), (RETRY, "5s")], "body");
            assert_eq!(
                (rejected.kind(), rejected.reason()),
                (FailureKind::Reject, "no such user"),
                "{status}"
            );
            let delayed = failure(status, &[(RETRY, "5m"), ("retry-after", "7")], "");
            assert_eq!(delayed.kind(), FailureKind::RetryAfter(Duration::from_secs(300)), "{status}");
        }
        assert_eq!(
            failure(422, &[(RETRY, "soon")], "").kind(),
            FailureKind::Reject,
            "what cannot be read says nothing"
        );
        let done = judge(StatusCode::OK, &headers(&[(RETRY, "soon")]), b"", SystemTime::now());
        assert!(matches!(done, Verdict::Done), "what cannot be read says nothing");
        assert_eq!(failure(500, &[(REJECT, "")], "why").reason(), "500 Internal Server Error: why");
    }

    #[test]
    fn only_429_throttles_the_type() {
        let table = [
            (429, "7", FailureKind::Throttled(Some(Duration::from_secs(7)))),
            (429, "soon", FailureKind::Throttled(None)),
            (503, "7", FailureKind::RetryAfter(Duration::from_secs(7))),
            (425, "7", FailureKind::RetryAfter(Duration::from_secs(7))),
        ];
        for (status, after, kind) in table {
            assert_eq!(failure(status, &[("retry-after", after)], "").kind(), kind, "{status} {after}");
        }
        assert_eq!(failure(429, &[], "slow").kind(), FailureKind::Throttled(None));
        assert_eq!(failure(429, &[], "slow").reason(), "429 Too Many Requests: slow");
    }
}
