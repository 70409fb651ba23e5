//! A server, and a client of the real SDK that talks to it.
#![allow(dead_code, reason = "each test file is a separate crate and uses only some helpers")]

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use drumline_queue::Server;

pub(crate) async fn server() -> (Server, Client) {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let client = client(&server.endpoint_url());
    (server, client)
}

pub(crate) fn client(endpoint_url: &str) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::from_keys("any", "any", None))
        .endpoint_url(endpoint_url)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .build();
    Client::from_conf(config)
}
