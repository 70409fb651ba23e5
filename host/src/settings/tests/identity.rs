//! The settings that a job's identity depends on, and the tables by name.

use super::*;

const BOTH: RequiredFields = RequiredFields { idempotency_key: true, job_id: true };
const KEY: RequiredFields = RequiredFields { idempotency_key: true, job_id: false };
const JOB_ID: RequiredFields = RequiredFields { idempotency_key: false, job_id: true };
const NOTHING: RequiredFields = RequiredFields { idempotency_key: false, job_id: false };

/// Reads settings whose only queue is `JOBS`.
fn read_jobs(flags: &[(&str, &str)], environment: &[(&str, &str)], file: &str) -> Settings {
    let environment = [environment, &[("DRUMLINE_QUEUE_URL", JOBS)]].concat();
    read(flags, &environment, file).unwrap()
}

/// Returns the problems with a file's settings, each as `place: text`.
fn problems(environment: &[(&str, &str)], file: &str) -> Vec<String> {
    let environment = [environment, &[("DRUMLINE_QUEUE_URL", JOBS)]].concat();
    let problems = read(&[], &environment, file).unwrap_err();
    problems.list.into_iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect()
}

/// Returns the entries of `drumline config` whose key begins with `prefix`, as queue, key, value and origin.
fn effective(settings: &Settings, prefix: &str) -> Vec<(String, String, String, Origin)> {
    let entries = settings.effective.iter().filter(|entry| entry.key.starts_with(prefix));
    let name = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    let entry = |entry: &Effective| {
        let queue = entry.queue.as_deref().map(name).unwrap_or_default();
        (queue, entry.key.clone(), entry.value.clone().unwrap_or_default(), entry.origin.clone())
    };
    entries.map(entry).collect()
}

#[test]
fn nothing_is_required_or_named_by_default() {
    let settings = read_jobs(&[], &[], "");
    let queue = &settings.queues[0];
    assert_eq!((&queue.scope, &queue.default_type, queue.require), (&None, &None, NOTHING));
    assert!(queue.scope_by_type.is_empty() && queue.require_by_type.is_empty());
    assert!(queue.event_types.is_empty() && queue.retry_by_type.is_empty());
    assert!(settings.legacy_records);
    let origin = |key: &str| settings.effective.iter().find(|e| e.key == key).unwrap().origin.clone();
    assert_eq!(origin("scope"), Origin::Queue, "the queue's ARN");
    assert_eq!(origin("default_type"), Origin::Default);
    assert_eq!(origin("require"), Origin::Default);
}

#[test]
fn queue_tables_beat_flags_beat_variables_beat_the_file() {
    let top = "scope = \"file\"\ndefault_type = \"t.file\"\nrequire = \"jobId\"\n";
    let own = format!(
        "{top}[[queue]]\nurl = \"{JOBS}\"\nscope = \"own\"\ndefault_type = \"t.own\"\nrequire = [\"idempotencyKey\"]"
    );
    let environment = [
        ("DRUMLINE_SCOPE", "env"),
        ("DRUMLINE_DEFAULT_TYPE", "t.env"),
        ("DRUMLINE_REQUIRE", "idempotencyKey,jobId"),
    ];
    let empty = [("DRUMLINE_SCOPE", ""), ("DRUMLINE_DEFAULT_TYPE", ""), ("DRUMLINE_REQUIRE", "")];
    let flags = [("scope", "flag"), ("default_type", "t.flag"), ("require", "idempotencyKey")];
    let table: [(&[_], &[_], &str, &str, RequiredFields, Origin); 5] = [
        (&flags, &environment, &own, "own", KEY, Origin::QueueTable),
        (&flags, &environment, top, "flag", KEY, Origin::Flag),
        (&[], &environment, top, "env", BOTH, Origin::Environment),
        (&[], &empty, top, "file", JOB_ID, Origin::File),
        (&[], &[], top, "file", JOB_ID, Origin::File),
    ];
    for (flags, environment, file, name, require, origin) in table {
        let settings = read_jobs(flags, environment, file);
        let queue = &settings.queues[0];
        assert_eq!(queue.scope.as_deref(), Some(name));
        assert_eq!(queue.default_type.as_deref(), Some(&*format!("t.{name}")));
        assert_eq!(queue.require, require, "{name}");
        for key in ["scope", "default_type", "require"] {
            assert_eq!(effective(&settings, key)[0].3, origin, "{key} of {name}");
        }
    }
}

