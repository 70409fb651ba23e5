//! `drumline send` of files: CSV and JSON Lines, refusals, rates, and kills.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drumline_tests::{Finished, Launch, LocalQueue, Setup, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

async fn queue(fifo: bool) -> LocalQueue {
    LocalQueue::create(Setup { fifo, ..Setup::default() }).await
}

/// Writes a file with this content, in a folder that is also the home of states.
fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// `drumline send FILE ARGS…`, with journals in the file's folder.
fn send(queue: &LocalQueue, file: &Path, args: &[&str]) -> Launch {
    let path = file.display().to_string();
    Launch::new(&[&["send", &path, "--queue-url", &queue.url], args].concat())
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .env("XDG_STATE_HOME", &file.parent().unwrap().display().to_string())
}

fn messages(queue: &LocalQueue) -> Vec<Value> {
    let peeked = queue.endpoint().peek(&queue.url).unwrap();
    peeked.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
}

fn assert_says(finished: &Finished, status: i32, says: &[&str]) {
    assert_eq!(finished.status, Some(status), "{}", finished.errors());
    for words in says {
        assert!(finished.errors().contains(words), "{words:?} in\n{}", finished.errors());
    }
}

/// Returns jobs without a handler, one per line.
fn jobs(count: usize) -> String {
    (0..count).map(|n| format!("{}\n", json!({ "n": n }))).collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn rows_of_csv_become_jobs_and_rows_that_are_wrong_are_left() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let csv = "\u{feff}tenant,user.id,user.name,zip,after\r\n\
               acme,7,\"Ada, \"\"the\r\nfirst\"\"\",007,90\r\n\
               acme,8\r\n\
               beta,9,AKIAIOSFODNN7EXAMPLE,1,\r\n\
               beta,10,Bob,1,20m\r\n\
               beta,11,Eve,90210,\r\n";
    let users = file(folder.path(), "users.csv", csv);
    let left = folder.path().join("left.csv");
    let args =
        ["--type", "no.handler", "--column", "group=tenant", "--column", "delay=after", "--text", "zip"];
    let failed = ["--failed", left.to_str().unwrap()];
    let finished = send(&queue, &users, &[&args[..], &failed].concat()).finish().await;
    let refused = [
        "line 4 is not sent: the row has 2 cells, and the header 5",
        "line 5 is not sent: payload.user.name",
        "line 6 is not sent: the delay: SQS delays",
        "2 sent, 0 not taken by SQS, 3 refused before sending",
    ];
    assert_says(&finished, 64, &refused);
    let peeked = queue.endpoint().peek(&queue.url).unwrap();
    let sent: Vec<Value> = messages(&queue).into_iter().map(|body| body["payload"].clone()).collect();
    let ada = json!({ "user": { "id": 7, "name": "Ada, \"the\r\nfirst\"" }, "zip": "007" });
    assert_eq!(sent, [ada, json!({ "user": { "id": 11, "name": "Eve" }, "zip": "90210" })]);
    let groups: Vec<_> = peeked.iter().map(|message| message.message_group_id.as_deref().unwrap()).collect();
    assert_eq!(groups, ["acme", "beta"]);

    // The same command sends the rest after it was corrected.
    let text = std::fs::read_to_string(&left).unwrap();
    assert!(text.starts_with("tenant,user.id,user.name,zip,after\n") && text.lines().count() == 4, "{text}");
    let fixed =
        text.replace("acme,8", "acme,8,Joe,1,5").replace("AKIAIOSFODNN7EXAMPLE", "Max").replace("20m", "2m");
    let fixed = file(folder.path(), "fixed.csv", &fixed);
    let finished = send(&queue, &fixed, &args).finish().await;
    assert_says(&finished, 0, &["3 sent, 0 not taken by SQS, 0 refused"]);
    // With the file of the rest, the send is finished: if resumed, it would send that file's jobs twice.
    let again = send(&queue, &users, &[&args[..], &["--resume"]].concat()).finish().await;
    assert_says(&again, 64, &["this send is over", "left.csv: correct and send that file"]);
    let ids: BTreeSet<String> = messages(&queue).iter().map(|body| body["jobId"].to_string()).collect();
    assert_eq!((ids.len(), queue.count()), (5, 5));
}

