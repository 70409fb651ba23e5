//! The settings of payloads in S3, and of compressed ones.

use drumline::message::ContentEncoding;
use drumline::message::limits::MAX_MESSAGE_BYTES;

use super::reader::Reader;
use crate::payload::{PayloadPlace, PayloadSettings, allowed_buckets, byte_size};

/// The bounds of `max_payload_size`: each running job may have a payload in memory, and several copies while it is opened.
const SMALLEST: usize = 1024;
const LARGEST: usize = 256 * 1024 * 1024;

impl Reader<'_> {
    pub(super) fn payloads(&mut self) -> Option<PayloadSettings> {
        let buckets = self.get("payload_buckets", None, allowed_buckets);
        let max_bytes = self.get("max_payload_size", None, |text| byte_size(text, SMALLEST, LARGEST));
        let bucket = self.get("payload_bucket", None, PayloadPlace::parse);
        let threshold = self.get("payload_threshold", None, |text| byte_size(text, 1, MAX_MESSAGE_BYTES));
        let compression = self.get("payload_compression", None, compression);
        Some(PayloadSettings {
            buckets: buckets.unwrap_or_default(),
            max_bytes: max_bytes?,
            bucket,
            threshold: threshold?,
            compression: compression?,
        })
    }
}

fn compression(text: &str) -> Result<Option<ContentEncoding>, String> {
    match ContentEncoding::ALL.into_iter().find(|encoding| encoding.label() == text) {
        None if text == "off" => Ok(None),
        None => Err("must be one of off, gzip, zstd".to_owned()),
        found => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::settings::Settings;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<PayloadSettings, String> {
        let variable = |name: &str| {
            let key = name.strip_prefix("DRUMLINE_")?;
            variables.iter().find(|(known, _)| *known == key).map(|(_, value)| (*value).to_owned())
        };
        let settings = Settings::read_for_function(variable);
        settings.map(|settings| settings.payloads).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_defaults_of_the_table_are_those_in_code() {
        assert_eq!(read(&[]).unwrap(), PayloadSettings::default());
    }

    #[test]
    fn each_setting_is_read_and_checked() {
        let settings = read(&[
            ("PAYLOAD_BUCKETS", "a/b,c"),
            ("MAX_PAYLOAD_SIZE", "1MiB"),
            ("PAYLOAD_BUCKET", "a/b"),
            ("PAYLOAD_THRESHOLD", "256KiB"),
            ("PAYLOAD_COMPRESSION", "zstd"),
        ])
        .unwrap();
        assert_eq!((settings.max_bytes, settings.threshold), (1024 * 1024, 256 * 1024));
        assert_eq!(settings.bucket.unwrap().to_string(), "a/b");
        assert_eq!(settings.compression, Some(ContentEncoding::Zstd));
        assert_eq!(settings.buckets, allowed_buckets("a/b,c").unwrap());
        let problems = read(&[
            ("PAYLOAD_BUCKETS", "s3://a"),
            ("MAX_PAYLOAD_SIZE", "1GiB"),
            ("PAYLOAD_BUCKET", ""),
            ("PAYLOAD_THRESHOLD", "2MiB"),
            ("PAYLOAD_COMPRESSION", "br"),
        ])
        .unwrap_err();
        for name in ["PAYLOAD_BUCKETS", "MAX_PAYLOAD_SIZE", "PAYLOAD_THRESHOLD", "PAYLOAD_COMPRESSION"] {
            assert!(problems.contains(&format!("DRUMLINE_{name} = ")), "{name}: {problems}");
        }
    }
}