#[test]
fn required_fields_are_a_text_or_a_list() {
    let table = [
        ("\"jobId\"", JOB_ID),
        ("\"idempotencyKey\"", KEY),
        ("\"jobId,idempotencyKey\"", BOTH),
        ("\" idempotencyKey , jobId \"", BOTH),
        ("[\"jobId\"]", JOB_ID),
        ("[\"jobId\", \"idempotencyKey\"]", BOTH),
        ("[\"jobId\", \"jobId\"]", JOB_ID),
        ("[]", NOTHING),
        ("\"\"", NOTHING),
    ];
    for (value, expected) in table {
        let file = format!("require = {value}\n[require_by_type]\n\"a.b\" = {value}");
        let settings = read_jobs(&[], &[], &file);
        assert_eq!(settings.queues[0].require, expected, "{value}");
        assert_eq!(settings.queues[0].require_by_type["a.b"], expected, "{value}");
    }
}

#[test]
fn a_queue_lifts_what_all_queues_require() {
    let file = format!(
        "require = \"jobId\"\n[require_by_type]\n\"a.b\" = \"jobId\"\n\
         [[queue]]\nurl = \"{JOBS}\"\nrequire = []\n[queue.require_by_type]\n\"a.b\" = []\n\
         [[queue]]\nurl = \"{MAIL}\""
    );
    let settings = read(&[], &[], &file).unwrap();
    let [jobs, mail] = &settings.queues[..] else { panic!("two queues") };
    assert_eq!((jobs.require, jobs.require_by_type["a.b"]), (NOTHING, NOTHING));
    assert_eq!((mail.require, mail.require_by_type["a.b"]), (JOB_ID, JOB_ID));
}

#[test]
fn a_queues_tables_extend_and_override_those_of_the_top_level() {
    let file = format!(
        "[retry_by_type]\n\"a.b\" = \"10s\"\n\
         [scope_by_type]\n\"a.b\" = \"all\"\n\"c.d\" = \"all\"\n\
         [require_by_type]\n\"a.b\" = \"jobId\"\n\"c.d\" = \"jobId\"\n\
         [event_types]\n\"arn:aws:sns:eu-west-1:123456789012:orders\" = \"order.created\"\n\"Object Created\" = \"file.new\"\n\
         [[queue]]\nurl = \"{JOBS}\"\n\
         [queue.scope_by_type]\n\"c.d\" = \"own\"\n\"e.f\" = \"own\"\n\
         [queue.require_by_type]\n\"c.d\" = [\"idempotencyKey\", \"jobId\"]\n\"e.f\" = []\n\
         [queue.event_types]\n\"Object Created\" = \"image.new\"\nuploads = \"image.uploaded\"\n\
         [[queue]]\nurl = \"{MAIL}\""
    );
    let settings = read(&[], &[], &file).unwrap();
    let [jobs, mail] = &settings.queues[..] else { panic!("two queues") };
    let texts = |table: &HashMap<String, Arc<str>>| -> Vec<String> {
        let mut texts: Vec<String> = table.iter().map(|(name, value)| format!("{name}={value}")).collect();
        texts.sort();
        texts
    };
    let orders = "arn:aws:sns:eu-west-1:123456789012:orders=order.created";
    assert_eq!(texts(&jobs.scope_by_type), ["a.b=all", "c.d=own", "e.f=own"]);
    assert_eq!(texts(&mail.scope_by_type), ["a.b=all", "c.d=all"]);
    assert_eq!(texts(&jobs.event_types), ["Object Created=image.new", orders, "uploads=image.uploaded"]);
    assert_eq!(texts(&mail.event_types), ["Object Created=file.new", orders]);
    let require = |name: &str, fields| (name.to_owned(), fields);
    let own = [require("a.b", JOB_ID), require("c.d", BOTH), require("e.f", NOTHING)];
    assert_eq!(jobs.require_by_type, HashMap::from(own));
    assert_eq!(mail.require_by_type, HashMap::from([require("a.b", JOB_ID), require("c.d", JOB_ID)]));

    // `drumline config` shows what is in force for each queue.
    let entry =
        |queue: &str, key: &str, value: &str, origin| (queue.into(), key.into(), value.into(), origin);
    let shown = [
        entry("jobs", "scope_by_type.a.b", "all", Origin::File),
        entry("jobs", "scope_by_type.c.d", "own", Origin::QueueTable),
        entry("jobs", "scope_by_type.e.f", "own", Origin::QueueTable),
        entry("mail", "scope_by_type.a.b", "all", Origin::File),
        entry("mail", "scope_by_type.c.d", "all", Origin::File),
    ];
    assert_eq!(effective(&settings, "scope_by_type."), shown);
    assert_eq!(
        effective(&settings, "require_by_type.")[..3],
        [
            entry("jobs", "require_by_type.a.b", "jobId", Origin::File),
            entry("jobs", "require_by_type.c.d", "idempotencyKey, jobId", Origin::QueueTable),
            entry("jobs", "require_by_type.e.f", "", Origin::QueueTable),
        ]
    );
    assert_eq!(
        effective(&settings, "retry_by_type."),
        [
            entry("jobs", "retry_by_type.a.b", "10s", Origin::File),
            entry("mail", "retry_by_type.a.b", "10s", Origin::File),
        ]
    );
    assert_eq!(effective(&settings, "event_types.").len(), 5);
}

