#![allow(clippy::unwrap_used)]
use super::*;

impl Pool {
    /// Makes connections older and longer unused.
    pub(crate) fn let_time_pass(&self, age: Duration, unused: Duration) {
        for connection in &mut *self.lock() {
            connection.opened_at -= age;
            connection.used_at -= unused;
        }
    }

    /// Waits until the pool knows that the other end has closed each connection.
    pub(crate) async fn until_all_are_closed(&self) {
        let closing = async {
            while self.lock().iter().any(|connection| !connection.sender.is_closed()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), closing).await.unwrap();
    }
}

#[test]
fn tls_offers_http_1_only() {
    let endpoint = Uri::from_static("http://sqs.test");
    let config = tls(&endpoint, &Environment::from([("AWS_CA_BUNDLE", "")])).unwrap();
    assert_eq!(config.alpn_protocols, [b"http/1.1".to_vec()]);
}

#[test]
fn a_bundle_that_cannot_be_used_is_an_error() {
    let environment = Environment::from([("AWS_CA_BUNDLE", "/nowhere/bundle.pem")]);
    let problem = Pool::new(Uri::from_static("https://sqs.test"), &environment).unwrap_err();
    assert!(problem.contains("/nowhere/bundle.pem"), "{problem}");
}
