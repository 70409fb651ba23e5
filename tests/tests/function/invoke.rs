//! `drumline invoke`: a function's process that gets events from files.

use std::path::Path;

use drumline_tests::{Finished, Launch, binary};
use serde_json::Value;

use crate::sample_events::{id, sample};

/// `EX_USAGE`.
const USAGE: i32 = 64;

fn launch(events: &[&str], more: &[&str]) -> Launch {
    let bootstrap = binary("drumline-lambda", "drumline-lambda").display().to_string();
    let events: Vec<String> = events.iter().map(|name| sample(name).display().to_string()).collect();
    let events = events.iter().map(String::as_str);
    let args: Vec<&str> = ["invoke"].into_iter().chain(events).chain(["--bootstrap", &bootstrap]).collect();
    // Without the test's own credentials and region, so that the function gets those of `invoke`.
    let launch = Launch::new(&[&args, more].concat());
    launch.without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY").without("AWS_REGION")
}

fn rows(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns a bootstrap in bash, which can use TCP itself.
fn script(folder: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("bootstrap");
    std::fs::write(&path, format!("#!/usr/bin/env bash\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn responses_go_to_standard_output_and_logs_to_standard_error() {
    let finished = launch(&["sqs-one.json", "sqs-partial-failure.json"], &[]).finish().await;
    let expected = [
        r#"{"batchItemFailures":[]}"#.to_owned(),
        format!(r#"{{"batchItemFailures":[{{"itemIdentifier":"{}"}}]}}"#, id(2)),
    ];
    assert_eq!((finished.status, &*finished.stdout), (Some(0), &expected[..]), "{}", finished.errors());
    let errors = finished.errors();
    let reports: Vec<&str> = errors.lines().filter(|line| line.starts_with("REPORT RequestId: ")).collect();
    assert_eq!(reports.len(), 2, "{errors}");
    assert!(reports[0].contains("Memory Size: 256 MB") && reports[0].contains("Init Duration"), "{errors}");
    assert!(!reports[1].contains("Init Duration"), "the second is warm: {errors}");
    assert!(errors.contains("attempt 1 fails, attempt 2 will not"), "{errors}");
    assert!(!errors.contains("dispatch failure"), "SQS is served by the command: {errors}");
}

#[tokio::test]
async fn each_invocation_is_an_object_and_repeats_are_warm() {
    let finished = launch(&["sqs-one.json"], &["--repeat", "3", "--output", "json"]).finish().await;
    let rows = rows(&finished);
    assert_eq!((finished.status, rows.len()), (Some(0), 3), "{}", finished.errors());
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row["status"], "answered", "{row}");
        assert_eq!(row["response"]["batchItemFailures"], Value::Array(Vec::new()), "{row}");
        assert_eq!(row["initDurationMs"].is_number(), at == 0, "{row}");
        assert!(row["durationMs"].is_number() && row["requestId"].is_string(), "{row}");
    }
}

#[tokio::test]
async fn errors_time_outs_and_crashes_are_failures_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let event = folder.path().join("event.json");
    std::fs::write(&event, r#"{"Records":"none"}"#).unwrap();
    let event = event.display().to_string();
    let own = binary("drumline-lambda", "drumline-lambda").display().to_string();
    // It requests an event, and takes longer than its timeout. With `exit`, it ends instead of answering.
    let ask = "exec 3<>\"/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}\"\n\
               printf 'GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: runtime\\r\\n\\r\\n' >&3\n\
               read -r status <&3";
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let [slow, broken, unready] = folders.each_ref().map(tempfile::TempDir::path);
    let table = [
        (own, "30s", "error", "not an SQS event"),
        (script(unready, "exit 7"), "30s", "init", "exit status: 7"),
        (script(slow, &format!("{ask}\nsleep 60")), "1s", "timeout", "timed out after 1.00 seconds"),
        (script(broken, &format!("{ask}\nexit 3")), "30s", "crash", "exit status: 3"),
    ];
    for (bootstrap, timeout, status, text) in table {
        let args = ["invoke", &event, "--bootstrap", &bootstrap, "--timeout", timeout];
        let finished = Launch::new(&args).finish().await;
        assert_eq!(finished.status, Some(1), "{status}: {}", finished.errors());
        assert!(finished.stdout.is_empty() && finished.errors().contains(text), "{}", finished.errors());
        let finished = Launch::new(&[&args[..], &["--output", "json"]].concat()).finish().await;
        assert_eq!(rows(&finished)[0]["status"], status);
    }
}

#[tokio::test]
async fn wrong_arguments_are_found_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (good, bad, plain) = (file("good.json", "{}"), file("bad.json", "{"), file("plain", "no program"));
    let bootstrap = script(folder.path(), "touch \"$0.started\"");
    let missing = folder.path().join("missing").display().to_string();
    let table: [(&[&str], &str); 6] = [
        (&[&bad, "--bootstrap", &bootstrap], "bad.json is not JSON"),
        (&[&missing, "--bootstrap", &bootstrap], "No such file"),
        (&[&good, "--bootstrap", &missing], "No such file"),
        (&[&good, "--bootstrap", &plain], "not executable"),
        (&[&good, "--bootstrap", &bootstrap, "--timeout", "16m"], "from 1s to 15m"),
        (&[&good, "--bootstrap", &bootstrap, "--env", "NAME"], "NAME=VALUE"),
    ];
    for (args, text) in table {
        let finished = Launch::new(&[&["invoke"], args].concat()).finish().await;
        assert_eq!(finished.status, Some(USAGE), "{args:?}: {}", finished.errors());
        assert!(finished.errors().contains(text), "{args:?}: {}", finished.errors());
    }
    assert!(!folder.path().join("bootstrap.started").exists());
}
