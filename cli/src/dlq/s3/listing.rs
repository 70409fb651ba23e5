//! The objects of an export, numbered from 1 without gaps.

use bytes::Bytes;
use drumline_aws::xml_text;
use drumline_consumer::ExitError;
use http::Method;
use url::form_urlencoded::Serializer;

use super::bucket::{Bucket, Call};

/// The suffix of their keys.
const ENDING: &str = ".jsonl";

/// Returns the key of the object with this number.
pub(in crate::dlq) fn object_key(folder: &str, number: usize) -> String {
    format!("{folder}{number:06}{ENDING}")
}

impl Bucket {
    /// Lists the objects of an export, and returns their sizes in the order of their numbers.
    ///
    /// See [ListObjectsV2](https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
    ///
    /// # Errors
    ///
    /// Returns an error if one of them is missing.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<usize>, ExitError> {
        let mut objects = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = Serializer::for_suffix(String::from("?"), 1);
            query.append_pair("list-type", "2").append_pair("delimiter", "/").append_pair("prefix", folder);
            if let Some(token) = &token {
                query.append_pair("continuation-token", token);
            }
            let path = query.finish();
            let call =
                Call { method: Method::GET, path: &path, headers: &[], body: Bytes::new(), max_bytes: 0 };
            let response = self.send(&call).await;
            let response =
                response.map_err(|error| self.error(error, "s3:ListBucket of", folder, "listed"))?;
            let page = String::from_utf8_lossy(response.body());
            objects.extend(objects_of(&page, folder));
            token = xml_text(&page, "NextContinuationToken").map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        objects.sort_unstable();
        for (index, (number, _)) in objects.iter().enumerate() {
            if *number != index + 1 {
                let missing = self.place(&object_key(folder, index + 1));
                return Err(ExitError::usage(format!("{missing} is missing: the export is not complete")));
            }
        }
        Ok(objects.into_iter().map(|(_, size)| size).collect())
    }
}

/// Returns the numbers and sizes of an export's objects on a page. Other objects of the folder are ignored.
fn objects_of(page: &str, folder: &str) -> Vec<(usize, usize)> {
    let object = |text: &str| {
        let key = xml_text(text, "Key")?;
        let number = key.strip_prefix(folder)?.strip_suffix(ENDING)?.parse().ok()?;
        let size = xml_text(text, "Size")?.parse().ok()?;
        (object_key(folder, number) == key).then_some((number, size))
    };
    page.split("<Contents>").skip(1).filter_map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbered_objects_belong_to_an_export() {
        let entry = |key: &str| format!("<Contents><Key>{key}</Key><Size>7</Size></Contents>");
        let keys = [
            "dead/INC-42/000001.jsonl",
            "dead/INC-42/1000000.jsonl",
            "dead/INC-42/2.jsonl",
            "dead/INC-42/+00003.jsonl",
            "dead/INC-42/notes.txt",
            "dead/INC-43/000002.jsonl",
        ];
        let page = keys.map(entry).concat();
        assert_eq!(objects_of(&page, "dead/INC-42/"), [(1, 7), (1_000_000, 7)]);
        assert_eq!(object_key("dead/INC-42/", 1_000_000), keys[1]);
    }
}
