//! Compares the embedded queue with `LocalStack`: the same scripts through the same SDK must produce the same observations.
//!
//! Set `DRUMLINE_TEST_LOCALSTACK` to the URL of a running `LocalStack`. If `LocalStack` is known to differ from AWS's
//! documentation,
//! [`differences`] has AWS's behaviour, which the embedded queue must have.
#![allow(clippy::unwrap_used)]

mod differences;
mod normal;
mod run;
mod scenarios;
mod script;

use std::fmt::Write as _;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region};
use drumline_queue::Server;
use tokio::task::JoinSet;

use crate::differences::DIFFERENCES;
use crate::run::Run;
use crate::scenarios::all;
use crate::script::Scenario;

fn client(endpoint_url: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::from_keys("test", "test", None))
        .endpoint_url(endpoint_url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// The observations of a scenario on the embedded queue and on `LocalStack`, step by step.
struct Pair {
    scenario: Scenario,
    embedded: Vec<String>,
    localstack: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_queue_behaves_like_localstack_or_aws() {
    let url = drumline_store::variable("DRUMLINE_TEST_LOCALSTACK").expect(
        "DRUMLINE_TEST_LOCALSTACK must be the URL of a running LocalStack, such as http://127.0.0.1:4566",
    );
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let (embedded, localstack) = (client(&server.endpoint_url()), client(&url));

    let mut running = JoinSet::new();
    for scenario in all() {
        let (embedded, localstack) = (embedded.clone(), localstack.clone());
        running.spawn(async move {
            let (embedded, localstack) =
                tokio::join!(Run::new(embedded, &scenario).all(), Run::new(localstack, &scenario).all());
            Pair { scenario, embedded, localstack }
        });
    }
    let mut report = String::new();
    for pair in running.join_all().await {
        compare(&pair, &mut report);
    }
    assert!(report.is_empty(), "\n{report}");
}

fn compare(pair: &Pair, report: &mut String) {
    let name = pair.scenario.name;
    for (index, step) in pair.scenario.steps.iter().enumerate() {
        let (embedded, localstack) = (&pair.embedded[index], &pair.localstack[index]);
        let known = DIFFERENCES.iter().find(|known| known.scenario == name && known.step == index);
        let complaint = match known {
            None if embedded == localstack => continue,
            None => "they differ".to_owned(),
            Some(known) if embedded != known.aws => format!("AWS answers {}: {}", known.aws, known.because),
            Some(_) if embedded == localstack => "no difference any more: take it off the table".to_owned(),
            Some(_) => continue,
        };
        writeln!(report, "{name}, step {index}: {complaint}\n  {step:?}\n  embedded:   {embedded}\n  localstack: {localstack}\n")
            .expect("writing to a String cannot fail");
    }
}

#[test]
fn every_known_difference_belongs_to_a_step() {
    let scenarios = all();
    for known in DIFFERENCES {
        let scenario = scenarios.iter().find(|scenario| scenario.name == known.scenario);
        assert!(scenario.is_some_and(|s| known.step < s.steps.len()), "{} {}", known.scenario, known.step);
    }
}

#[test]
fn scenario_names_are_distinct() {
    let mut names: Vec<_> = all().into_iter().map(|scenario| scenario.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}
