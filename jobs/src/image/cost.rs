//! The memory of a job, calculated from its source's header and its outputs. It is an upper bound: for every step, all buffers
//! that exist at the same time.

use image::ImageFormat;
use image::metadata::Orientation;

use super::header::{DECODER_BYTES, Header};
use super::payload::{Convert, Output};
use super::render::size_of;

/// The memory of a WebP encoder, in bytes per pixel: four of ARGB, two and a half of YUV with alpha, and its macroblocks.
const WEBP_ENCODER: u64 = 9;

/// The memory of an AVIF encoder, in bytes per pixel, measured: planes of sixteen bits, and the frames of the search.
const AVIF_ENCODER: u64 = 60;

/// Returns the most bytes that the job uses at once, without its source.
pub(super) fn of_job(header: &Header, source_bytes: u64, outputs: &[Output]) -> u64 {
    let decoding = header.decoder_bytes + source_bytes;
    let mut temporary = 0;
    let mut encoded = 0;
    for output in outputs {
        let one = of_output(header, output);
        temporary = temporary.max(one.temporary);
        encoded += one.encoded;
    }
    DECODER_BYTES + decoding.max(header.pixel_bytes() + temporary + encoded)
}

/// The memory of one output in bytes.
struct OfOutput {
    /// The memory while it is made.
    temporary: u64,
    /// The memory until it is written.
    encoded: u64,
}

fn of_output(header: &Header, output: &Output) -> OfOutput {
    let stored = (header.width, header.height);
    let size = size_of(header, output);
    let pixels = u64::from(size.0) * u64::from(size.1);
    let bytes = pixels * header.channels();
    let is_resized = size != stored;
    // The resizer reduces the height first, and keeps the result.
    let resizer = if is_resized { u64::from(stored.0) * u64::from(size.1) * header.channels() } else { 0 };
    let is_turned = header.orientation != Orientation::NoTransforms;
    // The source itself is kept for the other outputs, so turning it begins with a copy.
    let copies = match (is_resized, header.profile.is_some(), is_turned) {
        (false, false, false) => 0,
        (true, false, false) | (false, true, false) => 1,
        _ => 2,
    };
    let (in_encoder, encoded) = match (output.convert, header.format) {
        (Some(Convert::Webp { .. }), _) | (None, ImageFormat::WebP) => (pixels * WEBP_ENCODER, bytes / 2),
        (Some(Convert::Avif { .. }), _) => (pixels * AVIF_ENCODER, bytes / 2),
        (Some(Convert::Png), _) | (None, ImageFormat::Png) => (0, bytes),
        // Removing alpha on white needs a copy.
        (Some(Convert::Jpeg { .. }) | None, _) => (if header.has_alpha { pixels * 3 } else { 0 }, bytes / 2),
    };
    // One of two copies is made from the other, and one of them is encoded.
    let finishing = copies * bytes;
    let encoding = copies.min(1) * bytes + in_encoder;
    OfOutput { temporary: resizer + finishing.max(encoding), encoded }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::payload::{ImageProcess, Resize};
    use super::*;

    const MB: u64 = 1_000_000;

    fn header(format: ImageFormat, has_alpha: bool) -> Header {
        let channels = if has_alpha { 4 } else { 3 };
        Header {
            format,
            width: 10_000,
            height: 10_000,
            has_alpha,
            is_sixteen_bits: false,
            decoder_bytes: channels * 100 * MB,
            orientation: Orientation::NoTransforms,
            profile: None,
        }
    }

    fn output(resize: Option<u32>, convert: Convert) -> Output {
        let payload = r#"{"source":"s3://b/s","outputs":[{"target":"s3://b/t","operations":[{"convert":{"format":"png"}}]}]}"#;
        let mut job: ImageProcess = serde_json::from_str(payload).unwrap();
        let mut output = job.outputs.remove(0);
        output.convert = Some(convert);
        output.resize = resize.map(|side| {
            let side = side.try_into().unwrap();
            Resize { width: side, height: side }
        });
        output
    }

    #[test]
    fn every_buffer_is_counted() {
        let plain = header(ImageFormat::Jpeg, false);
        let alpha = header(ImageFormat::Png, true);
        let turned = Header { orientation: Orientation::Rotate90, ..header(ImageFormat::Jpeg, false) };
        let profile = Header { profile: Some(vec![]), ..header(ImageFormat::Jpeg, false) };
        for (header, resize, convert, mb) in [
            // 300 for the source, 3 for the resizer's row, the rest is small.
            (&plain, Some(100), Convert::WEBP, 303),
            (&alpha, Some(100), Convert::WEBP, 404),
            // Includes the whole image in its encoder's colours, and the encoded image.
            (&plain, None, Convert::WEBP, 300 + 900 + 150),
            (&plain, None, Convert::JPEG, 300 + 150),
            (&alpha, None, Convert::JPEG, 400 + 300 + 200),
            (&alpha, None, Convert::Png, 400 + 400),
            (&turned, None, Convert::JPEG, 300 + 600 + 150),
            (&turned, None, Convert::WEBP, 300 + 300 + 900 + 150),
            (&profile, None, Convert::JPEG, 300 + 300 + 150),
            (&plain, Some(1_000), Convert::AVIF, 300 + 30 + 3 + 60 + 1),
        ] {
            let bytes = of_job(header, 0, &[output(resize, convert)]) - DECODER_BYTES;
            assert!(bytes.abs_diff(mb * MB) <= 2 * MB, "{resize:?} {convert:?}: {bytes}, not {mb} MB");
        }
        let both = [output(None, Convert::JPEG), output(None, Convert::Png)];
        assert_eq!(
            of_job(&plain, 0, &both) - DECODER_BYTES,
            (300 + 150 + 300) * MB,
            "both wait to be written"
        );
        let progressive = Header { decoder_bytes: 900 * MB, ..header(ImageFormat::Jpeg, false) };
        let bytes = of_job(&progressive, 5 * MB, &[output(Some(9), Convert::Png)]) - DECODER_BYTES;
        assert_eq!(bytes, 905 * MB, "the decoder has a copy of the source");
    }
}
