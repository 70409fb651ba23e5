//! The runbook in an incident: an alert, and the runbook's commands in their order, unchanged.

use std::path::Path;

use drumline_tests::{Answer, App, Launch, LocalQueue, Setup, binary, eventually};
use tokio::process::Command;

const LETTERS: usize = 20;

/// The commands of the runbook's section on dead letters: its first block.
fn commands() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/runbook.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split("\n## Dead letters\n").nth(1).expect("there is such a section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    let block = block.expect("it has a block").replace("\\\n", "");
    block.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_runbooks_commands_find_fix_and_replay_dead_letters() {
    let queue = LocalQueue::create(Setup { max_receive_count: Some(3), ..Setup::default() }).await;
    let application = App::start(|call| async move {
        if call.body.contains(r#""template":"welcome""#) {
            return Answer::ok();
        }
        Answer::status(422).body("no template wellcome-17")
    })
    .await;
    let webhook = App::always_ok().await;
    let home = tempfile::tempdir().unwrap();
    let settings = [
        ("AWS_ENDPOINT_URL", queue.endpoint_url()),
        ("DRUMLINE_STORE_URL", format!("file:{}/jobs.db", home.path().display())),
        ("DRUMLINE_FORWARD_TO", application.url()),
    ];
    let launch = settings.iter().fold(Launch::on(&queue), |launch, (name, value)| launch.env(name, value));
    let worker = launch
        .env("DRUMLINE_DLQ_WATCH", "on")
        .env("DRUMLINE_DLQ_WATCH_EVERY", "1s")
        .env("DRUMLINE_DLQ_ALERT_TO", &webhook.url())
        .spawn();
    for n in 0..LETTERS {
        queue.send(&format!(r#"{{"type":"email.send","payload":{{"userId":{n},"template":"wellcome"}}}}"#));
    }
    eventually("all are dead", async || queue.dead().len() == LETTERS).await;
    eventually("an alert is sent", async || webhook.count() > 0).await;
    let alert = webhook.calls()[0].body.clone();
    assert!(alert.contains("email.send") && alert.contains("no template"), "{alert}");

    let drumline = binary("drumline-cli", "drumline");
    // The values that an operator reads in the output of one command and writes into the next.
    let (mut reason, mut id, mut count) = (String::new(), String::new(), String::new());
    let mut shown: Vec<String> = Vec::new();
    for command in commands() {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &command]).env_clear().envs(settings.iter().map(|(name, value)| (name, value)));
        shell.env("PATH", drumline.parent().expect("a binary lies in a folder")).env("HOME", home.path());
        shell
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test");
        shell.env("QUEUE", &queue.url).env("REASON", &reason).env("ID", &id).env("COUNT", &count);
        let output = shell.output().await.unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(output.status.success(), "{command}: {text}");
        let cell = |column: usize| {
            text.lines().next().unwrap().split('\t').nth(column).unwrap_or_default().to_owned()
        };
        match shown.len() {
            0 => reason = cell(4),
            1 => id = cell(0),
            3 => count = text.split("matched ").nth(1).unwrap().split(':').next().unwrap().to_owned(),
            _ => {}
        }
        shown.push(text);
    }
    let [stats, list, show, dry_run, replay, empty] = &shown[..] else { panic!("{shown:?}") };
    assert!(stats.contains("20") && stats.contains("email.send") && stats.contains("no template"), "{stats}");
    assert_eq!(list.lines().filter(|line| line.contains("no template")).count(), LETTERS, "{list}");
    assert!(show.contains("wellcome") && show.contains(&id), "{show}");
    assert!(dry_run.contains("matched 20") && dry_run.contains("welcome"), "{dry_run}");
    assert!(replay.contains("20"), "{replay}");
    assert!(empty.contains("is empty"), "{empty}");
    eventually("all are sent", async || queue.count() == 0).await;
    let done =
        application.calls().iter().filter(|call| call.body.contains(r#""template":"welcome""#)).count();
    assert_eq!((done, queue.dead().len()), (LETTERS, 0), "each once");
    worker.stop().await;
}
