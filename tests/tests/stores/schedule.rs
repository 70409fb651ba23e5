//! Schedulers as processes, which are killed, and the operators' commands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drumline_store::outbox::{self, Outbox};
use drumline_tests::{
    Finished, Launch, LocalQueue, Setup, StoreServer, Worker, eventually, eventually_within,
};
use drumline_timetable::{Rule, State, firing_id, state_name};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::outbox::world::{LEASE, confirmed, database, noted_queue};

/// The time limit, including the lease of the leader that was killed last.
const LONG: Duration = Duration::from_secs(90);

/// A settings file.
struct Config {
    _folder: TempDir,
    path: PathBuf,
}

impl Config {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drumline.toml");
        std::fs::write(&path, text).unwrap();
        Self { _folder: folder, path }
    }
}

/// `drumline schedule ARGS…` with this outbox and these settings.
fn schedule(url: &str, config: &Path, args: &[&str]) -> Launch {
    let config = config.display().to_string();
    Launch::new(&[&["schedule"], args].concat())
        .env("DRUMLINE_OUTBOX_URL", url)
        .env("DRUMLINE_CONFIG", &config)
}

/// A scheduler that sends to the queue at `queue_url` through `endpoint_url`.
fn scheduler(url: &str, config: &Path, queue_url: &str, endpoint_url: &str) -> Launch {
    schedule(url, config, &["run", "--lease", LEASE])
        .env("DRUMLINE_QUEUE_URL", queue_url)
        .env("AWS_ENDPOINT_URL", endpoint_url)
        .serving()
}

/// Returns the states of the schedules, by their names.
async fn states(outbox: &dyn Outbox, names: &[String]) -> BTreeMap<String, State> {
    let all: BTreeMap<String, String> = outbox.states().await.unwrap().into_iter().collect();
    let of =
        |name: &String| Some((name.clone(), State::parse(all.get(&state_name("default", name))?).unwrap()));
    names.iter().filter_map(of).collect()
}

async fn now(outbox: &dyn Outbox) -> Timestamp {
    Timestamp::from_millisecond(outbox.now_ms().await.unwrap()).unwrap()
}

/// Runs `count` schedules of every second with three schedulers, kills these at random for `time`, and expects each firing as
/// one job.
async fn fire_under_kills(url: &str, count: usize, time: Duration) -> usize {
    let names: Vec<String> = (0..count).map(|index| format!("every-second-{index}")).collect();
    let declared =
        |name: &String| format!("[[schedule]]\nname = \"{name}\"\nevery = \"1s\"\ntype = \"count\"\n");
    let config = Config::new(&names.iter().map(declared).collect::<String>());
    let queue = LocalQueue::create(Setup::default()).await;
    let proxy = noted_queue(&queue).await;
    let start = || scheduler(url, &config.path, &queue.url, &proxy.url()).spawn();
    let mut schedulers: Vec<Worker> = (0..3).map(|_| start()).collect();
    schedulers[0].until_logged("relaying", 1).await;
    let outbox = outbox::open(url, Duration::ZERO).await.unwrap();
    let outbox = &*outbox;
    eventually("all schedules are started", async || states(outbox, &names).await.len() == count).await;

    let begun = Instant::now();
    let mut kills = 0;
    while begun.elapsed() < time {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(200..2000))).await;
        schedulers.swap_remove(fastrand::usize(..3)).kill().await;
        kills += 1;
        schedulers.push(start());
    }
    let until = now(outbox).await;
    let are_all_fired = async || {
        states(outbox, &names).await.values().all(|state| state.last.is_some_and(|last| last >= until))
    };
    eventually_within(LONG, "all have fired what was due", are_all_fired).await;
    for scheduler in schedulers {
        assert_eq!(scheduler.stop().await.status, Some(0));
    }
    // Jobs in hand of killed ones wait for the end of their leases.
    let drain = async || {
        let relay = Launch::new(&["outbox", "run", "--once", "--lease", LEASE])
            .env("DRUMLINE_OUTBOX_URL", url)
            .env("DRUMLINE_QUEUE_URL", &queue.url)
            .env("AWS_ENDPOINT_URL", &proxy.url());
        let finished = relay.finish().await;
        let is_empty = outbox.lag().await.unwrap().due == 0;
        // It exits with 1 if jobs are left that others have in hand.
        assert!(finished.status == Some(0) || finished.status == Some(1), "{finished:?}");
        assert!(is_empty || finished.status == Some(1), "{finished:?}");
        is_empty
    };
    eventually_within(LONG, "all jobs are sent", drain).await;

    let mut expected = BTreeSet::new();
    for (name, state) in states(outbox, &names).await {
        let rule = Rule::every(&name, Duration::from_secs(1)).unwrap();
        let mut instant = state.created;
        while let Some(next) = rule.next_after(instant).filter(|next| Some(*next) <= state.last) {
            expected.insert(firing_id("default", &name, next));
            instant = next;
        }
    }
    let messages = confirmed(&proxy);
    let sent: BTreeSet<String> = messages.iter().map(|message| message.job_id.clone()).collect();
    let missed: Vec<_> = expected.difference(&sent).take(5).collect();
    let surplus: Vec<_> = sent.difference(&expected).take(5).collect();
    assert!(missed.is_empty() && surplus.is_empty(), "missed {missed:?}, surplus {surplus:?}");
    assert!(kills >= 3, "{kills} kills");
    let twice = messages.len() - sent.len();
    figures(&format!("{} firings, {kills} kills, {twice} sent twice, {:?}", sent.len(), begun.elapsed()));
    sent.len()
}

