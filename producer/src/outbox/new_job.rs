//! Jobs that a process adds to an outbox without sending them.

use std::sync::{Arc, LazyLock};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config};
use drumline::Job;
use serde::Serialize;

use crate::routes::{Others, Routes};
use crate::send_job::SendJob;

/// The checks of all these jobs, shared so that each warning is logged once. Its client is never used, because there is no
/// queue.
static NOWHERE: LazyLock<Arc<Routes>> = LazyLock::new(|| {
    let config = Config::builder().behavior_version(BehaviorVersion::latest()).build();
    Arc::new(Routes::new(Client::from_conf(config), Others::Nowhere))
});

/// Begins to add a job to an outbox. Options follow, and then [`SendJob::enqueue`] or [`SendJob::to_outbox_job`].
///
/// This needs no AWS settings and no [`Producer`](crate::Producer): the [`Relay`](super::Relay), which sends the job, knows the
/// queue of its type. The default guards apply; a producer's jobs ([`Producer::send`](crate::Producer::send)) use the
/// producer's guards and queues.
///
/// ```
/// use std::time::Duration;
/// use drumline_producer::outbox;
/// # use drumline::Job;
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Welcome { user_id: u64 }
/// # impl Job for Welcome {
/// #     const TYPE: &'static str = "email.welcome";
/// # }
///
/// let row = outbox::job(&Welcome { user_id: 7 }).group("acme").delay(Duration::from_secs(3 * 24 * 3600)).to_outbox_job()?;
/// assert_eq!((&*row.job_type, row.group.as_deref()), ("email.welcome", Some("acme")));
/// # Ok::<(), drumline_producer::ProduceError>(())
/// ```
pub fn job<J: Job + Serialize>(job: &J) -> SendJob {
    SendJob::new(Arc::clone(&NOWHERE), job)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use drumline_store::outbox::Due;

    use super::*;
    use crate::error::ProduceError;

    #[derive(Serialize, serde::Deserialize)]
    struct Greet {
        name: String,
    }

    impl Job for Greet {
        const TYPE: &'static str = "greet";
        const VERSION: u32 = 3;
    }

    fn greet(name: &str) -> SendJob {
        job(&Greet { name: name.to_owned() })
    }

    #[test]
    fn a_job_has_its_options_and_no_queue() {
        let row = greet("Ada")
            .group("g")
            .delay(Duration::from_secs(86_400))
            .idempotency_key("k")
            .correlation("c")
            .attribute("tenant", "acme")
            .to_outbox_job()
            .unwrap();
        assert_eq!((&*row.job_type, row.schema_version, &*row.payload), ("greet", 3, r#"{"name":"Ada"}"#));
        assert_eq!((row.queue.as_deref(), row.group.as_deref()), (None, Some("g")));
        assert_eq!(row.due, Due::After(Duration::from_secs(86_400)));
        let keys = (row.idempotency_key.as_deref(), row.correlation_id.as_deref());
        assert_eq!((keys, &*row.attributes["tenant"]), ((Some("k"), Some("c")), "acme"));
        assert_eq!(row.id.len(), 26);
    }

    #[test]
    fn a_job_that_could_not_be_sent_is_refused_by_its_field() {
        let table = [
            (greet("AKIAIOSFODNN7EXAMPLE"), "payload.name"),
            (greet(&"x".repeat(1 << 20)), "payload.name"),
            (greet("Ada").group("a b"), "group"),
            (greet("Ada").dedup("d"), "dedup"),
            (greet("Ada").attribute("AWS.x", "x"), "attribute AWS.x"),
            (greet("Ada").traceparent("no"), "traceparent"),
        ];
        for (job, field) in table {
            match job.to_outbox_job() {
                Err(ProduceError::Refused(refusal)) => assert_eq!(refusal.field, field, "{refusal}"),
                other => panic!("{field}: {other:?}"),
            }
        }
    }
}