#[tokio::test]
async fn a_thrice_killed_send_sends_all_lines_with_stable_ids() {
    const LINES: usize = 5_000;
    const KILLS: usize = 3;
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let lines = file(folder.path(), "jobs.jsonl", &jobs(LINES));
    let begin = ["--type", "no.handler"];
    let resume = ["--type", "no.handler", "--resume"];
    for kill in 0..KILLS {
        let before = queue.count();
        let process = send(&queue, &lines, if kill == 0 { &begin } else { &resume }).spawn();
        let target = before + fastrand::usize(1..800);
        eventually("some are sent", async || queue.count() >= target).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..20))).await;
        process.kill().await;
    }
    // Without --resume nothing is sent, because most of it was sent.
    let refused = send(&queue, &lines, &begin).finish().await;
    assert_says(&refused, 64, &["--resume sends the others"]);
    let finished = send(&queue, &lines, &resume).finish().await;
    assert_says(&finished, 0, &["0 not taken by SQS, 0 refused before sending"]);
    let mut ids: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for body in messages(&queue) {
        let n = body["payload"]["n"].as_u64().unwrap();
        ids.entry(n).or_default().insert(body["jobId"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), LINES, "every line is sent");
    assert!(ids.values().all(|ids| ids.len() == 1), "doubles have the same job id");
    let twice = queue.count() - LINES;
    assert!(twice <= KILLS * 10, "{twice} were sent twice");
    assert_eq!(ids.values().flatten().collect::<BTreeSet<_>>().len(), LINES, "each line has a separate id");
    // It is finished: the same file again is new work.
    assert_says(&send(&queue, &lines, &resume).finish().await, 0, &["0 sent", "5000 sent before"]);
}

