//! The result of an `image.process` job: references to the images that it made.

use drumline::core::MAX_RESULT_BYTES;
use serde_json::{Value, json};

use super::encode::Encoded;
use crate::location::Target;

/// The size of the JSON around the images in bytes, with a margin.
const FRAME_BYTES: usize = 64;

/// Returns the location and the size of each image. 32 images with the longest names of S3 would exceed [`MAX_RESULT_BYTES`]:
/// the result contains as many as fit, in their order, and the number of those left out.
pub(super) fn result(images: &[(Target, Encoded)]) -> Value {
    let mut left = MAX_RESULT_BYTES - FRAME_BYTES;
    let mut outputs = Vec::with_capacity(images.len());
    for (target, image) in images {
        let output = json!({
            "url": target.url,
            "contentType": image.content_type,
            "width": image.width,
            "height": image.height,
            "bytes": image.bytes.len(),
        });
        let with_comma = output.to_string().len() + 1;
        if with_comma > left {
            break;
        }
        left -= with_comma;
        outputs.push(output);
    }
    let omitted = images.len() - outputs.len();
    if omitted == 0 {
        json!({ "outputs": outputs })
    } else {
        json!({ "outputs": outputs, "omitted": omitted })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn images(count: usize, name_bytes: usize) -> Vec<(Target, Encoded)> {
        let image = |number: usize| {
            let url = format!("s3://b/{number:0>name_bytes$}");
            let encoded = Encoded { bytes: vec![0; 7], width: 3, height: 2, content_type: "image/png" };
            (url.try_into().unwrap(), encoded)
        };
        (0..count).map(image).collect()
    }

    #[test]
    fn every_image_is_named_with_its_size() {
        let output = |url: &str| json!({ "url": url, "contentType": "image/png", "width": 3, "height": 2, "bytes": 7 });
        assert_eq!(result(&images(2, 1)), json!({ "outputs": [output("s3://b/0"), output("s3://b/1")] }));
    }

    #[test]
    fn a_result_always_fits() {
        for (name_bytes, fit) in [(500, 32), (1_024, 29), (40_000, 0)] {
            let result = result(&images(32, name_bytes));
            assert!(result.to_string().len() <= MAX_RESULT_BYTES, "{name_bytes}");
            assert_eq!(result["outputs"].as_array().unwrap().len(), fit, "{name_bytes}");
            assert_eq!(result.get("omitted").cloned(), (fit < 32).then(|| json!(32 - fit)), "{name_bytes}");
        }
    }
}
