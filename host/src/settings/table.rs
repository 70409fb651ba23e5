//! Every setting, once: flags, environment, file, help and `drumline config` are all made from this table.

use crate::shown::Shown;

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The TOML key; upper case behind `DRUMLINE_` it is the environment variable, with dashes the flag.
    pub key: &'static str,
    /// The value if no source sets one; `None` for a setting without a default, or with one that depends on the queue.
    pub default: Option<&'static str>,
    /// A `[[queue]]` table may have its own.
    pub per_queue: bool,
    /// The file may give a list of texts as well as one text with commas.
    pub lists: bool,
    /// The form of a value, for the help.
    pub value: &'static str,
    /// Its effect, its unit and its bounds.
    pub help: &'static str,
    /// The part of a value that may be shown.
    pub shown: Shown,
}

const fn setting(
    key: &'static str,
    default: Option<&'static str>,
    per_queue: bool,
    value: &'static str,
    help: &'static str,
) -> Setting {
    Setting { key, default, per_queue, lists: false, value, help, shown: Shown::Text }
}

/// All settings, in the order in which they are explained.
pub const SETTINGS: &[Setting] = &[
    setting(
        "queue_url",
        None,
        false,
        "URL[,URL…]",
        "The queue, or several with commas. They replace the list of [[queue]] tables in the file: of those, only the tables of the named queues count, and there they override flags and variables",
    )
    .showing(Shown::Urls),
    setting(
        "concurrency",
        Some("32"),
        true,
        "N",
        "Handlers running at once per queue, 1 to 10000. If a queue has a weight, the slots that all queues of the process share; a queue's own is the most that it takes of them",
    ),
    setting(
        "weight",
        None,
        true,
        "N",
        "Worker: the queue's share of the process's slots beside the weights of the others, 1 to 1000, by the time that jobs take. If one queue has a weight, a max_age, or is critical, all queues share the slots, and those without a weight have 1. Default: each queue has slots of its own",
    ),
    setting(
        "max_age",
        None,
        true,
        "DURATION",
        "Worker: with weights, a queue whose messages wait longer than that for their first run gets the next slots, until they do not: with the critical queues up to half of all. At most 12h",
    ),
    setting(
        "priority",
        Some("normal"),
        true,
        "normal|critical",
        "Worker: a critical queue gets free slots before others, up to half of all, and a tenth of the slots, at least one, is kept for the critical queues",
    ),
    setting(
        "visibility_timeout",
        None,
        true,
        "DURATION",
        "How long a lease is asked for, and renewed: whole seconds, 1s to 12h. Default: the queue's own. Shorter brings a crashed worker's messages back sooner, and costs more renewals",
    ),
    setting(
        "wait_time",
        Some("20s"),
        true,
        "DURATION",
        "How long a receive waits for messages: whole seconds, 0s to 20s",
    ),
    setting(
        "handler_timeout",
        Some("15m"),
        true,
        "DURATION",
        "How long one attempt may take before it is cancelled and tried again. Single job types have their own in code (Job::TIMEOUT), or under [handler_timeout_by_type] in the file, which comes first",
    ),
    setting(
        "retry",
        Some("auto"),
        true,
        "POLICY",
        "The wait after a failed attempt: auto, exponential(first,factor,longest) or schedule(1m,5m,30m); single job types have their own in code (Job::retry), or under [retry_by_type] in the file, which comes first. auto starts at 1s and grows so that the receives that maxReceiveCount allows span at least 10 minutes",
    ),
    setting(
        "retry_jitter",
        None,
        true,
        "full|equal|none|added",
        "The spread of that wait: from nothing, from its half, not at all, or up to a quarter on top. Default: added with auto and with a schedule, which any of the first two would shorten; full with exponential",
    ),
    setting(
        "max_attempts",
        None,
        true,
        "N",
        "After how many failed attempts a job has failed for good, from 1. Runs that a shutdown stopped do not count. Single job types have their own in code (Job::MAX_ATTEMPTS), or under [max_attempts_by_type] in the file, which comes first. Default: no limit but the redrive policy's maxReceiveCount, which counts every receive and stays the outer bound",
    ),
    setting(
        "allow_unbounded",
        Some("false"),
        true,
        "true|false",
        "Consume a queue without a DLQ: what fails stays in it until its retention ends. A worker refuses such a queue otherwise. With max_attempts a job runs no more than that often, and its message is hidden for ever longer, up to 12h",
    ),
    setting(
        "permanent_failures",
        Some("redrive"),
        true,
        "redrive|dead-letter",
        "What has failed for good is moved by the queue's redrive policy, or copied to its DLQ with the reason and deleted",
    ),
    setting(
        "unknown_type",
        Some("retry"),
        true,
        "retry|reject",
        "A message of an unknown type or a newer version may be known after a deploy, or has failed for good",
    ),
    setting(
        "default_type",
        None,
        true,
        "TYPE",
        "The job type of every body that is no envelope, also of an object with a type but no payload, unless the message has the attribute messageType; 1 to 256 bytes. For schedulers, EventBridge Pipes, Laravel and Celery. Origins of SNS, EventBridge and S3 events are mapped to job types under [event_types] in the file",
    ),
    setting(
        "scope",
        None,
        true,
        "TEXT",
        "The scope within which a job's identity holds, 1 to 256 bytes. Default: the queue's ARN. Queues that share a scope share identity: a job that succeeded in one of them is deleted without a run in the others. Single job types under [scope_by_type] in the file",
    ),
    setting(
        "require",
        None,
        true,
        "FIELD[,FIELD]",
        "The fields that a message must have: idempotencyKey, jobId, or both. A message without them fails permanently, unrun. Ids that AWS assigned are no jobId; the id of a CloudEvent is. In the file also a list; single job types under [require_by_type]",
    )
    .or_list(),
    setting(
        "shutdown_grace",
        Some("25s"),
        false,
        "DURATION",
        "How long running handlers may go on after SIGTERM. Stopping takes up to 4s more: keep it below ECS's stopTimeout",
    ),
    setting(
        "deadline_margin",
        Some("1s"),
        false,
        "DURATION",
        "Lambda: how long before the function's timeout the response is out. Handlers are cancelled up to 3s before that",
    ),
    setting(
        "fifo_stop",
        Some("group"),
        false,
        "group|batch",
        "Lambda: what a failed FIFO message takes back with it: the rest of its message group, or of the whole batch, which then runs one after the other",
    ),
    setting(
        "all_failed",
        Some("list"),
        false,
        "list|error",
        "Lambda: where every message of a batch failed, list them all, or fail the invocation: that slows the polling down, and wakes alarms on errors",
    ),
    setting(
        "sqs_client",
        Some("auto"),
        false,
        "auto|lean|sdk",
        "What makes receives, deletes, renewals and sends: Drumline's own lean client, the AWS SDK's, or with `auto` the lean one, and the SDK's from the first request on that only the lean one fails to make",
    ),
    setting(
        "emf",
        None,
        false,
        "on|off",
        "Write metrics to standard output in CloudWatch's embedded metric format: a worker every minute and at its end, a function at the end of each invocation. Logs go to standard error. Default: on in a function, otherwise off",
    ),
    setting(
        "sqs_price",
        Some("0.40"),
        false,
        "DOLLARS",
        "The price of a million requests to SQS, for the metric drumline_sqs_dollars_per_million_jobs: it differs by region, and for FIFO queues",
    ),
    setting(
        "tenant_metrics",
        Some("off"),
        false,
        "on|off",
        "Count jobs and their dwell time by tenant, the message group of a standard queue: the 20 with the most starts of late by name, others as one. Off at first, since names of tenants are data",
    ),
    setting(
        "forward_to",
        None,
        false,
        "URL",
        "POST every message to this address instead of running handlers of this program",
    )
    .showing(Shown::SecretUrl),
    setting(
        "forward_health",
        None,
        false,
        "PATH",
        "Forward mode: the path that answers a GET with 2xx while the application is healthy. Without it, a paused worker tries connections, and after failing statuses one message at a time",
    ),
    setting(
        "forward_headers",
        None,
        false,
        "HEADERS",
        "Forward mode: headers of every request, one in a line: Name: value. A value @/path is read from that file, and so is a text @/path of such lines. No value is ever shown",
    )
    .showing(Shown::Nothing),
    setting(
        "payload_buckets",
        None,
        false,
        "BUCKET[/PREFIX][,…]",
        "The buckets from which payloads are read that SQS Extended Clients have put into S3, or the beginnings of their keys. Without it no pointer is followed, and such a message is retried. In the file also a list",
    )
    .or_list(),
    setting(
        "max_payload_size",
        Some("16MiB"),
        false,
        "SIZE",
        "The largest payload that is read from S3 or decompressed: 1KiB to 256MiB. A larger one fails permanently",
    ),
    setting(
        "payload_bucket",
        None,
        false,
        "BUCKET[/PREFIX]",
        "Sending: where the bodies of messages above payload_threshold are put, under keys that begin with PREFIX. Needs s3:PutObject, and a lifecycle rule that expires them later than SQS and its DLQs do",
    ),
    setting(
        "payload_threshold",
        Some("992KiB"),
        false,
        "SIZE",
        "Sending: the largest message, body and attributes, that is sent as it is: up to 1MiB",
    ),
    setting(
        "payload_compression",
        Some("off"),
        false,
        "off|gzip|zstd",
        "Sending: compress the bodies of messages above payload_threshold, and put them into payload_bucket only if they are still above it. Workers of this version and later decompress them",
    ),
    setting(
        "store_url",
        Some("memory:"),
        false,
        "URL",
        "Where claims, verdicts, histories and progress are kept: memory: (this process alone), file:PATH (this host alone), redis://HOST:6379/0, postgres://USER@HOST/DB, or dynamodb://TABLE. Workers on several hosts need one of the last three for effects to happen once",
    )
    .showing(Shown::SecretUrl),
    setting(
        "store_outage",
        Some("retry"),
        false,
        "retry|run",
        "While the store does not answer, jobs are tried again later, or run without a claim, so that effects may happen twice",
    ),
    setting(
        "done_ttl",
        Some("7d"),
        false,
        "DURATION",
        "How long it is remembered that a job is done, and what it left: a duplicate that comes later runs again",
    ),
    setting(
        "history_ttl",
        Some("14d"),
        false,
        "DURATION",
        "How long failed attempts, verdicts, progress and checkpoints are kept; the longest retention of a DLQ is 14d",
    ),
    setting(
        "outbox_url",
        None,
        false,
        "URL",
        "Where jobs wait until they are sent: postgres://USER@HOST/DB or redis://HOST:6379/0. `outbox run` sends them. Default: the store's URL if it is one of these",
    )
    .showing(Shown::SecretUrl),
    setting(
        "outbox_keep",
        Some("0s"),
        false,
        "DURATION",
        "How long jobs stay in the outbox after they were sent, for `outbox ls --state sent`: 0s (not at all) to 365d. Each then costs a write more",
    ),
    setting(
        "outbox_relay",
        Some("off"),
        false,
        "on|off",
        "With a PostgreSQL store: next jobs are added to its outbox in the transaction that marks their job as done, and the worker relays that outbox, all of it, to the queues of its own settings",
    ),
    setting(
        "timetable",
        Some("default"),
        false,
        "NAME",
        "The name of the timetable of the [[schedule]] tables. Services whose schedules differ, and that share an outbox, need different names: of the schedulers of one name, one fires at a time",
    ),
    setting(
        "legacy_records",
        Some("read"),
        false,
        "read|ignore",
        "read looks up the claims and histories that version 0.1 kept under its own keys; ignore, once they have expired, saves one read per claim on DynamoDB, and nothing measurable on Redis and PostgreSQL",
    ),
    setting(
        "task_protection",
        Some("off"),
        false,
        "on|off",
        "On ECS: protect the task from scale-in and deployments while a handler has run for longer than shutdown_grace, for handlers that outlast the stop timeout; needs ecs:UpdateTaskProtection",
    ),
    setting(
        "dlq_watch",
        Some("off"),
        false,
        "on|off",
        "Watch the DLQs of the queues, and report each new reason once: as a log line, a metric, and an alert. Of the workers that share a store, one does",
    ),
    setting(
        "dlq_watch_every",
        Some("30s"),
        false,
        "DURATION",
        "How often the depth of a DLQ is asked for: 1s to 1h. Each time is one request, and one to the store",
    ),
    setting(
        "dlq_alert_to",
        None,
        false,
        "URL|ARN",
        "Who is alerted of new reasons in a DLQ: a webhook that takes JSON with a field text, or an SNS topic (needs sns:Publish). Alerts have masked reasons and no payloads",
    )
    .showing(Shown::Nothing),
    setting(
        "dlq_alert_template",
        None,
        false,
        "PATH",
        "A JSON file that is sent instead of the usual alert, with fields such as {{text}}, {{reason}} or {{count}} filled in",
    ),
    setting(
        "dlq_alert_quiet",
        Some("1h"),
        false,
        "DURATION",
        "For how long a reason that was reported is not reported again; then once, with the number of letters that came meanwhile. At most 12h",
    ),
    setting(
        "dead_job_webhook",
        None,
        false,
        "URL",
        "POST each job after whose failure no attempt follows to this http or https URL, as JSON with its body, reason and history, before its message moves to the DLQ. The header Idempotency-Key is the same in each try",
    )
    .showing(Shown::Nothing),
    setting(
        "dead_job_webhook_headers",
        None,
        false,
        "HEADERS",
        "Headers of each request to dead_job_webhook, written as those of forward_headers. No value is ever shown",
    )
    .showing(Shown::Nothing),
    setting(
        "guards",
        Some("warn"),
        false,
        "MODE[,KIND=MODE…]",
        "Producers: what happens on names of secrets, JSON Web Tokens, card numbers, e-mail addresses and texts over 20 kB in a payload: warn once a type and field, deny (the first three kinds are refused), or off; single kinds (secret_name, jwt, card_number, personal_data, long_text) have their own mode as in warn,personal_data=deny. Values that identify themselves as secrets are always refused",
    )
    .or_list(),
    setting(
        "guard_allow",
        None,
        false,
        "TYPE:/POINTER[,…]",
        "Producers: fields of payloads that may have what the guards find, also secrets, by job type and JSON pointer, in which * stands for an index or a name, as in email.send:/to/*. With =KIND behind it for one kind alone",
    )
    .or_list(),
    setting(
        "http_addr",
        Some("127.0.0.1:9464"),
        false,
        "ADDRESS|off",
        "Where /livez, /readyz, /metrics, /jobs/ID, /gate and /control are served. Beyond the loopback interface the last three need http_token or allow_remote",
    ),
    setting(
        "http_token",
        None,
        false,
        "TEXT",
        "The secret with which clients read /jobs, /gate and /control, and give orders: Authorization: Bearer TEXT. At least 16 characters",
    )
    .showing(Shown::Nothing),
    setting(
        "allow_remote",
        Some("off"),
        false,
        "on|off",
        "Serve /jobs, /gate and GET /control without a token to every client that reaches http_addr, also beyond the loopback interface",
    ),
    setting(
        "http_hosts",
        None,
        false,
        "NAME[,NAME…]",
        "Names, besides localhost and IP addresses, that the Host of a request for /jobs or /gate may have",
    )
    .or_list(),
    setting(
        "tenant_share",
        None,
        true,
        "SHARE",
        "The share of a standard queue's concurrency that the messages of one MessageGroupId may have, such as 25%; at least one runs. Messages without a group are not limited. Of no effect on FIFO queues, whose groups run one message at a time",
    ),
    setting(
        "gate_depth",
        Some("off"),
        true,
        "SLOW,SHED|off",
        "The numbers of waiting messages, visible and delayed, from which /gate asks producers to slow down and refuses them, such as 10000,100000. A state is left below 80 % of its number",
    ),
    setting(
        "gate_age",
        Some("off"),
        true,
        "SLOW,SHED|off",
        "The same by how long messages wait for their first run, such as 1m,10m: the longest wait that this worker has seen in the last minute of receiving. Retries do not count. At most 14d",
    ),
    setting(
        "log_format",
        Some("auto"),
        false,
        "auto|json|pretty",
        "auto is pretty on a terminal and JSON elsewhere",
    ),
    setting(
        "log",
        Some("info"),
        false,
        "FILTER",
        "What is logged: error, warn, info, debug, or per module such as info,drumline=debug",
    ),
    setting(
        "job_log",
        Some("info"),
        false,
        "info|debug|1/N",
        "The level of the lines `started` and `done` of each job; 1/N logs those of one job in N at info and the others at debug. The other lines of a job's life keep their levels",
    ),
    setting(
        "attempt_log",
        Some("off"),
        false,
        "on|off",
        "Keep the last 64 log lines of each failed attempt, at most 4 KiB, with its history: `jobs show` prints them. They are the lines that the handler logs inside its attempt, at the level of `log`, without text that looks like a secret",
    ),
    setting(
        "trace_parent",
        Some("message"),
        false,
        "message|none",
        "OpenTelemetry: the parent of an attempt's span. message continues the sender's trace; none gives each attempt a trace of its own. With either, the span links to the sender's. Traces are exported if OTEL_EXPORTER_OTLP_ENDPOINT is set",
    ),
];

/// `DRUMLINE_WAIT_TIME` of `wait_time`.
pub(super) fn variable(key: &str) -> String {
    format!("DRUMLINE_{}", key.to_uppercase())
}

impl Setting {
    const fn showing(mut self, shown: Shown) -> Self {
        self.shown = shown;
        self
    }

    const fn or_list(mut self) -> Self {
        self.lists = true;
        self
    }

    /// Returns true if the flag alone stands for `true`.
    pub fn is_switch(&self) -> bool {
        self.value == "true|false"
    }

    /// `DRUMLINE_WAIT_TIME` of `wait_time`.
    pub fn variable(&self) -> String {
        variable(self.key)
    }

    /// `wait-time` of `wait_time`.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }
}
