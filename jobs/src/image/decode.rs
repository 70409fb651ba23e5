//! Decodes bytes to pixels without trusting the bytes.

use std::io::Cursor;

use drumline::Failure;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::colour::ToSrgb;
use super::header::{DECODER_BYTES, Header};
use super::{deep_png, jpeg};
use crate::settings::{ImageLimits, MAX_PIXELS};

/// A source image.
pub(crate) struct Source {
    /// The pixels with eight bits a channel, RGB or RGBA, in the stored orientation.
    pub(crate) pixels: DynamicImage,
    /// The rotation that makes the image upright.
    pub(crate) orientation: Orientation,
    pub(crate) format: ImageFormat,
    /// The conversion to sRGB, if the colours are not known to be sRGB.
    pub(crate) to_srgb: Option<ToSrgb>,
}

/// Reads the header of a JPEG, PNG, WebP or GIF.
///
/// The header is enough to refuse an image with more pixels than allowed, before any memory is allocated for it. Every failure
/// is a rejection, because the same bytes would fail in the same way again.
pub(crate) fn header(bytes: &[u8], limits: ImageLimits) -> Result<Header, Failure> {
    let (mut decoder, format) = open(bytes)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limits.pixels {
        let most = limits.pixels;
        return Err(Failure::reject(format_args!(
            "the source claims {width} x {height} pixels, more than {most} in all ({MAX_PIXELS})"
        )));
    }
    let orientation = decoder.orientation().unwrap_or_else(|error| {
        // Damaged metadata is no reason to fail a valid image.
        tracing::debug!(%error, "the source's EXIF data can't be read; it is taken as upright");
        Orientation::NoTransforms
    });
    let profile = decoder.icc_profile().unwrap_or_else(|error| {
        tracing::debug!(%error, "the source's colour profile can't be read; it is taken as sRGB");
        None
    });
    let colour = decoder.color_type();
    let mut header = Header {
        format,
        width,
        height,
        has_alpha: colour.has_alpha(),
        is_sixteen_bits: is_sixteen_bits(colour),
        decoder_bytes: 0,
        orientation,
        profile,
    };
    header.decoder_bytes = decoder_bytes(bytes, &header, colour);
    Ok(header)
}

/// Decodes the image; for an animation, the first frame.
pub(crate) fn decode(bytes: &[u8], header: &Header) -> Result<Source, Failure> {
    let pixels = if header.format == ImageFormat::Png && header.is_sixteen_bits {
        deep_png::decode(bytes, header)?
    } else {
        let (mut decoder, _) = open(bytes)?;
        decoder
            .set_limits(allowing(header.decoder_bytes.saturating_add(DECODER_BYTES)))
            .map_err(|error| undecodable(&error))?;
        to_eight_bits(DynamicImage::from_decoder(decoder).map_err(|error| undecodable(&error))?)
    };
    let profile = header.profile.as_deref();
    let to_srgb = profile.and_then(|profile| ToSrgb::from_profile(profile, header.has_alpha));
    Ok(Source { pixels, orientation: header.orientation, format: header.format, to_srgb })
}

fn open(bytes: &[u8]) -> Result<(impl ImageDecoder, ImageFormat), Failure> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let format = reader.format().ok_or_else(|| Failure::reject("the source is in no known image format"))?;
    reader.limits(allowing(DECODER_BYTES));
    Ok((reader.into_decoder().map_err(|error| undecodable(&error))?, format))
}

/// Returns the largest memory used while an image is decoded: the decoder's own memory, its output, and, if that has other
/// channels, the same image as RGB or RGBA.
fn decoder_bytes(bytes: &[u8], header: &Header, colour: ColorType) -> u64 {
    let pixels = u64::from(header.width) * u64::from(header.height);
    let given = u64::from(colour.bytes_per_pixel());
    let converted = if given == header.channels() { 0 } else { header.channels() };
    let by_pixel = match header.format {
        // Row by row. An interlaced image is decoded as a whole, which needs more only if it is grey.
        ImageFormat::Png if header.is_sixteen_bits => {
            header.channels() + if colour.has_color() { 0 } else { given / 2 }
        }
        // A frame that does not cover the canvas.
        ImageFormat::Gif => given + 4,
        // The canvas, the frame, and the planes of a lossy frame.
        ImageFormat::WebP if is_animated_webp(bytes) => given + 11,
        // The planes and the alpha channel, which is a separate image; or RGBA from which RGB is taken.
        ImageFormat::WebP => given + if header.has_alpha { 7 } else { 4 },
        _ => given + converted,
    };
    let coefficients =
        if header.format == ImageFormat::Jpeg { jpeg::coefficient_bytes(bytes).unwrap_or(0) } else { 0 };
    pixels * by_pixel + coefficients
}

/// See [the container's header](https://developers.google.com/speed/webp/docs/riff_container#extended_file_format).
fn is_animated_webp(bytes: &[u8]) -> bool {
    bytes.get(12..16) == Some(b"VP8X") && bytes.get(20).is_some_and(|flags| flags & 0b10 != 0)
}

fn is_sixteen_bits(colour: ColorType) -> bool {
    matches!(colour, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16)
}

fn undecodable(error: &ImageError) -> Failure {
    Failure::reject(format_args!("the source can't be decoded: {error}"))
}

fn allowing(bytes: u64) -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(bytes);
    limits
}

/// Converts pixels to eight bits. The common cases have eight bits already, and are not copied.
fn to_eight_bits(pixels: DynamicImage) -> DynamicImage {
    if pixels.color().has_alpha() {
        DynamicImage::ImageRgba8(pixels.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(pixels.into_rgb8())
    }
}
