#![allow(clippy::unwrap_used)]
use super::*;

fn error(url: &str) -> String {
    url.parse::<Location>().unwrap_err().to_string()
}

#[test]
fn a_url_that_is_no_store_has_an_explaining_error() {
    assert_eq!(error("memory"), "not a URL: relative URL without a base");
    let kinds = "a store is memory:, file:PATH, redis://…, postgres://… or dynamodb://TABLE";
    assert_eq!(error("mysql://localhost"), kinds);
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_store_that_this_build_has_not_names_its_feature() {
    assert_eq!(error("redis://localhost"), "this build has no redis: compile with the feature `redis`");
}

#[cfg(feature = "redis")]
#[test]
fn a_redis_url_is_checked_and_its_password_never_shown() {
    for url in
        ["redis://u:s3cret@localhost:6380/3?prefix=a", "rediss://:s3cret@localhost", "valkey://localhost"]
    {
        let location: Location = url.parse().unwrap();
        for shown in [format!("{location}"), format!("{location:?}")] {
            assert!(!shown.contains("s3cret") && shown.contains("localhost"), "{shown}");
        }
    }
    for url in ["redis://:s3cret@localhost/jobs", "redis://:s3cret@localhost?prefix={a}", "redis://:s3cret@/"]
    {
        assert!(!error(url).contains("s3cret"), "{}", error(url));
    }
}
