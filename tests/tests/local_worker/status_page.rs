//! The example `status`: a page of one process shows the progress of a job in another process, in a real browser.

use std::time::{Duration, Instant};

use drumline_tests::{
    Browser, Launch, LocalQueue, PATIENCE, Setup, Worker, binary, eventually, free_address, get,
};

/// The application, the worker, and the queue and the file that they share.
struct Site {
    url: String,
    _worker: Worker,
    _page: Worker,
    _queue: LocalQueue,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let queue = LocalQueue::create(Setup { max_receive_count: Some(5), ..Setup::default() }).await;
        let folder = tempfile::tempdir().unwrap();
        let store = format!("file:{}", folder.path().join("jobs.db").display());
        let launch = |name: &str| {
            let launch = Launch::on(&queue).program(binary("drumline-examples", name));
            launch.env("DRUMLINE_STORE_URL", &store)
        };
        let addr = free_address().to_string();
        let page = launch("status").env("LISTEN", &addr).spawn();
        let url = format!("http://{addr}");
        eventually("the page is served", async || get(&url).await.is_some_and(|(status, _)| status == 200))
            .await;
        let worker = launch("status_worker").spawn();
        Self { url, _worker: worker, _page: page, _queue: queue, _folder: folder }
    }
}

#[tokio::test]
async fn a_real_browser_shows_the_progress_of_another_processs_job() {
    let name = "a_real_browser_shows_the_progress_of_another_processs_job";
    let Some(browser) = Browser::open(name).await else { return };
    let site = Site::start().await;
    browser.go(&format!("{}/sign-in/alice", site.url)).await;
    browser.run("document.getElementById('make').click()").await;

    let (mut positions, begun) = (Vec::new(), Instant::now());
    let text = loop {
        let seen = browser.run("return [bar.position, text.textContent]").await;
        let (position, text) = (seen[0].as_f64().unwrap(), seen[1].as_str().unwrap().to_owned());
        if positions.last() != Some(&position) {
            positions.push(position);
        }
        if text.starts_with("a report") || begun.elapsed() > PATIENCE {
            break text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(text, "a report of 20 pages", "{positions:?}");
    assert!(positions.is_sorted(), "{positions:?}");
    let between = positions.iter().filter(|&&position| position > 0.0 && position < 1.0).count();
    assert!(between >= 2, "the bar moves: {positions:?}");
    assert!(positions.last().is_some_and(|&last| last > 0.99), "{positions:?}");

    // After a reload the page still shows the report. Another user's page does not.
    let address = browser.run("return location.href").await;
    let address = address.as_str().unwrap();
    browser.go("about:blank").await;
    browser.go(address).await;
    until(&browser, "a report of 20 pages").await;
    browser.go(&format!("{}/sign-in/bob", site.url)).await;
    browser.go("about:blank").await;
    browser.go(address).await;
    until(&browser, "This report may not be seen.").await;
    let status = "return fetch('/status/jobs/' + location.hash.slice(1)).then(answer => answer.status)";
    assert_eq!(browser.run(status).await, 403);
}

async fn until(browser: &Browser, text: &str) {
    let is_shown = async || browser.run("return text.textContent").await == text;
    eventually(&format!("the page says: {text}"), is_shown).await;
}
