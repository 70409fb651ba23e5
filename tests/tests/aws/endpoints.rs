//! The host to which each program sends its requests, by the name in its first TLS message.

use drumline_tests::{
    Answer, App, ConnectProxy, FunctionLaunch, Invocation, Launch, Record, eventually, sqs_event,
};
use futures_util::future::join_all;

use crate::{UNAVAILABLE, USAGE};

/// A queue's URL with AWS's settings, and the host that receives its requests.
struct Case {
    queue: &'static str,
    env: &'static [(&'static str, &'static str)],
    host: &'static str,
    warns: bool,
}

const fn case(queue: &'static str, host: &'static str) -> Case {
    Case { queue, env: &[], host, warns: false }
}

impl Case {
    const fn env(self, env: &'static [(&'static str, &'static str)]) -> Self {
        Self { env, ..self }
    }

    const fn warns(self) -> Self {
        Self { warns: true, ..self }
    }

    fn url(&self) -> String {
        format!("https://{}/123456789012/jobs", self.queue)
    }
}

const FIPS: (&str, &str) = ("AWS_USE_FIPS_ENDPOINT", "true");
const DUAL_STACK: (&str, &str) = ("AWS_USE_DUALSTACK_ENDPOINT", "true");
const EMPTY: &[(&str, &str)] = &[("AWS_ENDPOINT_URL", ""), ("AWS_ENDPOINT_URL_SQS", ""), ("AWS_PROFILE", "")];
const ALL: (&str, &str) = ("AWS_ENDPOINT_URL", "https://all.example");
const OWN: (&str, &str) = ("AWS_ENDPOINT_URL_SQS", "https://own.example");

const VPC: &str = "vpce-0a1b-xyz.sqs.eu-west-1.vpce.amazonaws.com";

/// The region's usual host, which only settings replace.
const USUAL: &str = "sqs.eu-west-1.amazonaws.com";

const CASES: [Case; 22] = [
    case(USUAL, USUAL),
    case(USUAL, USUAL).env(EMPTY),
    case(USUAL, USUAL).env(&[("AWS_REGION", "us-east-1")]).warns(),
    case(USUAL, "sqs-fips.eu-west-1.amazonaws.com").env(&[FIPS]),
    case(USUAL, "sqs.eu-west-1.api.aws").env(&[DUAL_STACK]),
    case(USUAL, "sqs-fips.eu-west-1.api.aws").env(&[FIPS, DUAL_STACK]),
    case(USUAL, "own.example").env(&[ALL, OWN]),
    case(USUAL, "own.example").env(&[OWN, FIPS]).warns(),
    case(USUAL, "all.example").env(&[ALL, ("AWS_ENDPOINT_URL_SQS", "")]),
    case(USUAL, USUAL).env(&[ALL, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]),
    case("sqs-fips.us-east-1.amazonaws.com", "sqs-fips.us-east-1.amazonaws.com"),
    case("sqs-fips.us-east-1.amazonaws.com", "sqs-fips.us-east-1.amazonaws.com").env(&[FIPS]),
    case("sqs.us-east-1.api.aws", "sqs.us-east-1.api.aws"),
    case("sqs-fips.us-east-1.api.aws", "sqs-fips.us-east-1.api.aws"),
    case(VPC, VPC).env(&[("AWS_REGION", "eu-west-1")]),
    case(VPC, VPC),
    case("sqs.cn-north-1.amazonaws.com.cn", "sqs.cn-north-1.amazonaws.com.cn"),
    case("eu-west-1.queue.amazonaws.com", "eu-west-1.queue.amazonaws.com"),
    case("queue.amazonaws.com", "queue.amazonaws.com"),
    case("sqs.us-gov-west-1.amazonaws.com", "sqs.us-gov-west-1.amazonaws.com"),
    case("sqs.us-iso-east-1.c2s.ic.gov", "sqs.us-iso-east-1.c2s.ic.gov"),
    case("sqs.internal.example", "sqs.internal.example"),
];

