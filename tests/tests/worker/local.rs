//! Commands that need no queue: `drumline config` and `drumline dev`.

use std::path::Path;
use std::time::{Duration, Instant};

use drumline_tests::{Launch, Signal, Worker, client, eventually};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn config_tells_where_every_setting_comes_from() {
    let launch = Launch::new(&["config", "--config", "drumline.toml", "--concurrency", "3"])
        .env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9324/000000000000/jobs")
        .env("DRUMLINE_WAIT_TIME", "2s");
    std::fs::write(launch.home().join("drumline.toml"), "handler_timeout = \"1m\"\nwait_time = \"9s\"\n")
        .unwrap();
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let row = |key: &str| {
        let mut rows = finished.stdout.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
        rows.find(|row| row.first() == Some(&key)).unwrap_or_else(|| panic!("{key} in {finished:?}"))
    };
    assert_eq!(row("concurrency")[..3], ["concurrency", "3", "flag"]);
    assert_eq!(row("wait_time")[..3], ["wait_time", "2s", "environment"]);
    assert_eq!(row("handler_timeout")[..3], ["handler_timeout", "1m", "file"]);
    assert_eq!(row("shutdown_grace")[..3], ["shutdown_grace", "25s", "default"]);
    assert_eq!(row("visibility_timeout")[..4], ["visibility_timeout", "-", "the", "queue"]);
}

#[tokio::test]
async fn config_gives_json_to_programs() {
    let finished = Launch::new(&["config", "--output", "json"])
        .env("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9324/000000000000/jobs")
        .finish()
        .await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let settings: Vec<serde_json::Value> =
        finished.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let grace = settings.iter().find(|setting| setting["key"] == "shutdown_grace").unwrap();
    assert_eq!((&grace["value"], &grace["origin"]), (&"25s".into(), &"default".into()));
}