#[allow(clippy::print_stderr, reason = "figures of a run, which the test runner shows on request")]
fn figures(text: &str) {
    eprintln!("{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_firings_are_one_job_each_despite_kills() {
    let Some(url) = database().await else { return };
    let fired = fire_under_kills(&url, 50, Duration::from_secs(10)).await;
    assert!(fired >= 500, "{fired}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_firing_is_one_job_by_redis_too() {
    let Some(server) = StoreServer::start() else { return };
    let url = server.url();
    eventually("it answers", async || outbox::open(&url, Duration::ZERO).await.is_ok()).await;
    let fired = fire_under_kills(&url, 10, Duration::from_secs(5)).await;
    assert!(fired >= 50, "{fired}");
}

const DECLARED: &str = "\
    [[schedule]]\nname = \"daily-report\"\ncron = \"0 7 * * *\"\ntime_zone = \"Europe/Zurich\"\ntype = \"report.daily\"\n\
    payload = { of = \"sales\" }\ncatch_up = \"all\"\n\
    [[schedule]]\nname = \"poll\"\nevery = \"5m\"\ntype = \"mailbox.poll\"\n";

async fn succeed(url: &str, config: &Config, args: &[&str]) -> Finished {
    let finished = schedule(url, &config.path, args).finish().await;
    assert_eq!(finished.status, Some(0), "{args:?}: {}", finished.errors());
    finished
}

fn json_lines(finished: &Finished) -> Vec<Value> {
    finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn operators_list_pause_resume_and_run_schedules() {
    let Some(url) = database().await else { return };
    let config = Config::new(DECLARED);
    let queue = LocalQueue::create(Setup::default()).await;
    let listed = json_lines(&succeed(&url, &config, &["ls", "--output", "json"]).await);
    let report = &listed[0];
    assert_eq!(
        (&report["name"], &report["state"], &report["last"]),
        (&json!("daily-report"), &json!("new"), &json!(null))
    );
    assert_eq!((&report["cron"], &report["timeZone"]), (&json!("0 7 * * *"), &json!("Europe/Zurich")));
    assert_eq!((&report["type"], &report["catchUp"]), (&json!("report.daily"), &json!("all")));
    let next: Timestamp = report["next"].as_str().unwrap().parse().unwrap();
    let hour = next.in_tz("Europe/Zurich").unwrap().hour();
    assert_eq!(hour, 7, "{next}");
    assert_eq!((&listed[1]["name"], &listed[1]["every"]), (&json!("poll"), &json!("5m")));

    let paused = succeed(&url, &config, &["pause", "daily-report"]).await;
    assert!(paused.errors().contains("until `drumline schedule resume daily-report`"), "{}", paused.errors());
    assert!(succeed(&url, &config, &["pause", "daily-report"]).await.errors().contains("was paused already"));
    let lines = succeed(&url, &config, &["ls"]).await.stdout;
    let cells: Vec<&str> = lines[0].split('\t').collect();
    assert_eq!(
        (cells[0], cells[1], cells[2], cells[3], cells[5]),
        ("daily-report", "0 7 * * *", "Europe/Zurich", "-", "paused")
    );

    // A paused schedule runs on request, with a separate ID.
    let id = succeed(&url, &config, &["run-now", "daily-report"]).await.stdout.remove(0);
    assert!(id.starts_with("daily-report@run-now-"), "{id}");
    let relay = Launch::new(&["outbox", "run", "--once"])
        .env("DRUMLINE_OUTBOX_URL", &url)
        .env("DRUMLINE_QUEUE_URL", &queue.url)
        .env("AWS_ENDPOINT_URL", &queue.endpoint_url());
    assert_eq!(relay.finish().await.status, Some(0));
    let body: Value = serde_json::from_str(&queue.receive(1).await[0].body()).unwrap();
    assert_eq!((&body["jobId"], &body["type"]), (&json!(id), &json!("report.daily")));
    assert_eq!(body["payload"], json!({ "of": "sales" }));
    assert!(succeed(&url, &config, &["resume", "daily-report"]).await.errors().contains("from now on"));
    assert!(succeed(&url, &config, &["resume", "daily-report"]).await.errors().contains("was not paused"));

    for command in ["pause", "resume", "run-now"] {
        let finished = schedule(&url, &config.path, &[command, "report"]).finish().await;
        assert_eq!(finished.status, Some(64), "{}", finished.errors());
        let says = "there is no schedule \"report\"; there are daily-report, poll";
        assert!(finished.errors().contains(says), "{}", finished.errors());
    }
    // Another service's schedules are listed, too, and cannot be run from here.
    let other =
        Config::new("[[schedule]]\nname = \"tidy\"\nevery = \"1h\"\ntype = \"tidy\"\ntimetable = \"x\"\n");
    let finished = schedule(&url, &other.path, &["ls"]).finish().await;
    assert!(finished.status == Some(64) && finished.errors().contains("timetable: is no part of a schedule"));
    let other = Config::new(
        "timetable = \"billing\"\n[[schedule]]\nname = \"tidy\"\nevery = \"1h\"\ntype = \"tidy\"\n",
    );
    succeed(&url, &other, &["pause", "billing/tidy"]).await;
    let listed = json_lines(&succeed(&url, &config, &["ls", "--output", "json"]).await);
    assert_eq!((&listed[2]["name"], &listed[2]["state"]), (&json!("billing/tidy"), &json!("paused")));
    assert_eq!((listed[2]["type"].clone(), listed.len()), (json!(null), 3));
    succeed(&url, &config, &["resume", "billing/tidy"]).await;
    let finished = schedule(&url, &config.path, &["run-now", "billing/tidy"]).finish().await;
    assert!(finished.status == Some(64) && finished.errors().contains("is not declared in these settings"));
}

#[tokio::test]
async fn a_scheduler_without_usable_schedules_does_not_start() {
    let queue = LocalQueue::create(Setup::default()).await;
    let bad = "[[schedule]]\nname = \"a\"\ncron = \"0 0 30 2 *\"\ntime_zone = \"Zurich\"\ntype = \"t\"\ncatch_up = \"some\"\n\
               [[schedule]]\nname = \"b\"\nevery = \"1500ms\"\ntype = \"t\"\n";
    let table = [
        ("", vec!["there is no schedule: declare some as [[schedule]]"]),
        (
            bad,
            vec![
                "4 problems with the settings",
                "[[schedule]] 1 \"a\": time_zone: \"Zurich\" is not the name of a time zone in the IANA database: did you mean Europe/Zurich?",
                "[[schedule]] 1 \"a\": cron: \"0 0 30 2 *\" never matches",
                "[[schedule]] 1 \"a\": catch_up: must be one of skip, last, all",
                "[[schedule]] 2 \"b\": every: must be whole seconds",
            ],
        ),
    ];
    for (text, says) in table {
        let config = Config::new(text);
        let launch = scheduler("postgres://localhost/none", &config.path, &queue.url, &queue.endpoint_url());
        let finished = launch.finish().await;
        assert_eq!(finished.status, Some(64), "{}", finished.errors());
        for says in says {
            assert!(finished.errors().contains(says), "{says} in\n{}", finished.errors());
        }
    }
}