#[test]
fn a_queue_outside_the_settings_has_the_top_levels_tables() {
    let file = format!(
        "scope = \"all\"\n[scope_by_type]\n\"a.b\" = \"top\"\n\
         [[queue]]\nurl = \"{JOBS}\"\nscope = \"own\"\n[queue.scope_by_type]\n\"a.b\" = \"own\""
    );
    let settings = read(&[], &[], &file).unwrap();
    let scopes = |url: &str| {
        let queue = settings.for_queue(&Url::parse(url).unwrap());
        (queue.scope.unwrap().to_string(), queue.scope_by_type["a.b"].to_string())
    };
    assert_eq!(scopes(JOBS), ("own".to_owned(), "own".to_owned()));
    assert_eq!(scopes(MAIL), ("all".to_owned(), "top".to_owned()));
}

#[test]
fn names_and_texts_may_be_as_long_as_an_identity_takes() {
    let longest = "ä".repeat(128);
    let origin = "o".repeat(1024);
    let file = format!(
        "scope = \"{longest}\"\ndefault_type = \"{longest}\"\n[scope_by_type]\n\"{longest}\" = \"{longest}\"\n\
         [event_types]\n\"{origin}\" = \"{longest}\""
    );
    let settings = read_jobs(&[], &[], &file);
    let queue = &settings.queues[0];
    assert_eq!(queue.scope.as_deref(), Some(&*longest));
    assert_eq!(queue.scope_by_type[&longest], queue.event_types[&origin]);
}

#[test]
fn legacy_records_are_read_unless_a_setting_ignores_them() {
    let table: [(&[_], &[_], &str, bool); 4] = [
        (&[], &[], "legacy_records = \"ignore\"", false),
        (&[], &[("DRUMLINE_LEGACY_RECORDS", "read")], "legacy_records = \"ignore\"", true),
        (&[("legacy_records", "ignore")], &[("DRUMLINE_LEGACY_RECORDS", "read")], "", false),
        (&[], &[("DRUMLINE_LEGACY_RECORDS", "")], "", true),
    ];
    for (flags, environment, file, expected) in table {
        assert_eq!(
            read_jobs(flags, environment, file).legacy_records,
            expected,
            "{flags:?} {environment:?} {file}"
        );
    }
}

#[test]
fn each_bad_value_is_a_problem_with_its_place() {
    let long = "x".repeat(257);
    let text = "must be 1 to 256 bytes without control characters";
    let fields = "must be idempotencyKey, jobId, or both with a comma between them";
    let items = "must be a list of texts, each neither empty nor with a comma";
    let table = [
        ("scope = \"\"", format!("scope = \"\" (file): {text}")),
        ("scope = \"a\\tb\"", format!("scope = \"a\\tb\" (file): {text}")),
        (&format!("scope = \"{long}\""), format!("scope = \"{long}\" (file): {text}")),
        ("scope = [\"a\"]", "scope: must be a text or a number; values of single job types go under [scope_by_type]".into()),
        ("[scope]\n\"a.b\" = \"x\"", "scope: must be a text or a number; values of single job types go under [scope_by_type]".into()),
        ("default_type = \"\"", format!("default_type = \"\" (file): {text}")),
        ("default_type = \"a\\u0000\"", format!("default_type = \"a\\0\" (file): {text}")),
        ("default_type = [\"a\"]", "default_type: must be a text or a number".into()),
        ("require = \"jobid\"", format!("require = \"jobid\" (file): {fields}")),
        ("require = \"jobId,\"", format!("require = \"jobId,\" (file): {fields}")),
        ("require = \"jobId idempotencyKey\"", format!("require = \"jobId idempotencyKey\" (file): {fields}")),
        ("require = [\"jobId\", \"key\"]", format!("require = \"jobId, key\" (file): {fields}")),
        ("require = [\"\"]", format!("require: {items}; values of single job types go under [require_by_type]")),
        ("require = [1]", format!("require: {items}; values of single job types go under [require_by_type]")),
        ("require = [\"jobId,idempotencyKey\"]", format!("require: {items}; values of single job types go under [require_by_type]")),
        ("[require]\n\"a.b\" = []", "require: must be a text or a list of texts; values of single job types go under [require_by_type]".into()),
        ("legacy_records = \"yes\"", "legacy_records = \"yes\" (file): must be one of read, ignore".into()),
        ("retry_by_type = \"x\"", "retry_by_type: must be a table of job types and their retry policies: [retry_by_type]".into()),
        ("scope_by_type = \"x\"", "scope_by_type: must be a table of job types and their scopes: [scope_by_type]".into()),
        ("require_by_type = [\"jobId\"]", "require_by_type: must be a table of job types and the fields that they require: [require_by_type]".into()),
        ("[[event_types]]\na = \"b\"", "event_types: must be a table of topics, detail-types, sources or buckets, and their job types: [event_types]".into()),
        ("[scope_by_type]\n\"a.b\" = \"\"", format!("scope_by_type.a.b = \"\": {text}")),
        ("[scope_by_type]\n\"a.b\" = [\"x\"]", "scope_by_type.a.b: must be a text or a number".into()),
        ("[scope_by_type]\nemail.send = \"x\"", "scope_by_type.email: must be a text or a number; put a name that contains dots in quotes: \"email.…\" = …".into()),
        ("[scope_by_type]\n\"\" = \"x\"", format!("scope_by_type.\"\": the name {text}")),
        ("[scope_by_type]\n\"a\\n\" = \"x\"", format!("scope_by_type.\"a\\n\": the name {text}")),
        ("[require_by_type]\n\"a.b\" = \"id\"", format!("require_by_type.a.b = \"id\": {fields}")),
        ("[require_by_type]\n\"a.b\" = [[]]", format!("require_by_type.a.b: {items}")),
        ("[event_types]\nuploads = \"\"", format!("event_types.uploads = \"\": {text}")),
        ("[event_types]\n\"\" = \"a.b\"", "event_types.\"\": the name must be 1 to 1024 bytes without control characters".into()),
        ("[retry_by_type]\n\"a.b\" = 1979-05-27", "retry_by_type.a.b: must be a text or a number".into()),
    ];
    for (file, expected) in table {
        assert_eq!(problems(&[], file), [expected], "{file}");
    }
}

