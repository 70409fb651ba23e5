//! Settings of forward mode.

use super::*;

const SECRET: &str = "s3cret-9f2b";

fn forwarding(environment: &[(&str, &str)]) -> Result<Settings, Problems> {
    read(&[("queue_url", JOBS)], environment, "")
}

#[test]
fn an_application_is_reached_by_http_https_or_a_unix_socket() {
    for url in ["http://127.0.0.1:8080/jobs?a=1", "https://app/jobs", "unix:/run/app.sock:/jobs"] {
        let settings = forwarding(&[("DRUMLINE_FORWARD_TO", url)]).unwrap();
        assert_eq!(settings.forward_to.unwrap().expose().as_str(), url);
    }
    for url in ["ftp://app/", "unix:run/app.sock", "127.0.0.1:8080"] {
        let problems = forwarding(&[("DRUMLINE_FORWARD_TO", url)]).unwrap_err().to_string();
        assert!(problems.contains("FORWARD_TO"), "{url}: {problems}");
    }
}

#[test]
fn a_health_check_is_a_path() {
    let settings = forwarding(&[("DRUMLINE_FORWARD_HEALTH", "/health?deep")]).unwrap();
    assert_eq!(settings.forward.health.as_deref(), Some("/health?deep"));
    for text in ["health", "http://app/health", "/a b", "/a#b"] {
        let problems = forwarding(&[("DRUMLINE_FORWARD_HEALTH", text)]).unwrap_err().to_string();
        assert!(problems.contains("such as /health"), "{text}: {problems}");
    }
}

#[test]
fn headers_are_read_and_never_shown() {
    let lines = format!("Authorization: Bearer {SECRET}\nX-Team: billing");
    let settings = forwarding(&[("DRUMLINE_FORWARD_HEADERS", &lines)]).unwrap();
    assert_eq!(settings.forward.headers.len(), 2);
    assert_eq!(settings.forward.headers["authorization"], format!("Bearer {SECRET}"));
    assert!(!format!("{settings:?}").contains(SECRET));
    let problems = forwarding(&[("DRUMLINE_FORWARD_HEADERS", SECRET)]).unwrap_err();
    assert!(problems.to_string().contains("line 1 must look like Name: value"), "{problems}");
    assert!(!format!("{problems} {problems:?}").contains(SECRET));
}
