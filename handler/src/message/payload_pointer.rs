//! The pointer to a payload in S3, as the public SQS Extended Clients write it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::message::invalid_payload::InvalidPayload;
use crate::message::objects::from_json;

/// The class in pointers of newer Extended Clients, and of this crate.
const CLASS: &str = "software.amazon.payloadoffloading.PayloadS3Pointer";

/// The ends of the classes in pointers of Extended Clients. Older ones, and those with relocated packages, have other
/// beginnings.
const CLASS_ENDS: [&str; 2] = ["PayloadS3Pointer", "MessageS3Pointer"];

/// A pointer to a payload in S3: a body of the form `["…PayloadS3Pointer",{"s3BucketName":"…","s3Key":"…"}]`.
///
/// ```
/// use drumline::message::PayloadPointer;
///
/// let pointer = PayloadPointer { bucket: "payloads".into(), key: "jobs/1".into() };
/// assert_eq!(PayloadPointer::parse(&pointer.to_body())?, Some(pointer));
/// assert_eq!(PayloadPointer::parse(r#"["a",{"s3Key":"b"}]"#)?, None);
/// # Ok::<(), drumline::message::InvalidPayload>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadPointer {
    /// The bucket.
    pub bucket: String,
    /// The key of the object.
    pub key: String,
}

#[derive(Serialize, Deserialize)]
struct Location {
    #[serde(rename = "s3BucketName")]
    bucket: String,
    #[serde(rename = "s3Key")]
    key: String,
}

impl PayloadPointer {
    /// Reads a body that may be a pointer. Any other body is `None`.
    ///
    /// # Errors
    /// If it names the class of a pointer, but no object.
    pub fn parse(body: &str) -> Result<Option<Self>, InvalidPayload> {
        if !body.trim_ascii_start().starts_with('[') {
            return Ok(None);
        }
        let Ok((class, location)) = serde_json::from_str::<(String, &RawValue)>(body) else {
            return Ok(None);
        };
        if !CLASS_ENDS.iter().any(|end| class.ends_with(end)) {
            return Ok(None);
        }
        let invalid =
            |why: &dyn fmt::Display| InvalidPayload(format!("not a pointer to a payload in S3: {why}"));
        let Location { bucket, key } = from_json(location.get()).map_err(|error| invalid(&error))?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        if bucket.is_empty() || !bucket.chars().all(is_name) {
            return Err(invalid(&format_args!("{bucket:?} is not the name of a bucket")));
        }
        if key.is_empty() {
            return Err(invalid(&"its key is empty"));
        }
        Ok(Some(Self { bucket, key }))
    }

    /// Returns the body of a message with this pointer.
    pub fn to_body(&self) -> String {
        let location = Location { bucket: self.bucket.clone(), key: self.key.clone() };
        serde_json::to_string(&(CLASS, location)).expect("texts are JSON")
    }
}

/// The object's place: `s3://BUCKET/KEY`.
impl fmt::Display for PayloadPointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn pointers_of_all_extended_clients_are_read() {
        let expected = PayloadPointer { bucket: "b-1".into(), key: "k/1 ü".into() };
        let bodies = [
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b-1","s3Key":"k/1 ü"}]"#,
            r#"["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "b-1", "s3Key": "k/1 ü"}]"#,
            r#"["com.amazon.sqs.javamessaging.MessageS3Pointer",{"s3Key":"k\/1 \u00fc","s3BucketName":"b-1"}]"#,
            "\n[ \"shaded.software.amazon.payloadoffloading.PayloadS3Pointer\" ,\n {\"s3BucketName\":\"b-1\",\"s3Key\":\"k/1 ü\",\"other\":1} ]\n",
        ];
        for body in bodies {
            assert_eq!(PayloadPointer::parse(body).unwrap().as_ref(), Some(&expected), "{body}");
        }
        assert_eq!(expected.to_body(), bodies[0]);
        assert_eq!(expected.to_string(), "s3://b-1/k/1 ü");
    }

    #[test]
    fn other_arrays_are_no_pointers() {
        let object = r#"{"s3BucketName":"b","s3Key":"k"}"#;
        let bodies = [
            String::new(),
            object.to_owned(),
            format!("[{object}]"),
            format!(r#"["PayloadS3Pointer.other",{object}]"#),
            format!(r#"["x.PayloadS3Pointer",{object},1]"#),
            format!("[1,{object}]"),
            format!(r#"["x.PayloadS3Pointer",{object}"#),
        ];
        for body in bodies {
            assert_eq!(PayloadPointer::parse(&body), Ok(None), "{body}");
        }
    }

    #[test]
    fn a_pointer_to_nothing_is_an_error() {
        for location in [
            r#"{"s3BucketName":"b"}"#,
            r#"{"s3BucketName":"","s3Key":"k"}"#,
            r#"{"s3BucketName":"b/c","s3Key":"k"}"#,
            r#"{"s3BucketName":"b","s3Key":""}"#,
            r#"["b","k"]"#,
            "null",
        ] {
            let body = format!(r#"["a.MessageS3Pointer",{location}]"#);
            let error = PayloadPointer::parse(&body).unwrap_err().to_string();
            assert!(error.starts_with("not a pointer to a payload in S3: "), "{error}");
        }
    }
}
