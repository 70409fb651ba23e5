//! The job that `dev` suggests to send by hand; its type has a handler in the router.

use drumline::Router;

use crate::service::DevExample;

/// The suffix of every FIFO queue's name.
pub(super) const FIFO_SUFFIX: &str = ".fifo";

/// A job type that no service has, for a queue that another program consumes.
const ANY_TYPE: &str = "my.job";

/// A payload that is valid JSON, for a type whose payload is not known.
const ANY_PAYLOAD: &str = "{}";

/// A message that is no job, for a router that accepts every body unchanged.
const ANY_BODY: &str = "hello";

/// A message to send by hand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Example {
    /// A job: its type and two payloads, so that the second job is no duplicate of the first.
    Job(String, [String; 2]),
    /// A message that is no job.
    Raw,
}

impl Example {
    /// Returns the example for a consumer with this router: the first of the service's examples that has a handler, otherwise a
    /// job of the router's first type.
    pub(super) fn of(router: &Router, examples: &[DevExample]) -> Self {
        let has = |job_type: &str| router.types().any(|known| known == job_type);
        match (examples.iter().find(|example| has(&example.job_type)), router.types().next()) {
            (Some(example), _) => Self::from(example),
            (None, Some(first)) => Self::plain(first),
            (None, None) => Self::Raw,
        }
    }

    /// Returns the example for a queue that another program consumes, whose types are not known.
    pub(super) fn of_any(examples: &[DevExample]) -> Self {
        examples.first().map_or_else(|| Self::plain(ANY_TYPE), Self::from)
    }

    fn plain(job_type: &str) -> Self {
        Self::Job(job_type.to_owned(), [ANY_PAYLOAD.to_owned(), ANY_PAYLOAD.to_owned()])
    }

    /// Returns the sentence that asks the user to send it.
    pub(super) fn request(&self) -> &'static str {
        match self {
            Self::Job(..) => "Send a job",
            Self::Raw => "Send a message",
        }
    }

    /// Returns the commands that send it to the queue at `queue_url` of this endpoint: one of this `program`, and one of the
    /// AWS CLI. Each line is indented.
    pub(super) fn commands(&self, program: &str, endpoint: &str, queue_url: &str) -> String {
        let (group, message_group) =
            if queue_url.ends_with(FIFO_SUFFIX) { (" --group a", " --message-group-id a") } else { ("", "") };
        let aws = |body: &str| {
            format!(
                "  AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x aws sqs send-message --region us-east-1 \\\n    \
                 --endpoint-url {endpoint} --queue-url {queue_url}{message_group} \\\n    --message-body {}",
                quoted(body)
            )
        };
        match self {
            // `send` accepts only jobs.
            Self::Raw => aws(ANY_BODY),
            Self::Job(job_type, [payload, other]) => format!(
                "  {program} send --queue-url {queue_url}{group} --type {} \\\n    --payload {}\n{}",
                if is_plain(job_type) { job_type.clone() } else { quoted(job_type) },
                quoted(payload),
                aws(&format!(r#"{{"type":{},"payload":{other}}}"#, serde_json::json!(job_type)))
            ),
        }
    }
}

impl From<&DevExample> for Example {
    fn from(example: &DevExample) -> Self {
        Self::Job(example.job_type.clone(), example.payloads.clone())
    }
}

/// Returns true if a shell reads the word unchanged.
pub(super) fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':'))
}

/// Quotes a text as one word for a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use drumline::{Context, Failure, Job};

    use super::*;

    #[derive(serde::Deserialize)]
    struct Charge {}

    impl Job for Charge {
        const TYPE: &'static str = "charge";
    }

    #[derive(serde::Deserialize)]
    struct Refund {}

    impl Job for Refund {
        const TYPE: &'static str = "refund";
    }

    async fn charge(_: Context, _: Charge) -> Result<(), Failure> {
        Ok(())
    }

    async fn refund(_: Context, _: Refund) -> Result<(), Failure> {
        Ok(())
    }

    async fn raw(_: Context) -> Result<(), Failure> {
        Ok(())
    }

    fn given(job_type: &str) -> DevExample {
        DevExample { job_type: job_type.to_owned(), payloads: ["1".to_owned(), "2".to_owned()] }
    }

    fn job(job_type: &str, payloads: [&str; 2]) -> Example {
        Example::Job(job_type.to_owned(), payloads.map(str::to_owned))
    }

    #[test]
    fn the_advised_job_is_of_a_type_that_the_router_has() {
        let both = || Router::new().handle(refund).handle(charge);
        let table = [
            (both(), vec![], job("charge", ["{}", "{}"])),
            (both(), vec![given("refund")], job("refund", ["1", "2"])),
            (both(), vec![given("mail"), given("refund"), given("charge")], job("refund", ["1", "2"])),
            (both(), vec![given("mail")], job("charge", ["{}", "{}"])),
            (Router::passthrough(raw), vec![], Example::Raw),
            (Router::passthrough(raw), vec![given("mail")], Example::Raw),
        ];
        for (router, examples, expected) in table {
            assert_eq!(Example::of(&router, &examples), expected, "{examples:?}");
        }
        assert_eq!(Example::of_any(&[given("mail")]), job("mail", ["1", "2"]));
        assert_eq!(Example::of_any(&[]), job("my.job", ["{}", "{}"]));
    }

    #[test]
    fn the_commands_can_be_pasted_into_a_shell() {
        let text = job("charge", [r#"{"a":1}"#, r#"{"a":2}"#]).commands("orders", "http://e", "http://e/q");
        assert!(text.starts_with(
            "  orders send --queue-url http://e/q --type charge \\\n    --payload '{\"a\":1}'\n"
        ));
        assert!(text.ends_with(r#"--message-body '{"type":"charge","payload":{"a":2}}'"#), "{text}");
        let text = job("it's \"x\"", ["1", "2"]).commands("orders", "http://e", "http://e/q");
        assert!(text.contains(r#"--type 'it'\''s "x"'"#), "{text}");
        assert!(text.ends_with(r#"--message-body '{"type":"it'\''s \"x\"","payload":2}'"#), "{text}");
        let text = job("charge", ["1", "2"]).commands("orders", "http://e", "http://e/q.fifo");
        assert!(
            text.contains("q.fifo --group a ") && text.contains("q.fifo --message-group-id a "),
            "{text}"
        );
        let text = Example::Raw.commands("orders", "http://e", "http://e/q");
        assert!(!text.contains("orders") && text.ends_with("--message-body 'hello'"), "{text}");
    }
}
