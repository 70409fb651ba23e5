//! Secrets in settings: none of them is shown.

use crate::shown::Shown;

use super::*;

const SECRET: &str = "s3cret-9f2b";

/// Expects the secret in nothing that anyone sees of these settings, right or wrong.
fn expect_hidden(result: Result<Settings, Problems>, case: &str) {
    let shown = match result {
        Ok(settings) => format!("{settings:?}"),
        Err(problems) => format!("{problems}\n{problems:?}"),
    };
    assert!(!shown.contains(SECRET), "{case}:\n{shown}");
}

#[test]
fn a_secret_in_a_url_is_not_shown() {
    let forms = [
        format!("http://user:{SECRET}@127.0.0.1:8080/a"),
        format!("http://{SECRET}@127.0.0.1:8080/a"),
        format!("http://127.0.0.1:8080/a?key={SECRET}"),
        format!("http://127.0.0.1:8080/a#{SECRET}"),
        format!("redis://:{SECRET}@localhost:6379/0"),
        format!("redis://:{SECRET}@localhost:6379/none"),
        format!("postgres://u:{SECRET}@localhost/db?sslmode=none&options={SECRET}"),
        format!("postgres:///db?password={SECRET}"),
        format!("dynamodb://u:{SECRET}@table"),
        format!("mysql://u:{SECRET}@localhost"),
        format!("https://u:{SECRET}@sqs.eu-west-1.amazonaws.com/1/jobs"),
        format!("https://u:{SECRET}@sqs.eu-west-1.amazonaws.com:port/1/jobs"),
        format!("u:{SECRET}@localhost"),
    ];
    for form in &forms {
        for key in ["forward_to", "store_url", "outbox_url", "queue_url"] {
            let name = format!("DRUMLINE_{}", key.to_uppercase());
            expect_hidden(
                read(&[], &[("DRUMLINE_QUEUE_URL", JOBS), (&name, form)][..], ""),
                &format!("{name}={form}"),
            );
            let given = [("queue_url", JOBS), (key, form.as_str())];
            expect_hidden(read(&given, &[], ""), &format!("--{key} {form}"));
            expect_hidden(read(&[], &[], &format!("{key} = {form:?}")), &format!("{key} = {form}"));
            expect_hidden(
                read(&[], &[], &format!("{key} = \"{form}")),
                &format!("{key} = \"{form}, unquoted"),
            );
            expect_hidden(read(&[], &[], &format!("[[queue]]\nurl = {form:?}")), &format!("url = {form}"));
            let table = format!("queue_url = \"{JOBS}\"\n[queue_by_type]\n\"a.b\" = {form:?}");
            expect_hidden(read(&[], &[], &table), &table);
        }
    }
    // A text that is no URL at all.
    for name in ["DRUMLINE_FORWARD_TO", "DRUMLINE_STORE_URL", "DRUMLINE_OUTBOX_URL"] {
        expect_hidden(read(&[], &[("DRUMLINE_QUEUE_URL", JOBS), (name, SECRET)], ""), name);
    }
}

#[test]
fn a_url_in_the_wrong_setting_is_not_shown_with_its_password() {
    let url = format!("redis://:{SECRET}@localhost");
    for setting in SETTINGS {
        let name = setting.variable();
        expect_hidden(read(&[], &[(&name, &url)], ""), &name);
    }
    for table in ["retry_by_type", "scope_by_type", "require_by_type", "event_types"] {
        expect_hidden(read(&[], &[], &format!("[{table}]\na = {url:?}")), table);
        expect_hidden(read(&[], &[(&format!("DRUMLINE_{}", table.to_uppercase()), &url)], ""), table);
    }
    // Names that are no settings are reported without their values.
    let given = Environment::of([("DRUMLINE_FORWARD_URL", url.as_str()), ("DRUMLINE_PASSWORD", SECRET)]);
    expect_hidden(given.settings(&BTreeMap::new(), None), "unknown names");
    assert!(!format!("{given:?}").contains(SECRET));
}

#[test]
fn the_settings_in_force_show_where_a_url_points() {
    let environment =
        [("DRUMLINE_QUEUE_URL", JOBS), ("DRUMLINE_FORWARD_TO", "http://user:pw@app:8080/jobs?key=pw")];
    let settings = read(&[], &environment, "").unwrap();
    let shown =
        |key: &str| settings.effective.iter().find(|row| row.key == key).unwrap().value.clone().unwrap();
    assert_eq!(shown("forward_to"), "http://***@app:8080/jobs?***");
    assert_eq!(shown("queue_url"), JOBS);
    assert_eq!(shown("store_url"), "memory:");
    assert_eq!(Shown::SecretUrl.of("redis://:pw@cache/1?prefix=a"), "redis://***@cache/1?***");
    assert_eq!(Shown::SecretUrl.of("file:data/jobs.db?key=pw"), "file:data/jobs.db?***");
    assert_eq!(Shown::Urls.of("jobs, https://u:pw@host/1/q,u:pw@host"), "jobs, https://***@host/1/q, ***");
    assert_eq!(Shown::Text.of("info"), "info");
    assert_eq!(Shown::Nothing.of("pw"), "***");
    assert_eq!(settings.forward_to.unwrap().expose().password(), Some("pw"));
}
