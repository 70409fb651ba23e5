//! From bytes to pixels, without trusting the bytes.

use std::io::Cursor;

use drumline::Failure;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::colour::ToSrgb;
use crate::settings::{ImageLimits, MAX_PIXELS};

/// What a decoder may take beside the pixels: for its tables, a row of pixels, and metadata such as colour profiles,
/// which may be compressed and so be bombs of their own.
const DECODER_BYTES: u64 = 64 * 1024 * 1024;

/// A source image.
pub(crate) struct Source {
    /// Eight bits a channel, RGB or RGBA, as stored: not yet turned.
    pub(crate) pixels: DynamicImage,
    /// How it has to be turned to stand upright.
    pub(crate) orientation: Orientation,
    pub(crate) format: ImageFormat,
    /// Where its colours are not known to be sRGB.
    pub(crate) to_srgb: Option<ToSrgb>,
}

/// Decodes a JPEG, PNG, WebP or GIF (its first frame).
///
/// An image that claims more pixels than allowed is refused by its header, before any memory is taken for it. Every
/// failure is a rejection, since the same bytes fail the same way again.
pub(crate) fn decode(bytes: &[u8], limits: ImageLimits) -> Result<Source, Failure> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format().ok_or_else(|| Failure::reject("the source is in no known image format"))?;
    reader.limits(allowing(DECODER_BYTES));

    let mut decoder = reader.into_decoder().map_err(|error| undecodable(&error))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.pixels {
        let most = limits.pixels;
        return Err(Failure::reject(format_args!(
            "the source claims {width} x {height} pixels, more than {most} in all ({MAX_PIXELS})"
        )));
    }
    decoder
        .set_limits(allowing(decoder.total_bytes().saturating_add(DECODER_BYTES)))
        .map_err(|error| undecodable(&error))?;
    let orientation = decoder.orientation().unwrap_or_else(|error| {
        // Damaged metadata around a sound image is no reason to fail it.
        tracing::debug!(%error, "the source's EXIF data can't be read; it is taken as upright");
        Orientation::NoTransforms
    });
    let profile = decoder.icc_profile().unwrap_or_else(|error| {
        tracing::debug!(%error, "the source's colour profile can't be read; it is taken as sRGB");
        None
    });
    let pixels = to_eight_bits(DynamicImage::from_decoder(decoder).map_err(|error| undecodable(&error))?);
    let to_srgb = profile.and_then(|profile| ToSrgb::from_profile(&profile, pixels.color().has_alpha()));
    Ok(Source { pixels, orientation, format, to_srgb })
}

fn undecodable(error: &ImageError) -> Failure {
    Failure::reject(format_args!("the source can't be decoded: {error}"))
}

fn allowing(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(bytes);
    limits
}

/// The common cases are such already, and are not copied.
fn to_eight_bits(pixels: DynamicImage) -> DynamicImage {
    if pixels.color().has_alpha() {
        DynamicImage::ImageRgba8(pixels.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(pixels.into_rgb8())
    }
}