fn longest_side(path: &Path) -> u32 {
    let (width, height) =
        image::image_dimensions(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    width.max(height)
}

#[tokio::test]
async fn dev_once_runs_the_samples_each_time_and_keeps_histories() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let launch = Launch::new(&["dev", "--once", "--sqs-addr", "127.0.0.1:0", "--dir", &dir]);
    let launch = launch.without("AWS_REGION").without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let finished = launch.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
    let made = [
        ("lake-960.webp", 960),
        ("lake-480.webp", 480),
        ("lake-240.jpeg", 240),
        ("drum-128.webp", 128),
        ("drum-128.png", 128),
        ("drum-128.jpeg", 128),
        ("portrait-200.jpeg", 200),
    ];
    for (name, side) in made {
        assert_eq!(longest_side(&folder.path().join("data/thumbnails").join(name)), side, "{name}");
    }
    assert!(folder.path().join("data/thumbnails/lake-320.avif").exists());
    assert!(folder.path().join("outbox/welcome-ada.eml").exists());
    let report = std::fs::read_to_string(folder.path().join("data/reports/sales-by-country.csv")).unwrap();
    assert!(report.starts_with("country,count,sum,") && report.lines().count() == 13, "{report}");
    assert!(folder.path().join("data/reports/sales-by-country.html").exists());
    assert!(!folder.path().join("data/thumbnails/never.webp").exists());
    let table = finished.stdout.join("\n");
    for words in ["a photo in three sizes", "fails twice", "3 messages in jobs-dlq"] {
        assert!(table.contains(words), "{words:?} in\n{table}");
    }

    // The second start runs all of them again: claims of the first one do not count. Nor does an endpoint that is set for other
    // work.
    let again = Launch::new(&["dev", "--once", "--sqs-addr", "127.0.0.1:0", "--dir", &dir]);
    let again = again.env("AWS_ENDPOINT_URL", "http://127.0.0.1:9").finish().await;
    assert_eq!(again.status, Some(0), "{}", again.errors());
    let outcomes = |table: &[String]| table.iter().filter(|line| line.contains(" done ")).count();
    assert_eq!((outcomes(&again.stdout), outcomes(&finished.stdout)), (8, 8), "{:?}", again.stdout);

    let url = format!("file:{dir}/jobs.db");
    let arguments = ["jobs", "show", "sample-misfit", "--store-url", &url, "--output", "json"];
    let shown = Launch::new(&arguments).finish().await;
    assert_eq!(shown.status, Some(0), "{}", shown.errors());
    let shown = shown.stdout.join("\n");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap_or_else(|_| panic!("{shown}"));
    let reason = shown["claim"]["verdict"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the payload does not fit"), "{shown}");
    assert_eq!(shown["others"].as_array().map(Vec::len), Some(1), "that of the first start: {shown}");
    // A name that no worker has created is probably misspelt.
    let shown = Launch::new(&["jobs", "show", "a", "--store-url", &format!("{url}x")]).finish().await;
    assert_eq!(shown.status, Some(64), "{}", shown.errors());
    assert!(shown.errors().contains("jobs.dbx does not exist"), "{}", shown.errors());
    assert!(!folder.path().join("jobs.dbx").exists());
}

/// Starts a queue without consumers. Returns its process, its endpoint and its URL.
async fn queue_only() -> (Worker, String, String) {
    let worker = Launch::new(&["dev", "--queue-only", "--sqs-addr", "127.0.0.1:0"]).spawn();
    let shown = |worker: &Worker| {
        let text = worker.stdout().join("\n");
        let endpoint = text.split_once("SQS endpoint ")?.1.split_once(',')?.0.to_owned();
        let url = text.split_once("queue ")?.1.split_once(',')?.0.to_owned();
        Some((endpoint, url))
    };
    eventually("it shows its endpoint", async || shown(&worker).is_some()).await;
    let (endpoint, url) = shown(&worker).unwrap();
    (worker, endpoint, url)
}

#[tokio::test]
async fn dev_queue_only_serves_until_it_is_interrupted() {
    let (worker, endpoint, url) = queue_only().await;
    let sqs = client(&endpoint);
    assert_eq!(sqs.get_queue_url().queue_name("jobs").send().await.unwrap().queue_url(), Some(&*url));
    let sent = sqs.send_message().queue_url(&url).message_body("hello").send().await.unwrap();
    let received = sqs.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap();
    assert_eq!(received[0].message_id, sent.message_id);
    let delete = sqs.delete_message().queue_url(&url);
    delete.receipt_handle(received[0].receipt_handle().unwrap()).send().await.unwrap();

    // The command line works against it without an account, a region or credentials.
    let finished = Launch::new(&["send", "--queue-url", &url, "--type", "a.b", "--payload", "1"])
        .without("AWS_REGION")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .finish()
        .await;
    assert_eq!((finished.status, finished.stdout.len()), (Some(0), 1), "{}", finished.errors());

    worker.signal(Signal::INT);
    let finished = worker.finish().await;
    assert_eq!(finished.status, Some(0), "{}", finished.errors());
}

#[tokio::test]
async fn dev_on_an_address_in_use_tells_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = Launch::new(&["dev", "--sqs-addr", &address]).finish().await;
    assert_eq!(finished.status, Some(69), "{}", finished.errors());
    assert!(finished.errors().contains("--sqs-addr"), "{}", finished.errors());
}

#[tokio::test]
async fn dev_works_beside_more_idle_connections_than_it_keeps() {
    drumline_runtime::raise_descriptor_limit();
    let (worker, endpoint, url) = queue_only().await;
    let address = endpoint.strip_prefix("http://").unwrap();
    let mut idle = Vec::new();
    for number in 0..1_100 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        // Some of them with half a request.
        if number % 2 == 0 {
            stream.write_all(b"POST / HTTP/1.1\r\nhost:").await.unwrap();
        }
        idle.push(stream);
    }
    let begun = Instant::now();
    let sqs = client(&endpoint);
    let sent = sqs.send_message().queue_url(&url).message_body("hello").send().await.unwrap();
    let received = sqs.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap();
    assert_eq!(received[0].message_id, sent.message_id);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    worker.signal(Signal::INT);
    assert_eq!(worker.finish().await.status, Some(0));
    drop(idle);
}

#[tokio::test]
async fn dev_is_open_to_other_machines_only_if_it_is_allowed_to() {
    for address in ["0.0.0.0:0", "[::]:0", "[::ffff:0.0.0.0]:0", "192.0.2.1:9324"] {
        let finished = Launch::new(&["dev", "--queue-only", "--sqs-addr", address]).finish().await;
        assert_eq!(finished.status, Some(64), "{address}: {}", finished.errors());
        assert!(finished.errors().contains("--allow-remote"), "{address}: {}", finished.errors());
    }
    let open = Launch::new(&["dev", "--queue-only", "--sqs-addr", "0.0.0.0:0", "--allow-remote"]).spawn();
    eventually("it serves", async || open.stdout().join("\n").contains("SQS endpoint")).await;
    open.signal(Signal::INT);
    assert_eq!(open.finish().await.status, Some(0));
}
