//! Sources of credentials, as AWS has them.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use drumline_tests::{Answer, App, Call};
use jiff::Timestamp;
use serde_json::json;

/// The access key that a source issues now, and how long it is good.
#[derive(Clone)]
pub(crate) struct Key(Arc<Mutex<(String, Duration)>>);

impl Key {
    /// A key that is good for an hour.
    pub(crate) fn new(key: &str) -> Self {
        Self::ending_in(key, Duration::from_secs(3600))
    }

    pub(crate) fn ending_in(key: &str, lifetime: Duration) -> Self {
        Self(Arc::new(Mutex::new((key.to_owned(), lifetime))))
    }

    /// Has the source issue another key, for an hour.
    pub(crate) fn rotate(&self, key: &str) {
        *self.0.lock().unwrap() = (key.to_owned(), Duration::from_secs(3600));
    }

    fn get(&self) -> (String, SystemTime) {
        let (key, lifetime) = self.0.lock().unwrap().clone();
        (key, SystemTime::now() + lifetime)
    }
}

pub(crate) fn at(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

pub(crate) fn in_an_hour() -> String {
    at(SystemTime::now() + Duration::from_secs(3600))
}

/// The answer of a container's or an instance's endpoint.
pub(crate) fn issued(key: &str, expiration: &str) -> String {
    let issued = json!({
        "Code": "Success", "AccessKeyId": key, "SecretAccessKey": "secret", "Token": "token", "Expiration": expiration,
        "Type": "AWS-HMAC", "LastUpdated": "2026-11-28T20:00:00Z",
    });
    issued.to_string()
}

/// A source that answers so with the key of now.
async fn source(
    key: &Key,
    answer: impl Fn(&Call, &str, SystemTime) -> Answer + Send + Sync + 'static,
) -> App {
    let (key, answer) = (key.clone(), Arc::new(answer));
    App::start(move |call| {
        let ((key, end), answer) = (key.get(), Arc::clone(&answer));
        async move { answer(&call, &key, end) }
    })
    .await
}

/// The endpoint of a container or a pod.
pub(crate) async fn agent(key: &Key) -> App {
    source(key, |_, key, end| Answer::ok().body(&issued(key, &at(end)))).await
}

/// The metadata of an instance.
pub(crate) async fn metadata(key: &Key) -> App {
    source(key, |call, key, end| {
        if call.line.starts_with("PUT ") {
            return Answer::ok().header("x-aws-ec2-metadata-token-ttl-seconds", "21600").body("a-session");
        }
        match call.line.rsplit('/').next() {
            Some("") => Answer::ok().body("worker-role"),
            Some("worker-role") => Answer::ok().body(&issued(key, &at(end))),
            _ => Answer::status(404),
        }
    })
    .await
}

/// STS, for service accounts.
pub(crate) async fn sts(key: &Key) -> App {
    source(key, |_, key, end| {
        Answer::ok().body(&format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>{}</Expiration>\
             </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
            at(end)
        ))
    })
    .await
}

/// The portal of single sign-on.
pub(crate) async fn portal(key: &Key) -> App {
    source(key, |_, key, end| {
        let end = end.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        let issued = json!({
            "accessKeyId": key, "secretAccessKey": "secret", "sessionToken": "token",
            "expiration": u64::try_from(end).unwrap(),
        });
        Answer::ok().body(&json!({ "roleCredentials": issued }).to_string())
    })
    .await
}

/// The config of a person's profile with single sign-on.
pub(crate) const SSO_CONFIG: &str = "[default]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = worker\n\
     [sso-session dev]\nsso_region = eu-west-1\nsso_start_url = https://d-1.awsapps.com/start\n";

/// The file in the home of a person who has signed in. Its name is the SHA-1 of the session's.
pub(crate) const SSO_TOKEN_FILE: &str = ".aws/sso/cache/34c6fceca75e456f25e7e99531e2425c6c1de443.json";

/// The content of that file.
pub(crate) fn sso_token(token: &str) -> String {
    let session = json!({
        "accessToken": token, "expiresAt": in_an_hour(), "region": "eu-west-1",
        "startUrl": "https://d-1.awsapps.com/start",
    });
    session.to_string()
}