#[tokio::test]
async fn a_killed_send_to_a_fifo_queue_sends_lines_once_in_order() {
    const LINES: usize = 1_000;
    let (queue, folder) = (queue(true).await, tempfile::tempdir().unwrap());
    let lines = (0..LINES).map(|n| format!("{}\n", json!({ "n": n, "tenant": format!("t{}", n % 7) })));
    let lines = file(folder.path(), "jobs.jsonl", &lines.collect::<String>());
    let args = ["--type", "no.handler", "--group-from", "/payload/tenant"];
    let resume = [&args[..], &["--resume"]].concat();
    for kill in 0..3 {
        let process = send(&queue, &lines, if kill == 0 { &args } else { &resume }).spawn();
        let target = queue.count() + fastrand::usize(1..150);
        eventually("some are sent", async || queue.count() >= target).await;
        process.kill().await;
    }
    assert_says(&send(&queue, &lines, &resume).finish().await, 0, &[]);
    assert_eq!(queue.count(), LINES, "SQS drops a batch that is sent twice");
    let mut peeked = queue.endpoint().peek(&queue.url).unwrap();
    peeked.sort_by_key(|message| message.sequence_number.clone());
    let order: Vec<u64> = peeked
        .iter()
        .map(|message| {
            serde_json::from_str::<Value>(&message.body).unwrap()["payload"]["n"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(order, (0..LINES as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_or_a_command_that_has_changed_is_not_resumed() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let lines = file(folder.path(), "jobs.jsonl", &jobs(400));
    let args = ["--type", "no.handler", "--rate", "50/s"];
    let process = send(&queue, &lines, &args).spawn();
    eventually("some are sent", async || queue.count() >= 10).await;
    process.signal(Signal::INT);
    let interrupted = process.finish().await;
    assert_says(&interrupted, 130, &["interrupted", "the same command with --resume sends the others"]);
    let sent = queue.count();
    assert!(interrupted.errors().contains(&format!("{sent} sent,")), "{}", interrupted.errors());
    assert_eq!(interrupted.stdout.len(), sent, "each id is printed");

    let other = send(&queue, &lines, &["--type", "other", "--resume"]).finish().await;
    assert_says(&other, 64, &["--type=no.handler, and is", "--type=other"]);
    file(folder.path(), "jobs.jsonl", &jobs(401));
    let changed = send(&queue, &lines, &["--type", "no.handler", "--resume"]).finish().await;
    assert_says(&changed, 64, &["the file was"]);
    let anew = send(&queue, &lines, &["--type", "no.handler"]).finish().await;
    assert_says(&anew, 64, &["the file has changed since"]);
    assert_eq!(queue.count(), sent, "no message was sent in that time");

    file(folder.path(), "jobs.jsonl", &jobs(400));
    let resumed = send(&queue, &lines, &["--type", "no.handler", "--resume"]).finish().await;
    assert_says(
        &resumed,
        0,
        &[&format!("{} sent, 0 not taken by SQS, 0 refused before sending, {sent} sent before", 400 - sent)],
    );
    assert_eq!(queue.count(), 400);
}

#[tokio::test]
async fn whole_jobs_of_a_file_keep_their_bytes_and_get_missing_ids() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let with_id = r#"{"type":"no.handler", "jobId":"j-1","payload":{"a": 1.0}}"#;
    let without = r#"{"type":"no.handler",  "payload":{"a": 2.0}}"#;
    let lines = file(folder.path(), "jobs.jsonl", &format!("{with_id}\n{without}\n"));
    let finished = send(&queue, &lines, &["--attribute", "tenant=acme"]).finish().await;
    assert_says(&finished, 0, &[]);
    let peeked = queue.endpoint().peek(&queue.url).unwrap();
    let bodies: Vec<&str> = peeked.iter().map(|message| &*message.body).collect();
    assert_eq!(bodies, [with_id, without]);
    assert_eq!(finished.stdout[0], "j-1");
    assert_eq!(finished.stdout[1].len(), 26, "{:?}", finished.stdout);
}

#[tokio::test]
async fn a_rate_bounds_what_is_sent_and_delays_are_spread() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let lines = file(folder.path(), "jobs.jsonl", &jobs(60));
    let begun = Instant::now();
    let args = ["--type", "no.handler", "--rate", "30/s", "--delay", "1m", "--spread", "10m"];
    assert_says(&send(&queue, &lines, &args).finish().await, 0, &["60 sent"]);
    assert!(begun.elapsed() >= Duration::from_millis(1_600), "{:?}", begun.elapsed());
    let hidden: BTreeSet<u64> = queue.hidden().values().map(Duration::as_secs).collect();
    assert!(hidden.len() > 30, "{hidden:?}");
    assert!(hidden.iter().all(|secs| (40..=660).contains(secs)), "{hidden:?}");
}

#[tokio::test]
async fn what_its_handler_would_refuse_is_not_sent() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let csv = file(folder.path(), "flaky.csv", "succeedsAt\n1\nseven\n");
    let refused = send(&queue, &csv, &["--type", "sample.flaky"]).finish().await;
    assert_says(&refused, 64, &["line 3 is not sent: payload.succeedsAt: is a string"]);
    assert_eq!(queue.count(), 1);
    let sent = send(&queue, &csv, &["--type", "sample.flaky", "--no-check", "--resume"]).finish().await;
    assert_says(&sent, 0, &["1 sent", "1 sent before"]);
}

#[tokio::test]
async fn wrong_usage_is_refused_before_anything_is_sent() {
    let (queue, fifo, folder) = (queue(false).await, self::queue(true).await, tempfile::tempdir().unwrap());
    let csv = file(folder.path(), "a.csv", "id;name\n1;Ada\n");
    let good = file(folder.path(), "b.csv", "id,name\n1,Ada\n");
    let lines = file(folder.path(), "c.jsonl", "{}\n");
    let open =
        file(folder.path(), "open.csv", &format!("id,name\n1,a\n2,b\n5,\"x5\n{}", "6,c\n".repeat(200)));
    let table: [(&LocalQueue, &Path, &[&str], &str); 19] = [
        (&queue, &csv, &["--type", "a.b"], "--delimiter ';'"),
        (&queue, &good, &[], "--column type=NAME"),
        (&queue, &good, &["--type", "a.b", "--column", "group=tenant"], "there is no column \"tenant\""),
        (&queue, &good, &["--type", "a.b", "--column", "tenant=id"], "is none of type, jobId"),
        (&queue, &lines, &["--type", "a.b", "--column", "group=id"], "--format csv"),
        (&queue, &lines, &["--type", "a.b", "--delay", "10m", "--spread", "10m"], "15m together"),
        (&queue, &lines, &["--type", "a.b", "--resume"], "nothing was begun"),
        (&queue, &open, &["--type", "a.b"], "open.csv: line 4: the quote that begins there is not closed"),
        (&queue, &lines, &["--type", "a.b", "--idempotency-key", "k"], "for one job, given by --payload"),
        (
            &fifo,
            &lines,
            &["--type", "a.b", "--group", "g", "--deduplication-id", "d"],
            "for one job, given by --payload",
        ),
        (&queue, &good, &["--type", "a.b", "--column", "deduplicationId=id"], "is for FIFO queues"),
        (&queue, &lines, &["--type", "a.b", "--correlation-id", ""], "--correlation-id"),
        (&queue, &lines, &["--type", "a.b", "--idempotency-key", ""], "--idempotency-key"),
        (&queue, &lines, &["--type", "a.b", "--schema-version", "0"], "--schema-version"),
        (&queue, &lines, &["--type", "a.b", "--allow", "nonsense"], "--allow"),
        (&queue, Path::new("-"), &["--type", "a.b", "--resume"], "need a FILE"),
        (
            &queue,
            Path::new("-"),
            &["--type", "a.b", "--deduplication-id", "d"],
            "for one job, given by --payload",
        ),
        (&fifo, &lines, &["--type", "a.b"], "--group-from"),
        (&fifo, &lines, &["--type", "a.b", "--group", "g", "--delay", "1s"], "no delay for single messages"),
    ];
    for (queue, path, args, says) in table {
        let finished = send(queue, path, args).finish().await;
        assert_says(&finished, 64, &[says]);
        assert!(!finished.errors().contains("--guard-allow"), "{}", finished.errors());
        assert_eq!(queue.count(), 0, "{args:?}");
    }
    let missing = send(&queue, &folder.path().join("none.jsonl"), &["--type", "a.b"]).finish().await;
    assert_says(&missing, 64, &["none.jsonl"]);
}

#[tokio::test]
async fn an_open_quote_ends_standard_input_after_earlier_rows() {
    let queue = queue(false).await;
    let input = format!("id,name\n1,a\n2,b\n5,\"x5\n{}", "6,c\n".repeat(200));
    let args = ["--type", "no.handler", "--format", "csv"];
    let finished = Launch::new(&[&["send", "-", "--queue-url", &queue.url], &args[..]].concat())
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
        .input(input)
        .finish()
        .await;
    assert_says(&finished, 64, &["line 4: the quote that begins there is not closed", "2 sent"]);
    assert_eq!(queue.count(), 2);
}

#[tokio::test]
async fn a_repeated_job_id_and_a_repeated_header_are_refused() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let csv = file(folder.path(), "a.csv", "key,id,n\nk,a,1\nkey,id,n\nk,a,2\nk,b,1234567890123456\n");
    let args = ["--type", "no.handler", "--column", "jobId=id", "--column", "idempotencyKey=key"];
    let finished = send(&queue, &csv, &args).finish().await;
    let says = [
        "line 3 is not sent: it is the header row once more",
        "line 4 is not sent: line 2 has the same jobId",
        // The key of the refused record is also the same.
        "line 5 has the idempotencyKey of line 2",
        "2 sent, 0 not taken by SQS, 2 refused",
        "--resume --failed NEW_FILE",
    ];
    assert_says(&finished, 64, &says);
    let payloads: Vec<Value> = messages(&queue).into_iter().map(|body| body["payload"].clone()).collect();
    assert_eq!(payloads, [json!({ "n": 1 }), json!({ "n": "1234567890123456" })]);

    // When resumed, the second record is still the refused one, and the rest contains it once.
    let left = folder.path().join("left.txt");
    let failed = [&args[..], &["--resume", "--failed", left.to_str().unwrap()]].concat();
    let resumed = send(&queue, &csv, &failed).finish().await;
    assert_says(&resumed, 64, &["line 2 has the same jobId", "with this FILE and --format csv"]);
    let refused = "key,id,n\nkey,id,n\nk,a,2\n";
    assert_eq!(std::fs::read_to_string(&left).unwrap(), refused);
    // Killed before its end, it can be resumed only with the same file, which then has each record once.
    let journals = std::fs::read_dir(folder.path().join("drumline/send")).unwrap();
    let journal = journals.map(|entry| entry.unwrap().path()).next().unwrap();
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.strip_suffix("{\"ended\":true}\n").unwrap()).unwrap();
    let other = send(&queue, &csv, &[&args[..], &["--resume"]].concat()).finish().await;
    assert_says(&other, 64, &["was begun with --failed", "left.txt"]);
    assert_says(&send(&queue, &csv, &failed).finish().await, 64, &["2 refused", "2 sent before"]);
    assert_eq!(std::fs::read_to_string(&left).unwrap(), refused);
    let over = send(&queue, &csv, &[&args[..], &["--resume"]].concat()).finish().await;
    assert_says(&over, 64, &["this send is over", "left.txt"]);
    assert_eq!(queue.count(), 2);
}

