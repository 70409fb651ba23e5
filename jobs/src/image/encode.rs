//! Encodes pixels to bytes.

use drumline::{Failure, OrReject};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, GenericImageView, ImageFormat, RgbImage};
use ravif::{Img, RGB8, RGBA8};
use webp::PixelLayout;

use super::payload::Convert;

/// AVIF's trade-off between time and size, 1 (slow) to 10 (fast). A speed below 8 takes several times as long, and reduces a
/// thumbnail's size by only a few percent.
const AVIF_SPEED: u8 = 8;

/// The largest number of pixels of an AVIF. Its encoder cannot be stopped half-way, and takes some seconds for this many.
const AVIF_MAX_PIXELS: u64 = 16_000_000;

/// The longest side of a [WebP](https://developers.google.com/speed/webp/faq#what_is_the_maximum_size_a_webp_image_can_be)
/// in pixels.
const WEBP_MAX_SIDE: u32 = 16_383;

/// An encoded image.
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// The width in pixels.
    pub(crate) width: u32,
    /// The height in pixels.
    pub(crate) height: u32,
    /// The MIME type.
    pub(crate) content_type: &'static str,
}

/// Returns the source's format, which is used if the job names no other.
pub(crate) fn same_format(format: ImageFormat) -> Result<Convert, Failure> {
    match format {
        ImageFormat::WebP => Ok(Convert::WEBP),
        ImageFormat::Jpeg => Ok(Convert::JPEG),
        ImageFormat::Png => Ok(Convert::Png),
        other => Err(Failure::reject(format_args!(
            "the source is {}, which is not written: add a convert operation",
            other.to_mime_type()
        ))),
    }
}

/// Rejects an image that is too large for its format before it is made.
pub(super) fn check_size((width, height): (u32, u32), convert: Option<Convert>) -> Result<(), Failure> {
    let pixels = u64::from(width) * u64::from(height);
    if matches!(convert, Some(Convert::Avif { .. })) && pixels > AVIF_MAX_PIXELS {
        return Err(Failure::reject(format_args!(
            "an AVIF has at most {AVIF_MAX_PIXELS} pixels, not {width} x {height}: add a resize operation"
        )));
    }
    Ok(())
}

/// Encodes an image with eight bits a channel. A failure is a rejection: the same pixels would fail in the same way again.
pub(crate) fn encode(pixels: &DynamicImage, convert: Convert) -> Result<Encoded, Failure> {
    let (bytes, content_type) = match convert {
        Convert::Webp { quality } => (webp(pixels, quality)?, "image/webp"),
        Convert::Avif { quality } => (avif(pixels, quality)?, "image/avif"),
        Convert::Jpeg { quality } => (jpeg(pixels, quality)?, "image/jpeg"),
        Convert::Png => (png(pixels)?, "image/png"),
    };
    Ok(Encoded { bytes, width: pixels.width(), height: pixels.height(), content_type })
}

fn jpeg(pixels: &DynamicImage, quality: u8) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    if pixels.color().has_alpha() {
        on_white(pixels).write_with_encoder(encoder).or_reject()?;
    } else {
        pixels.write_with_encoder(encoder).or_reject()?;
    }
    Ok(bytes)
}

/// Puts the image on a white background, because JPEG does not support transparency.
fn on_white(pixels: &DynamicImage) -> RgbImage {
    RgbImage::from_fn(pixels.width(), pixels.height(), |x, y| {
        let [red, green, blue, alpha] = pixels.get_pixel(x, y).0;
        image::Rgb([red, green, blue].map(|channel| over_white(channel, alpha)))
    })
}

fn over_white(channel: u8, alpha: u8) -> u8 {
    let (channel, alpha) = (u32::from(channel), u32::from(alpha));
    let mixed = (channel * alpha + 255 * (255 - alpha) + 127) / 255;
    u8::try_from(mixed).expect("a mean of two bytes is a byte")
}

fn png(pixels: &DynamicImage) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    pixels.write_with_encoder(PngEncoder::new(&mut bytes)).or_reject()?;
    Ok(bytes)
}

fn webp(pixels: &DynamicImage, quality: u8) -> Result<Vec<u8>, Failure> {
    let (width, height) = (pixels.width(), pixels.height());
    if width.max(height) > WEBP_MAX_SIDE {
        return Err(Failure::reject(format_args!(
            "a WebP has at most {WEBP_MAX_SIDE} pixels a side, not {width} x {height}"
        )));
    }
    let layout = if pixels.color().has_alpha() { PixelLayout::Rgba } else { PixelLayout::Rgb };
    let encoder = webp::Encoder::new(pixels.as_bytes(), layout, width, height);
    match encoder.encode_simple(false, f32::from(quality)) {
        Ok(bytes) => Ok(bytes.to_vec()),
        Err(error) => Err(Failure::reject(format_args!("the WebP encoder failed: {error:?}"))),
    }
}

fn avif(pixels: &DynamicImage, quality: u8) -> Result<Vec<u8>, Failure> {
    // One thread: there are as many concurrent jobs as processors.
    let encoder = ravif::Encoder::new().with_quality(f32::from(quality)).with_speed(AVIF_SPEED);
    let encoder = encoder.with_num_threads(Some(1));
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let bytes = pixels.as_bytes();
    let image = if pixels.color().has_alpha() {
        let pixels: Vec<RGBA8> =
            bytes.as_chunks().0.iter().map(|&[r, g, b, a]| RGBA8::new(r, g, b, a)).collect();
        encoder.encode_rgba(Img::new(&pixels, width, height))
    } else {
        let pixels: Vec<RGB8> = bytes.as_chunks().0.iter().map(|&[r, g, b]| RGB8::new(r, g, b)).collect();
        encoder.encode_rgb(Img::new(&pixels, width, height))
    };
    image.map(|image| image.avif_file).or_reject()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparency_becomes_white() {
        for (channel, alpha, mixed) in
            [(0, 255, 0), (0, 0, 255), (255, 7, 255), (0, 128, 127), (100, 128, 177)]
        {
            assert_eq!(over_white(channel, alpha), mixed, "{channel} at {alpha}");
        }
    }

    #[test]
    fn formats_that_are_not_written_are_named() {
        assert_eq!(same_format(ImageFormat::WebP).ok(), Some(Convert::WEBP));
        let failure = same_format(ImageFormat::Gif).expect_err("GIF is not written");
        assert!(failure.reason().contains("image/gif"), "{failure}");
    }
}