#[test]
fn a_problem_in_a_queues_table_names_the_queue() {
    let file = format!(
        "[[queue]]\nurl = \"{MAIL}\"\n\
         [[queue]]\nurl = \"{JOBS}\"\nlegacy_records = \"read\"\n\
         [queue.scope_by_type]\n\"email.send\" = [1]\n\"email.read\" = \"\"\n\
         [queue.retry_by_type]\n\"a.b\" = \"linear(1s)\""
    );
    let problems = problems(&[], &file);
    let begins = [
        "[[queue]] 2: legacy_records: no such setting; there are concurrency, ",
        "[[queue]] 2: scope_by_type.email.send: must be a text",
        "[[queue]] 2: retry_by_type.a.b = \"linear(1s)\": ",
        "[[queue]] 2: scope_by_type.email.read = \"\": must be 1 to 256 bytes",
    ];
    assert_eq!(problems.len(), begins.len(), "{problems:#?}");
    for (problem, begin) in problems.iter().zip(begins) {
        assert!(problem.starts_with(begin), "{begin} in {problems:#?}");
    }
    let tables = "[handler_timeout_by_type], [retry_by_type], [max_attempts_by_type], [scope_by_type], \
                  [require_by_type], [event_types]";
    assert!(problems[0].ends_with(tables), "{}", problems[0]);
}

#[test]
fn a_problem_at_the_top_level_is_reported_once_for_all_queues() {
    let file =
        format!("[event_types]\nuploads = \"\"\n[[queue]]\nurl = \"{JOBS}\"\n[[queue]]\nurl = \"{MAIL}\"\n");
    let problems = read(&[], &[], &file).unwrap_err().list;
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn a_bad_variable_is_a_problem() {
    let text = "must be 1 to 256 bytes without control characters";
    let table = [
        ("SCOPE", "a\nb", format!("DRUMLINE_SCOPE = \"a\\nb\": {text}")),
        ("DEFAULT_TYPE", "\u{7f}", format!("DRUMLINE_DEFAULT_TYPE = \"\\u{{7f}}\": {text}")),
        (
            "REQUIRE",
            "key",
            "DRUMLINE_REQUIRE = \"key\": must be idempotencyKey, jobId, or both with a comma between them"
                .into(),
        ),
        ("LEGACY_RECORDS", "true", "DRUMLINE_LEGACY_RECORDS = \"true\": must be one of read, ignore".into()),
        (
            "EVENT_TYPES",
            "a=b",
            "DRUMLINE_EVENT_TYPES: a table cannot be a variable; write [event_types] in the file".into(),
        ),
        (
            "SCOPE_BY_TYPE",
            "x",
            "DRUMLINE_SCOPE_BY_TYPE: a table cannot be a variable; write [scope_by_type] in the file".into(),
        ),
    ];
    for (name, value, expected) in table {
        assert_eq!(problems(&[(&format!("DRUMLINE_{name}"), value)], ""), [expected], "{name}");
    }
    let empty = [("DRUMLINE_QUEUE_URL", JOBS), ("DRUMLINE_EVENT_TYPES", "")];
    assert!(read(&[], &empty, "").is_ok(), "an empty variable counts as unset");
}
