//! S3 objects.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::timeout::TimeoutConfig;
use bytes::{Bytes, BytesMut};
use drumline::Failure;
use drumline_aws::Environment;
use tokio::sync::OnceCell;

use super::too_large::too_large;

/// S3's name in the SDK's settings.
const SERVICE: &str = "S3";

/// The time limit of one attempt of a request, so that a hung connection costs a minute and not the whole job's attempt. The
/// SDK makes three attempts.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(1);

/// Error codes that no later attempt can fix. See [S3's
/// list](https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
///
/// `AccessDenied` is not among them: a policy or a role can be fixed without sending the job again, and the queue's
/// `maxReceiveCount` limits the attempts until then. S3 also returns it for a missing key if the role lacks `s3:ListBucket`.
const PERMANENT_CODES: [&str; 8] = [
    "EntityTooLarge",
    "InvalidBucketName",
    "InvalidObjectState",
    "KeyTooLongError",
    "MethodNotAllowed",
    "NoSuchBucket",
    "NoSuchKey",
    "NotFound",
];

/// An S3 client that is created on first use.
#[derive(Default)]
pub(crate) struct Objects {
    client: OnceCell<Client>,
}

impl Objects {
    pub(crate) async fn read(&self, bucket: &str, key: &str, max_bytes: u64) -> Result<Bytes, Failure> {
        let what = format!("s3://{bucket}/{key}");
        let request = self.client().await?.get_object().bucket(bucket).key(key);
        let mut object = request.send().await.map_err(|error| failure("read", &what, &error))?;
        let announced = u64::try_from(object.content_length().unwrap_or(0)).unwrap_or(0);
        if announced > max_bytes {
            return Err(too_large(what, max_bytes));
        }
        let mut bytes = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
        while let Some(part) = object.body.next().await {
            bytes.extend_from_slice(&part.map_err(|error| broken_off(&what, error))?);
            if bytes.len() as u64 > max_bytes {
                return Err(too_large(what, max_bytes));
            }
        }
        Ok(bytes.freeze())
    }

    /// Writes an object. S3 shows an object only after all of it has arrived, so a write is atomic.
    pub(crate) async fn write(
        &self,
        bucket: &str,
        key: &str,
        bytes: Vec<u8>,
        content_type: &'static str,
    ) -> Result<(), Failure> {
        let request = self.client().await?.put_object().bucket(bucket).key(key);
        let request = request.content_type(content_type).body(ByteStream::from(bytes));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure("write", &format!("s3://{bucket}/{key}"), &error)),
        }
    }

    pub(super) async fn client(&self) -> Result<&Client, Failure> {
        // A setting can be corrected without sending the job again.
        let unusable = |problem| Failure::retry(format_args!("S3 cannot be reached: {problem}"));
        self.client.get_or_try_init(connect).await.map_err(unusable)
    }
}

async fn connect() -> Result<Client, String> {
    let environment = Environment::of_process();
    drumline_aws::check(&environment, &[SERVICE])?;
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT_TIMEOUT).build();
    let shared = drumline_aws::loader(&environment)?.timeout_config(timeouts).load().await;
    // Bucket names in host names need AWS's own DNS; other endpoints get the bucket in the path.
    let elsewhere = drumline_aws::endpoint(&environment, &shared, SERVICE)?.is_some();
    Ok(Client::from_conf(aws_sdk_s3::config::Builder::from(&shared).force_path_style(elsewhere).build()))
}

pub(super) fn broken_off(what: &str, error: impl std::error::Error) -> Failure {
    Failure::retry(format_args!("reading {what} broke off: {}", DisplayErrorContext(error)))
}

/// Converts S3's response for the job: only errors that are known to be permanent reject it.
pub(super) fn failure<E>(action: &str, what: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let Some(code) = error.code() else {
        return Failure::retry(format_args!("cannot {action} {what}: {}", DisplayErrorContext(error)));
    };
    let reason = format!("cannot {action} {what}: {code}: {}", error.message().unwrap_or("no message"));
    if PERMANENT_CODES.contains(&code) { Failure::reject(reason) } else { Failure::retry(reason) }
}

#[cfg(test)]
#[path = "objects_tests.rs"]
pub(super) mod tests;
