//! Variables as environments have them: blank, padded, misspelt, injected, not Unicode.

use super::*;
use crate::service::Service;
use drumline::Router;
use proptest::prelude::*;
use tokio::runtime::Handle;

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::of(variables.iter().copied())
}

fn read_from(environment: &Environment) -> Result<Settings, Problems> {
    environment.settings(&BTreeMap::new(), None)
}

#[test]
fn a_blank_variable_is_unset_and_values_are_trimmed() {
    for blank in ["", " ", "\t\r\n"] {
        let mut variables: Vec<(String, String)> =
            SETTINGS.iter().map(|setting| (setting.variable(), blank.to_owned())).collect();
        variables.extend(TABLES.map(|name| (name.to_owned(), blank.to_owned())));
        variables.push(("DRUMLINE_QUEUE_URL".to_owned(), format!(" {JOBS}\n")));
        variables.push(("DRUMLINE_CONCURRENCY".to_owned(), " 7 ".to_owned()));
        let settings = read_from(&Environment::of(variables)).unwrap();
        assert_eq!(settings.queues[0].url.as_str(), JOBS);
        assert_eq!(settings.queues[0].concurrency.get(), 7);
        assert_eq!(settings.shutdown_grace.as_secs(), 25, "{blank:?}");
        assert!(settings.unknown_variables.is_empty());
    }
}

const TABLES: [&str; 5] = [
    "DRUMLINE_CONFIG",
    "DRUMLINE_RETRY_BY_TYPE",
    "DRUMLINE_SCOPE_BY_TYPE",
    "DRUMLINE_REQUIRE_BY_TYPE",
    "DRUMLINE_EVENT_TYPES",
];

#[test]
fn flags_and_the_file_are_trimmed_too() {
    let file = format!("wait_time = \" 3s \"\n[[queue]]\nurl = \" {JOBS} \"\nhandler_timeout = \"1m\\n\"");
    let settings = read(&[("concurrency", " 5 ")], &[], &file).unwrap();
    let queue = &settings.queues[0];
    assert_eq!((queue.concurrency.get(), queue.wait_time.as_secs()), (5, 3));
    assert_eq!(queue.handler_timeout.as_secs(), 60);
}

#[test]
fn misspelt_variables_are_errors_and_unknown_ones_warnings() {
    let given = environment(&[
        ("DRUMLINE_QUEUE_URL", JOBS),
        ("DRUMLINE_FORWARD_URL", "http://user:s3cret@127.0.0.1:8080/"),
        ("DRUMLINE_BILLING_ADDRESS", "x"),
        ("DRUMLINE_VERSION", "1"),
        ("DRUMLINE_SERVICE_HOST", "10.0.0.1"),
        ("DRUMLINE_PORT_9464_TCP", "tcp://10.0.0.1:9464"),
        ("OTHER_CONCURENCY", "1"),
    ]);
    let problems = read_from(&given.clone().declare(&["DRUMLINE_BILLING_URL"])).unwrap_err();
    let texts: Vec<String> = problems.list.iter().map(|p| format!("{}: {}", p.place, p.text)).collect();
    assert_eq!(
        texts,
        [
            "DRUMLINE_BILLING_ADDRESS: no such setting; did you mean DRUMLINE_BILLING_URL?",
            "DRUMLINE_FORWARD_URL: no such setting; did you mean DRUMLINE_FORWARD_TO?",
        ]
    );
    let declared = given.declare(&["DRUMLINE_FORWARD_URL", "DRUMLINE_BILLING_ADDRESS"]);
    let unknown = read_from(&declared).unwrap().unknown_variables;
    assert_eq!(unknown, [UnknownVariable { name: "DRUMLINE_VERSION".to_owned(), meant: None }]);
}

#[test]
fn a_misspelt_variable_stops_no_function_and_is_listed() {
    let misspelt = [("DRUMLINE_VISIBILTY_TIMEOUT", "30s"), ("DRUMLINE_VERSION", "1")];
    let settings = environment(&misspelt).settings_of_function().unwrap();
    let texts: Vec<String> = settings.unknown_variables.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "DRUMLINE_VERSION: no setting of this version, and ignored",
            "DRUMLINE_VISIBILTY_TIMEOUT: no such setting; did you mean DRUMLINE_VISIBILITY_TIMEOUT?",
        ]
    );
    let wrong = environment(&[misspelt[0], ("DRUMLINE_CONCURRENCY", "0")]);
    let problems = wrong.settings_of_function().unwrap_err();
    let places: Vec<&str> = problems.list.iter().map(|problem| &*problem.place).collect();
    assert_eq!(places, ["DRUMLINE_CONCURRENCY = \"0\"", "DRUMLINE_VISIBILTY_TIMEOUT"]);
}

