//! Makes the sample images in `jobs/samples`: `cargo run -p drumline-jobs --example make_samples`.
//!
//! The images are drawn, so they have no copyright holder and no camera metadata, and are always the same.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("lake.jpg"), jpeg(&lake(1200, 800), 76)?)?;
    // Stored on its side, like a photo from a phone that is held upright.
    let portrait = DynamicImage::from(lake(300, 450)).rotate270().into_rgb8();
    fs::write(folder.join("portrait.jpg"), with_orientation(&jpeg(&portrait, 76)?, 6))?;
    fs::write(folder.join("drum.png"), png(&drum(256))?)?;
    fs::write(folder.join("bomb.png"), bomb(50_000)?)?;
    Ok(())
}

/// Draws sky, a low sun, three ridges, and their mirror image in the water.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "colours within 0 to 255")]
fn lake(width: u32, height: u32) -> RgbImage {
    let (w, h) = (f64::from(width), f64::from(height));
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (f64::from(x) / w, f64::from(y) / h);
        let shore = 0.62;
        let mirrored = y > shore;
        let ripple = if mirrored { 0.004 * (y * 190.0).sin() * (y - shore) * 6.0 } else { 0.0 };
        let (x, height) = (x + ripple, if mirrored { shore - (y - shore) * 1.4 } else { y });
        let mut colour =
            mix([250.0, 196.0, 140.0], [62.0, 96.0, 158.0], ((shore - height) / shore).clamp(0.0, 1.0));
        let sun = ((x - 0.68).powi(2) * (w / h).powi(2) + (height - 0.42).powi(2)).sqrt();
        colour = mix(colour, [255.0, 244.0, 214.0], (1.0 - (sun - 0.05) * 9.0).clamp(0.0, 1.0));
        for (base, size, tone, phase) in
            [(0.40, 0.10, 0.35, 0.0), (0.49, 0.08, 0.6, 1.7), (0.56, 0.05, 0.9, 3.4)]
        {
            let ridge = (x * 7.0 + phase).sin() * 0.5
                + (x * 17.0 + phase * 3.0).sin() * 0.25
                + (x * 41.0 + phase).sin() * 0.08;
            if height > base - size * ridge {
                colour = mix([196.0, 168.0, 164.0], [24.0, 40.0, 52.0], tone);
            }
        }
        if mirrored {
            colour = mix(colour, [30.0, 52.0, 84.0], 0.32);
        }
        Rgb(colour.map(|channel| channel.round().clamp(0.0, 255.0) as u8))
    })
}

fn mix(from: [f64; 3], to: [f64; 3], part: f64) -> [f64; 3] {
    std::array::from_fn(|n| from[n] + (to[n] - from[n]) * part)
}

/// Draws a drum from the side, with soft edges, on a transparent background.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "colours within 0 to 255")]
fn drum(side: u32) -> RgbaImage {
    let s = f64::from(side);
    RgbaImage::from_fn(side, side, |x, y| {
        let (x, y) = (f64::from(x) / s - 0.5, f64::from(y) / s - 0.5);
        let ellipse = |middle: f64| (x / 0.42).powi(2) + ((y - middle) / 0.13).powi(2);
        let body = if y < -0.18 {
            ellipse(-0.18)
        } else if y > 0.22 {
            ellipse(0.22)
        } else {
            (x / 0.42).powi(2)
        };
        let opacity = ((1.0 - body) * 24.0).clamp(0.0, 1.0);
        let lacing = ((x * 3.0 + 10.0).fract() - 0.5).abs() * 0.8 - 0.2;
        let colour = if ellipse(-0.18) < 1.0 {
            [244.0, 236.0, 220.0]
        } else if (y - lacing - 0.03).abs() < 0.014 {
            [250.0, 204.0, 92.0]
        } else {
            mix([178.0, 42.0, 46.0], [96.0, 18.0, 28.0], (x.abs() * 2.2).clamp(0.0, 1.0))
        };
        let [red, green, blue] = colour.map(|channel| channel.round() as u8);
        Rgba([red, green, blue, (opacity * 255.0).round() as u8])
    })
}

fn jpeg(pixels: &RgbImage, quality: u8) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    pixels.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?;
    Ok(bytes)
}

fn png(pixels: &RgbaImage) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    pixels.write_with_encoder(PngEncoder::new_with_quality(
        &mut bytes,
        CompressionType::Best,
        FilterType::Adaptive,
    ))?;
    Ok(bytes)
}

/// Inserts an EXIF segment with only an orientation after the JPEG's first marker.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff =
        [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    let segment = [&[0xFF, 0xE1, 0, 2 + 6 + 26][..], b"Exif\0\0", &tiff].concat();
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

/// Returns a PNG whose header declares far more pixels than its few bytes can contain.
fn bomb(side: u32) -> Outcome<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header()?;
    // The beginning of a compressed stream of zeros.
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0xDA, 0xEC, 0xC1, 0x01])?;
    drop(writer);
    Ok(bytes.into_inner())
}
