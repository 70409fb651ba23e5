//! Known vulnerabilities and unmaintained packages in the lock file, according to [OSV](https://google.github.io/osv.dev/api/),
//! which includes those of `RustSec`. No check depends on it: without a network, the result is that nothing was checked.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cargo_metadata::{Metadata, Package};
use serde_json::{Value, json};

const SERVICE: &str = "https://api.osv.dev";

/// The largest number of queries in one request to the service.
const MAX_QUERIES: usize = 1000;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Accepted advisories, each with the reason.
const ACCEPTED: &[(&str, &str)] = &[(
    "RUSTSEC-2024-0436",
    "paste is archived, not faulty: macros at build time, for the AVIF encoder, whose next version has replaced it",
)];

/// The result of the request.
#[derive(Debug)]
pub(crate) enum Advisories {
    /// One line for each advisory that is not accepted.
    Known(Vec<String>),
    /// The service could not be reached.
    NotChecked(String),
}

/// Asks the service about every package.
pub(crate) fn check(metadata: &Metadata) -> Advisories {
    let foreign: Vec<&Package> =
        metadata.packages.iter().filter(|package| package.source.is_some()).collect();
    match ask(SERVICE, &foreign) {
        Ok(found) => Advisories::Known(found),
        Err(error) => Advisories::NotChecked(format!("{error:#}")),
    }
}

fn ask(service: &str, packages: &[&Package]) -> Result<Vec<String>> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build().into();
    let mut found = Vec::new();
    for packages in packages.chunks(MAX_QUERIES) {
        let query = |package: &&Package| {
            let name = package.name.as_str();
            json!({ "package": { "name": name, "ecosystem": "crates.io" }, "version": package.version.to_string() })
        };
        let queries: Vec<Value> = packages.iter().map(query).collect();
        let body = json!({ "queries": queries }).to_string();
        let mut reply = agent.post(format!("{service}/v1/querybatch")).send(body)?;
        let reply: Value = serde_json::from_str(&reply.body_mut().read_to_string()?)?;
        let results = reply["results"].as_array().context("the answer has no results")?;
        ensure!(results.len() == packages.len(), "the answer is about another number of packages");
        for (package, result) in packages.iter().zip(results) {
            let ids = result["vulns"].as_array().into_iter().flatten().filter_map(|vuln| vuln["id"].as_str());
            found.extend(
                ids.filter(|id| !is_accepted(id)).map(|id| {
                    format!("{} {}: {id}, see https://osv.dev/{id}", package.name, package.version)
                }),
            );
        }
    }
    Ok(found)
}

fn is_accepted(id: &str) -> bool {
    ACCEPTED.iter().any(|(accepted, _)| *accepted == id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::{BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use cargo_metadata::MetadataCommand;

    use super::*;
    use xtask::http::request;

    /// Starts a service that responds once, with an advisory of this id for each package.
    fn service(id: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let (path, body) = request(&mut BufReader::new(&connection)).unwrap();
            assert_eq!(path, "/v1/querybatch");
            let asked: Value = serde_json::from_str(&body).unwrap();
            let count = asked["queries"].as_array().unwrap().len();
            let answer = json!({ "results": vec![json!({ "vulns": [{ "id": id }] }); count] }).to_string();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            connection.write_all(format!("{head}{answer}").as_bytes()).unwrap();
        });
        format!("http://{address}")
    }

    #[test]
    fn advisories_are_listed_with_their_package_unless_accepted() {
        let metadata = MetadataCommand::new().current_dir(xtask::project::root()).exec().unwrap();
        let package = metadata.packages.iter().find(|package| package.name.as_str() == "serde").unwrap();
        let found = ask(&service("RUSTSEC-2099-0001"), &[package]).unwrap();
        assert!(found[0].starts_with("serde ") && found[0].contains("RUSTSEC-2099-0001"), "{found:?}");
        assert_eq!(ask(&service(ACCEPTED[0].0), &[package]).unwrap(), Vec::<String>::new());
        let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(&format!("http://{nowhere}"), &[package]).is_err());
    }
}
