//! `drumline schema --format asyncapi`: describes the queues of the settings as channels.

use drumline_contract::asyncapi::{Queue, Server};
use drumline_runtime::Settings;
use drumline_runtime::aws::queue_name;
use url::Url;

/// Returns the queues in the settings with the types that are sent to each: the types that `queue_by_type` assigns to it, and
/// for a queue from which workers receive, also the types without an assignment.
pub(super) fn queues(settings: &Settings, types: &[&str]) -> Vec<Queue> {
    let mut urls: Vec<&Url> = settings.queues.iter().map(|queue| &queue.url).collect();
    let workers = urls.len();
    let mut others: Vec<&Url> = settings.queue_by_type.values().filter(|url| !urls.contains(url)).collect();
    others.sort();
    others.dedup();
    urls.extend(others);
    let queue = |(at, url): (usize, &Url)| {
        let is_sent = |name: &&&str| match settings.queue_by_type.get(**name) {
            Some(target) => target == url,
            None => at < workers,
        };
        let types = types.iter().filter(is_sent).map(|name| (*name).to_owned()).collect();
        Queue { name: queue_name(url.as_str()).to_owned(), server: server(url), types: Some(types) }
    };
    urls.into_iter().enumerate().map(queue).collect()
}

/// Returns the server of a queue. A queue that is given by its name has no server yet.
fn server(url: &Url) -> Option<Server> {
    let host = url.host_str()?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path = url.path().trim_end_matches('/').rsplit_once('/').map_or("", |(path, _)| path);
    Some(Server { host, path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn settings(file: &str) -> Settings {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drumline.toml");
        std::fs::write(&path, file).unwrap();
        let environment = drumline_runtime::Environment::of(BTreeMap::<String, String>::new());
        environment.settings_of_tool(&BTreeMap::new(), Some(&path)).unwrap()
    }

    #[test]
    fn each_type_is_on_the_queue_that_it_is_sent_to() {
        const JOBS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/jobs";
        let file = format!(
            "queue_url = \"{JOBS},http://localhost:9324/000000000000/more.fifo\"\n[queue_by_type]\na = \"{JOBS}\"\nb = \"elsewhere\"\n"
        );
        let server = |host: &str, path: &str| Some(Server { host: host.to_owned(), path: path.to_owned() });
        let queue = |name: &str, server, types: &[&str]| Queue {
            name: name.to_owned(),
            server,
            types: Some(types.iter().map(|name| (*name).to_owned()).collect()),
        };
        assert_eq!(
            queues(&settings(&file), &["a", "b", "c"]),
            [
                queue("jobs", server("sqs.eu-west-1.amazonaws.com", "/123456789012"), &["a", "c"]),
                queue("more.fifo", server("localhost:9324", "/000000000000"), &["c"]),
                queue("elsewhere", None, &["b"]),
            ]
        );
        assert_eq!(queues(&settings(""), &["a"]), []);
    }
}
