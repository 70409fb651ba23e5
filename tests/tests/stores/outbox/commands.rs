//! The commands of an outbox that a program fills by plain SQL.

use drumline_store::postgres::sqlx::{self, PgConnection};
use drumline_tests::{
    Finished, Launch, LocalQueue, Setup, emf_metrics, emf_sum, eventually, free_address, get, status_of,
};
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::world::{database, execute, relay};

/// `drumline outbox ARGS…` on the outbox at `url`.
fn outbox(url: &str, args: &[&str]) -> Launch {
    Launch::new(&[&["outbox"], args].concat()).env("DRUMLINE_OUTBOX_URL", url)
}

async fn succeed(url: &str, args: &[&str]) -> Finished {
    let finished = outbox(url, args).finish().await;
    assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
    finished
}

/// Expects that a command fails with this status and these words.
async fn fail(url: &str, args: &[&str], status: i32, says: &str) {
    let finished = outbox(url, args).finish().await;
    assert_eq!(finished.status, Some(status), "{args:?}: {}", finished.errors());
    assert!(finished.errors().contains(says), "{args:?}: {says} in\n{}", finished.errors());
}

fn json_lines(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn jobs_of_plain_sql_are_sent_or_parked_for_an_operator() {
    let Some(url) = database().await else { return };
    let queue = LocalQueue::create(Setup::default()).await;

    // The printed SQL is sufficient for an application's own migrations, and can be run again.
    let printed = Launch::new(&["outbox", "migrate", "--print"]).finish().await;
    assert_eq!((printed.status, printed.errors().as_str()), (Some(0), ""));
    let sql = printed.stdout.join("\n");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    execute(&mut connection, sql.clone()).await;
    execute(&mut connection, sql).await;
    succeed(&url, &["migrate"]).await;

    let insert = "\
        INSERT INTO drumline_outbox (id, type, payload) VALUES ('good', 'crm.note', '{\"text\":\"hello\"}');
        INSERT INTO drumline_outbox (id, type, payload) VALUES ('leak', 'crm.note', '{\"db\":\"postgres://a:b@c/d\"}');
        INSERT INTO drumline_outbox (id, type, payload, due) VALUES ('later', 'crm.note', '{}', now() + interval '1 day')";
    execute(&mut connection, insert.to_owned()).await;
    let listed = succeed(&url, &["ls"]).await;
    let first: Vec<&str> = listed.stdout[0].split('\t').collect();
    assert_eq!((listed.stdout.len(), first.len()), (3, 11), "{listed:?}");
    assert_eq!((first[0], first[1], first[2], first[6]), ("good", "waiting", "crm.note", "-"));

    let once = relay(&url, &queue.url, &queue.endpoint_url()).arg("--once").arg("--output").arg("json");
    let finished = once.finish().await;
    assert_eq!(finished.status, Some(1), "one is parked: {}", finished.errors());
    assert_eq!(json_lines(&finished), [json!({ "sent": 1, "putBack": 0, "parked": 1, "left": 0 })]);
    let body: Value = serde_json::from_str(&queue.receive(1).await[0].body()).unwrap();
    assert_eq!((&body["jobId"], &body["payload"]["text"]), (&json!("good"), &json!("hello")));
    assert_eq!(
        json_lines(&succeed(&url, &["lag", "--output", "json"]).await),
        [json!({ "due": 0, "oldestSecs": 0.0, "later": 1, "parked": 1 })]
    );

    let parked = json_lines(&succeed(&url, &["ls", "--state", "parked", "--output", "json"]).await);
    let reason = parked[0]["reason"].as_str().unwrap();
    assert!(parked.len() == 1 && parked[0]["id"] == "leak" && reason.contains("payload.db"), "{parked:?}");
    let shown = succeed(&url, &["show", "leak"]).await.stdout.join("\n");
    assert!(
        shown.contains("STATE       parked") && shown.contains("\"db\": \"postgres://a:b@c/d\""),
        "{shown}"
    );
    fail(&url, &["show", "good"], 1, "has no job good").await;

    let retried = succeed(&url, &["retry", "--all-parked"]).await;
    assert!(retried.errors().contains("1 job will be tried again"), "{}", retried.errors());
    fail(&url, &["retry", "leak"], 1, "1 job not parked").await;
    fail(&url, &["remove", "leak"], 64, "without a terminal to ask on, --yes is needed").await;
    let removed = outbox(&url, &["remove", "leak", "good", "--yes"]).finish().await;
    assert_eq!(removed.status, Some(1), "one is not there: {}", removed.errors());
    for says in ["no job good waits or is parked", "leak  crm.note, added ", "1 job removed"] {
        assert!(removed.errors().contains(says), "{says} in\n{}", removed.errors());
    }
    let left = succeed(&url, &["ls"]).await;
    assert!(left.stdout.len() == 1 && left.stdout[0].starts_with("later\twaiting"), "{left:?}");
}

#[tokio::test]
async fn a_relay_shows_its_work_and_stops_at_once() {
    let Some(url) = database().await else { return };
    let queue = LocalQueue::create(Setup { fifo: true, ..Setup::default() }).await;
    // Sent jobs stay for operators to inspect. The store is also an outbox.
    let launch = relay(&url, &queue.url, &queue.endpoint_url()).without("DRUMLINE_OUTBOX_URL");
    let worker = launch
        .env("DRUMLINE_STORE_URL", &url)
        .env("DRUMLINE_OUTBOX_KEEP", "1h")
        .env("DRUMLINE_EMF", "on")
        .spawn();
    worker.until_logged("relaying", 1).await;
    eventually("it is ready", async || status_of(&worker.endpoint("/readyz")).await == Some(200)).await;
    let (status, text) = get(&worker.endpoint("/metrics")).await.unwrap();
    for line in ["drumline_outbox_lag_seconds{} 0.0", r#"drumline_outbox_rows{state="due"} 0"#] {
        assert!(status == 200 && text.contains(line), "{line} in\n{text}");
    }
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let insert = "\
        INSERT INTO drumline_outbox (id, type, payload, message_group) VALUES ('a', 'crm.note', '{}', 'ada');
        INSERT INTO drumline_outbox (id, type, payload) VALUES ('no-group', 'crm.note', '{}')";
    execute(&mut connection, insert.to_owned()).await;
    let sent = r#"drumline_outbox_sent_total{queue="jobs.fifo"}"#;
    eventually("both are dealt with", async || {
        worker.metric(sent).await == 1 && worker.metric("drumline_outbox_parked_total").await == 1
    })
    .await;
    let kept = json_lines(&succeed(&url, &["ls", "--state", "sent", "--output", "json"]).await);
    assert!(
        kept[0]["id"] == "a" && kept[0]["messageId"].is_string() && kept[0]["sentAt"].is_string(),
        "{kept:?}"
    );
    let finished = worker.stop().await;
    let summary = &finished.logged("stopped")[0];
    assert_eq!((&summary["sent"], &summary["parked"]), (&json!(1), &json!(1)), "{summary}");
    let emf = emf_metrics(&finished.stdout);
    let sent = emf_sum(&emf, "drumline_outbox_sent_total", &[("queue", "jobs.fifo")]);
    assert!((sent - 1.0).abs() < 0.01, "{sent}");
    assert!(emf.iter().any(|metric| metric.name == "drumline_outbox_lag_seconds"), "{emf:?}");
}

#[tokio::test]
async fn an_outbox_that_cannot_be_used_is_an_error_with_its_remedy() {
    let queue = LocalQueue::create(Setup::default()).await;
    let commands: [&[&str]; 3] = [&["ls"], &["lag"], &["run", "--queue-url", &queue.url]];
    for args in commands {
        let table = [
            (
                Launch::new(&[&["outbox"], args].concat()),
                "no outbox is set, and the store (memory:) holds none: set DRUMLINE_OUTBOX_URL",
            ),
            (
                outbox("memory:", args),
                "the outbox is memory:, which is in the process that uses it and nowhere else",
            ),
            (outbox("mysql://localhost/a", args), "an outbox is postgres://… or redis://…"),
        ];
        for (launch, says) in table {
            let finished = launch.finish().await;
            assert_eq!(finished.status, Some(64), "{args:?}: {}", finished.errors());
            assert!(finished.errors().contains(says), "{args:?}: {says} in\n{}", finished.errors());
        }
        let nowhere = format!("postgres://ann:hunter2@{}/orders", free_address());
        let finished = outbox(&nowhere, args).finish().await;
        assert_eq!(finished.status, Some(69), "{args:?}: {}", finished.errors());
        assert!(!finished.errors().contains("hunter2"), "{}", finished.errors());
    }
    let Some(url) = database().await else { return };
    fail(&url, &["run"], 64, "no queue").await;
    // A role that may not use the tables causes an error with the statement for their owner.
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let role = super::super::unique("role").replace('-', "_");
    execute(&mut connection, format!("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE {role} LOGIN"))
        .await;
    let (_, rest) = url.split_once('@').unwrap();
    let as_role = format!("postgres://{role}@{rest}");
    fail(&as_role, &["ls"], 69, "run: GRANT SELECT, INSERT, UPDATE, DELETE ON drumline_outbox").await;
}
