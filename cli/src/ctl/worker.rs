//! A client for one worker's HTTP endpoint.

use std::net::{SocketAddr, ToSocketAddrs};

use drumline_consumer::ExitError;
use drumline_consumer::control::{ControlView, Order};
use drumline_runtime::{SecretText, Settings};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::format::one_line;
use crate::own_endpoint::{self, Answer};

const PATH: &str = "/control";

/// A worker that takes orders.
#[derive(Clone)]
pub(super) struct WorkerAt {
    addr: SocketAddr,
    token: Option<SecretText>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    known: Vec<String>,
}

impl WorkerAt {
    /// Returns the worker at `url`, or the worker of the settings if there is no URL.
    pub(super) fn of(url: Option<&str>, settings: &Settings) -> Result<Self, ExitError> {
        let addr = match url {
            Some(url) => address(url)?,
            None => settings.http_addr.ok_or_else(|| {
                ExitError::usage(
                    "DRUMLINE_HTTP_ADDR is off, so the worker cannot be asked: name one by --worker, or all by --everywhere",
                )
            })?,
        };
        Ok(Self { addr, token: settings.http_access.token.clone() })
    }

    /// Returns the worker's URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Gives the worker an order. Returns the orders and settings that then apply to the order's target.
    pub(super) async fn give(&self, order: &Order) -> Result<ControlView, ExitError> {
        let json = serde_json::to_string(order).expect("it is made of texts and numbers");
        self.ask(move |addr, token| own_endpoint::post(addr, PATH, token, &json)).await
    }

    /// Returns all orders that the worker follows.
    pub(super) async fn view(&self) -> Result<ControlView, ExitError> {
        self.ask(|addr, token| own_endpoint::get(addr, PATH, token)).await
    }

    async fn ask(
        &self,
        ask: impl FnOnce(SocketAddr, Option<&SecretText>) -> std::io::Result<Answer> + Send + 'static,
    ) -> Result<ControlView, ExitError> {
        let (addr, token) = (self.addr, self.token.clone());
        let asked = tokio::task::spawn_blocking(move || ask(addr, token.as_ref())).await;
        let answer = asked.map_err(|error| ExitError::other(error.to_string()))?;
        understood(&self.url(), answer)
    }
}

/// Parses the response of a worker; an error response becomes the error of the command.
pub(crate) fn understood<T: DeserializeOwned>(
    url: &str,
    answer: std::io::Result<Answer>,
) -> Result<T, ExitError> {
    let answer = answer.map_err(|error| {
        ExitError::unavailable(format!(
            "no worker answers at {url}: {error}; name its address by --http-addr"
        ))
    })?;
    let another = || {
        ExitError::unavailable(format!(
            "{url} does not answer as a worker of this version does ({}): is it another program's address?",
            answer.status_line
        ))
    };
    if answer.is_ok() {
        return serde_json::from_str(&answer.body).map_err(|_| another());
    }
    let Ok(Refused { error, known }) = serde_json::from_str(&answer.body) else { return Err(another()) };
    let known: Vec<String> = known.iter().map(|name| one_line(name)).collect();
    let known = if known.is_empty() { String::new() } else { format!("; there are {}", known.join(", ")) };
    let text = format!("the worker at {url}: {}{known}", one_line(&error));
    match answer.status() {
        Some(400..500) => Err(ExitError::usage(text)),
        _ => Err(ExitError::unavailable(text)),
    }
}

/// Returns the socket address of a worker's URL.
fn address(url: &str) -> Result<SocketAddr, ExitError> {
    let wrong = |why: &str| ExitError::usage(format!("--worker {url:?}: {why}"));
    let parsed = Url::parse(url).map_err(|_| wrong("write it like http://10.0.3.7:9464"))?;
    let host = parsed.host_str().unwrap_or_default();
    if parsed.scheme() != "http" || !parsed.username().is_empty() || !matches!(parsed.path(), "" | "/") {
        return Err(wrong(
            "write it like http://10.0.3.7:9464, without a path; a token goes into DRUMLINE_HTTP_TOKEN",
        ));
    }
    let port = parsed.port_or_known_default().unwrap_or(80);
    let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
    let found = found.map_err(|error| ExitError::unavailable(format!("--worker {url:?}: {error}")))?;
    let mut found = found.collect::<Vec<_>>().into_iter();
    found.next().ok_or_else(|| wrong("its name has no address"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const URL: &str = "http://127.0.0.1:9464";

    #[test]
    fn a_worker_has_a_url_without_a_path() {
        assert_eq!(address("http://10.0.3.7:9464").unwrap().to_string(), "10.0.3.7:9464");
        assert_eq!(address("http://[::1]:9464/").unwrap().to_string(), "[::1]:9464");
        assert_eq!(address("http://10.0.3.7").unwrap().port(), 80);
        for url in ["10.0.3.7:9464", "https://10.0.3.7", "http://a:b@10.0.3.7", "http://10.0.3.7/control", ""]
        {
            assert!(address(url).unwrap_err().to_string().contains("write it like http://"), "{url}");
        }
    }

    #[test]
    fn a_refusal_is_usage_and_silence_is_not() {
        let answer = |status: &str, body: &str| {
            Ok(Answer { status_line: format!("HTTP/1.0 {status}"), body: body.to_owned() })
        };
        let table = [
            (
                answer("404 Not Found", r#"{"error":"no queue \"x\"","known":["jobs"]}"#),
                false,
                "there are jobs",
            ),
            (answer("401 Unauthorized", r#"{"error":"give the token"}"#), false, "give the token"),
            (answer("404 Not Found", ""), true, "another program"),
            (answer("200 OK", "<html>"), true, "another program"),
            (Err(std::io::ErrorKind::ConnectionRefused.into()), true, "no worker answers"),
        ];
        for (answer, is_unavailable, words) in table {
            let error = understood::<ControlView>(URL, answer).unwrap_err();
            assert_eq!(error.is_unavailable(), is_unavailable, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        let view =
            understood::<ControlView>(URL, answer("200 OK", r#"{"worker":"w","queues":[],"types":[]}"#))
                .unwrap();
        assert_eq!(view.worker, "w");
    }
}