#[tokio::test]
async fn types_go_to_their_own_queues_and_such_a_send_resumes() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let mail = queue.endpoint().create_queue("mail.fifo", &[("FifoQueue", "true")]).unwrap();
    let config = file(
        folder.path(),
        "drumline.toml",
        &format!("queue_url = \"{}\"\n[queue_by_type]\n\"mail\" = \"{mail}\"\n", queue.url),
    );
    let rows = (0..40).map(|n| format!("{},g,{n}\n", if n % 4 == 0 { "mail" } else { "other" }));
    let rows = rows.collect::<Vec<_>>().concat();
    let csv = file(folder.path(), "a.csv", &format!("type,group,n\n{rows}"));
    let launch = |args: &[&str], queues: Option<&str>| {
        let path = csv.display().to_string();
        let launch = Launch::new(&[&["send", &path], args].concat())
            .env("AWS_ENDPOINT_URL", &queue.endpoint_url())
            .env("XDG_STATE_HOME", &folder.path().display().to_string())
            .env("DRUMLINE_CONFIG", &config.display().to_string());
        match queues {
            Some(queues) => launch.env("DRUMLINE_QUEUE_URL", queues),
            None => launch,
        }
    };
    let count = |url: &str| queue.endpoint().peek(url).unwrap().len();
    let columns = ["--column", "type=type", "--column", "group=group"];
    assert_says(&launch(&columns, None).finish().await, 0, &["40 sent, 0 not taken"]);
    assert_eq!((count(&queue.url), count(&mail)), (30, 10));

    // The journal of a process that was killed after its first batch.
    let journal =
        std::fs::read_dir(folder.path().join("drumline/send")).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&journal).unwrap();
    let kept: Vec<&str> = text.lines().take(2).collect();
    std::fs::write(&journal, format!("{}\n", kept.join("\n"))).unwrap();
    let resumed = launch(&[&columns[..], &["--resume"]].concat(), None).finish().await;
    assert_says(&resumed, 0, &["30 sent, 0 not taken by SQS, 0 refused before sending, 10 sent before"]);
    assert_eq!(count(&mail), 10, "SQS drops the others");

    // With several queues and no entry for the type, none is used.
    let several = format!("{},{mail}", queue.url);
    let refused = launch(&columns, Some(&several)).finish().await;
    assert_says(&refused, 64, &["names several queues (jobs, mail.fifo)", "\"other\" = \"URL\"", "10 sent"]);
    let one = launch(&["--type", "other"], Some(&several)).finish().await;
    assert_says(&one, 64, &["other: DRUMLINE_QUEUE_URL names several queues"]);
    let flag = launch(&[&columns[..], &["--queue-url", &queue.url]].concat(), Some(&several)).finish().await;
    assert_says(&flag, 0, &["40 sent"]);
}