/// A function's region is always set, so it may differ from the one in a URL, which then counts.
const REGION_WARNING: &str = "the queue's URL is of another region than";
const FIPS_WARNING: &str = "AWS_USE_FIPS_ENDPOINT has no effect";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_endpoint_comes_from_settings_then_url_then_region() {
    join_all(CASES.iter().map(async |case| {
        let proxy = ConnectProxy::start().await;
        let mut launch = Launch::new(&["run"]).without("AWS_REGION").env("HTTPS_PROXY", &proxy.url());
        for (name, value) in case.env {
            launch = launch.env(name, value);
        }
        let worker = launch.env("DRUMLINE_QUEUE_URL", &case.url()).spawn();
        expect_host(&proxy, case).await;
        let warnings =
            worker.logged_beginning(REGION_WARNING).len() + worker.logged_beginning(FIPS_WARNING).len();
        assert_eq!(warnings, usize::from(case.warns), "{}", case.url());
        worker.kill().await;
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_command_asks_the_same_endpoints() {
    join_all(CASES.iter().map(async |case| {
        let proxy = ConnectProxy::start().await;
        let url = case.url();
        let args = ["send", "--queue-url", &url, "--type", "a", "--payload", "{}"];
        let mut launch = Launch::new(&args).without("AWS_REGION").env("HTTPS_PROXY", &proxy.url());
        for (name, value) in case.env {
            launch = launch.env(name, value);
        }
        let finished = launch.finish().await;
        expect_host(&proxy, case).await;
        assert_eq!(finished.status, Some(UNAVAILABLE), "{}", finished.errors());
        let warns = finished.errors().contains(REGION_WARNING) || finished.errors().contains(FIPS_WARNING);
        assert_eq!(warns, case.warns, "{url}: {}", finished.errors());
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_function_asks_the_same_endpoints() {
    let app = App::start(async |_| Answer::status(503)).await;
    join_all(CASES.iter().map(async |case| {
        let proxy = ConnectProxy::start().await;
        let mut launch = FunctionLaunch::new()
            .env("DRUMLINE_FORWARD_TO", &app.url())
            .env("DRUMLINE_QUEUE_URL", &case.url())
            .env("HTTPS_PROXY", &proxy.url());
        for (name, value) in case.env {
            launch = launch.env(name, value);
        }
        let function = launch.spawn().await;
        // The backoff of the failed message is the function's request to SQS.
        let record = Record::hand_made("a").with("eventSourceARN", "arn:aws:sqs:eu-west-1:123456789012:jobs");
        let answered = function.begin(Invocation::new(sqs_event([&record])));
        expect_host(&proxy, case).await;
        drop((answered, function));
    }))
    .await;
}

async fn expect_host(proxy: &ConnectProxy, case: &Case) {
    eventually(&format!("{} is asked for {}", case.host, case.url()), async || !proxy.seen().is_empty())
        .await;
    for tunnel in proxy.seen() {
        assert_eq!(tunnel.server_name.as_deref(), Some(case.host), "{}", case.url());
        assert_eq!(tunnel.target, format!("{}:443", case.host), "{}", case.url());
    }
}

#[tokio::test]
async fn an_unusable_endpoint_is_a_wrong_setting() {
    let url = format!("https://{USUAL}/123456789012/jobs");
    for (name, value) in
        [("AWS_ENDPOINT_URL", "localhost:4566"), ("AWS_ENDPOINT_URL_SQS", "sqs.eu-west-1.amazonaws.com")]
    {
        for args in
            [&["run"][..], &["send", "--type", "a", "--payload", "{}"], &["dlq", "ls"], &["doctor", "queue"]]
        {
            let finished = Launch::new(args).env("DRUMLINE_QUEUE_URL", &url).env(name, value).finish().await;
            let errors = finished.errors();
            assert_eq!(finished.status, Some(USAGE), "{args:?}: {errors}");
            assert!(errors.contains(name) && errors.contains(value), "{args:?}: {errors}");
            assert!(!errors.contains("panicked"), "{args:?}: {errors}");
        }
        let (finished, api) = FunctionLaunch::new().env(name, value).spawn().await.finish().await;
        assert_eq!(finished.status, Some(USAGE), "{}", finished.errors());
        assert!(api.init_errors()[0].body.to_string().contains(name), "{:?}", api.init_errors());
    }
}