#[test]
fn a_misspelt_key_of_the_file_names_the_one_that_was_meant() {
    let file = format!("forward_url = \"http://a/\"\n[[queue]]\nurl = \"{JOBS}\"\nretries = \"1s\"");
    let problems = read(&[], &[], &file).unwrap_err().to_string();
    assert!(problems.contains("forward_url: no such setting; did you mean forward_to?"), "{problems}");
    assert!(problems.contains("[[queue]] 1: retries: no such setting; did you mean retry?"), "{problems}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_unicode_is_a_problem_with_its_name() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let given = Environment::of([
        (OsStr::new("DRUMLINE_QUEUE_URL"), OsStr::new(JOBS)),
        (OsStr::new("DRUMLINE_SMTP_URL"), OsStr::from_bytes(b"smtp://\xff")),
        (OsStr::from_bytes(b"\xff"), OsStr::new("a")),
    ]);
    let problems = read_from(&given).unwrap_err();
    assert_eq!(problems.to_string(), "1 problem with the settings:\n  DRUMLINE_SMTP_URL: is not Unicode");
}

#[test]
fn a_wrong_value_names_its_source_and_what_would_be_right() {
    let table = [
        ("DRUMLINE_QUEUE_URL", "jobs/", "is not a URL"),
        ("DRUMLINE_QUEUE_URL", "ftp://a/b", "looks like https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"),
        ("DRUMLINE_FORWARD_TO", "app:8080", "the application's http:// or https:// address"),
        ("DRUMLINE_FORWARD_TO", "http://", "is not a URL"),
        ("DRUMLINE_STORE_URL", "mysql://a", "a store is memory:, file:PATH, redis://"),
        ("DRUMLINE_STORE_URL", "nonsense", "not a URL"),
        ("DRUMLINE_RETRY", "foo", "auto, exponential(1s,2,5m) or schedule(1m,5m,30m)"),
        ("DRUMLINE_RETRY", "exponential(1s)", "exponential(first,factor,longest)"),
        ("DRUMLINE_LOG", "inof", "did you mean info?"),
        ("DRUMLINE_HTTP_ADDR", "localhost", "127.0.0.1:9464, or off"),
        ("DRUMLINE_CONFIG", "/nonexistent.toml", "cannot be read"),
    ];
    for (name, value, says) in table {
        let given = environment(&[("DRUMLINE_QUEUE_URL", JOBS), (name, value)]);
        let problems = read_from(&given).unwrap_err();
        assert_eq!(problems.list.len(), 1, "{problems}");
        let text = problems.to_string();
        assert!(text.contains(says), "{name}={value}: {text}");
        assert!(text.contains(name) || name == "DRUMLINE_CONFIG", "{name}={value}: {text}");
    }
}

#[tokio::test]
async fn forward_mode_needs_no_handlers_and_so_none_of_their_settings() {
    for (name, value, is_asked) in
        [("DRUMLINE_FORWARD_TO", "app:8080", false), ("DRUMLINE_CONCURRENCY", "0", true)]
    {
        let problems = read(&[("queue_url", JOBS)], &[(name, value)], "").unwrap_err();
        let service = Service::new(|| Err::<Router, _>("nothing to run"));
        let text = problems.with_those_of(service, &Handle::current()).await;
        assert_eq!(text.contains("nothing to run"), is_asked, "{name}");
    }
}

proptest! {
    /// No text makes a setting panic, whichever source it comes from.
    #[test]
    fn any_text_is_a_value_or_a_problem(index in 0..SETTINGS.len(), text in any_text()) {
        let setting = &SETTINGS[index];
        let given = Environment::of([(setting.variable(), text.clone())]);
        drop(read_from(&given));
        let from_environment = |name: &str| (name == setting.variable()).then(|| text.clone());
        drop(Settings::read_for_function(from_environment));
        let flags = BTreeMap::from([(setting.key.to_owned(), text.clone())]);
        drop(Settings::read_for_tool(&flags, |_| None, None));
        let quoted = toml::Value::String(text.clone());
        let tables = ["retry_by_type", "scope_by_type", "require_by_type", "event_types", "queue_by_type"]
            .map(|table| format!("[{table}]\n{quoted} = {quoted}\n[queue.{table}]\na = {quoted}\n"));
        let file = format!("[[queue]]\nurl = {quoted}\n{} = {quoted}\n{}", setting.key, tables[index % 5].split_once("[queue").map_or("", |(_, rest)| rest));
        drop(read(&[], &[], &file));
        drop(read(&[], &[], &tables[index % 5]));
        drop(read(&[], &[], &text));
    }
}

/// Text near what settings take, and any other.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        r"[a-z]{0,8}:?/{0,3}[\w.:@\[\]]{0,12}[/?#=&%\w]{0,8}",
        r"(exponential|schedule|auto)?\(?[-0-9.eE]{0,20}[a-z]{0,5}(,[-0-9.eEsmhd]{0,12}){0,3}\)?",
        r"[0-9]{1,40}[a-zµ ]{0,6}",
        r"(\[?\{?[a-z:]{0,6}(=[a-z0-9]{0,5})?\}?\]?,?){0,4}",
    ]
}