#[tokio::test]
async fn extra_fields_are_noted_once_and_errors_have_their_column() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let job = r#"{"type":"no.handler","payload":1,"group":"g"}"#;
    let lines = file(folder.path(), "a.jsonl", &format!("{job}\n{job}\n{{nope\n"));
    let finished = send(&queue, &lines, &[]).finish().await;
    assert_says(&finished, 64, &["line 3 is not sent: not JSON: key must be a string at column 2", "2 sent"]);
    assert_eq!(finished.errors().matches("beside the payload").count(), 1, "{}", finished.errors());

    let flaky = file(folder.path(), "b.jsonl", "{\"succeedsAt\":1}\n");
    let args = ["--type", "sample.flaky", "--schema-version", "9"];
    let newer = send(&queue, &flaky, &args).finish().await;
    assert!(newer.errors().contains("--schema-version 9 is newer than the handler"), "{}", newer.errors());
}

#[tokio::test]
async fn the_summary_counts_jobs_after_the_reader_of_ids_has_left() {
    let (queue, folder) = (queue(false).await, tempfile::tempdir().unwrap());
    let lines = file(folder.path(), "jobs.jsonl", &jobs(25));
    let finished = send(&queue, &lines, &["--type", "no.handler"]).without_reader().finish().await;
    assert_says(&finished, 141, &["10 sent, 0 not taken"]);
    assert_eq!(queue.count(), 10, "the reader has left before the second batch");
}
