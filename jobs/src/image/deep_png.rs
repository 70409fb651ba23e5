//! Decodes PNGs with sixteen bits a channel to eight bits, row by row, so that the sixteen bits are never all in memory.

use std::io::Cursor;

use drumline::Failure;
use image::{DynamicImage, RgbImage, RgbaImage};
use png::{ColorType, Decoder, Limits, Transformations};

use super::header::{DECODER_BYTES, Header};

/// Decodes the image with this header.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<DynamicImage, Failure> {
    let limits = Limits { bytes: usize::try_from(DECODER_BYTES).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| undecodable(&error))?;
    let (colour, _) = reader.output_color_type();
    let bytes =
        usize::try_from(header.pixel_bytes()).map_err(|_| Failure::reject("the source is too large"))?;
    let mut pixels = Vec::with_capacity(bytes);
    if reader.info().interlaced {
        // Its rows come in passes, and each must be put into its position.
        let size = reader.output_buffer_size().ok_or_else(|| Failure::reject("the source is too large"))?;
        let mut whole = vec![0; size];
        reader.next_frame(&mut whole).map_err(|error| undecodable(&error))?;
        if is_grey(colour) {
            spread(&whole, colour, &mut pixels);
        } else {
            pixels = whole;
        }
    } else {
        while let Some(row) = reader.next_row().map_err(|error| undecodable(&error))? {
            spread(row.data(), colour, &mut pixels);
        }
    }
    let (width, height) = (header.width, header.height);
    let image = if header.has_alpha {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    image.ok_or_else(|| Failure::reject("the source can't be decoded: it ends too early"))
}

fn is_grey(colour: ColorType) -> bool {
    matches!(colour, ColorType::Grayscale | ColorType::GrayscaleAlpha)
}

/// Appends samples as RGB or RGBA.
fn spread(samples: &[u8], colour: ColorType, pixels: &mut Vec<u8>) {
    match colour {
        ColorType::Grayscale => pixels.extend(samples.iter().flat_map(|&grey| [grey; 3])),
        ColorType::GrayscaleAlpha => {
            let (pairs, _) = samples.as_chunks::<2>();
            pixels.extend(pairs.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]));
        }
        _ => pixels.extend_from_slice(samples),
    }
}

fn undecodable(error: &png::DecodingError) -> Failure {
    Failure::reject(format_args!("the source can't be decoded: {error}"))
}
