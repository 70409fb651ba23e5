//! Limits of large and deep sources.
#![allow(clippy::unwrap_used)]

use drumline::core::Ending;
use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

use super::decode::{decode, header};
use super::tests::{Room, bytes_of, convert, quarters, resize};
use crate::Settings;
use crate::settings::ImageLimits;

fn limits() -> ImageLimits {
    Settings::for_folder("/".as_ref()).limits
}

#[test]
fn sixteen_bits_become_eight_row_by_row() {
    let value = |x: u32, y: u32| u16::try_from(x * 1_000 + y * 3_000).unwrap();
    let sources: [DynamicImage; 4] = [
        ImageBuffer::from_fn(9, 7, |x, y| Luma([value(x, y)])).into(),
        ImageBuffer::from_fn(9, 7, |x, y| LumaA([value(x, y), value(y, x)])).into(),
        ImageBuffer::from_fn(9, 7, |x, y| Rgb([value(x, y), value(y, x), 7])).into(),
        ImageBuffer::from_fn(9, 7, |x, y| Rgba([value(x, y), value(y, x), 7, 40_000])).into(),
    ];
    for source in sources {
        let colour = source.color();
        let bytes = bytes_of(source.clone(), ImageFormat::Png);
        let header = header(&bytes, limits()).unwrap();
        assert!(header.is_sixteen_bits, "{colour:?}");
        assert_eq!(header.has_alpha, colour.has_alpha(), "{colour:?}");
        // Never the sixteen bits of all pixels.
        let grey = if colour.has_color() { 0 } else { 63 * u64::from(colour.channel_count()) };
        assert_eq!(header.decoder_bytes, header.pixel_bytes() + grey, "{colour:?}");
        let pixels = decode(&bytes, &header).unwrap().pixels;
        let expected = source.to_rgba8();
        let found = pixels.to_rgba8();
        assert_eq!(found.dimensions(), (9, 7));
        let differ = found.iter().zip(expected.iter()).map(|(is, ought)| is.abs_diff(*ought)).max();
        assert!(differ <= Some(1), "{colour:?}: {differ:?}");
    }
}

#[test]
fn an_interlaced_image_of_sixteen_bits_is_read() {
    // With one pixel, an interlaced image has the same data as a plain one.
    for (source, expected) in [
        (
            DynamicImage::from(ImageBuffer::from_pixel(1, 1, Rgb([0x1234_u16, 0x5678, 0x9ABC]))),
            [0x12, 0x56, 0x9A],
        ),
        (DynamicImage::from(ImageBuffer::from_pixel(1, 1, Luma([0x1234_u16]))), [0x12; 3]),
    ] {
        let mut bytes = bytes_of(source, ImageFormat::Png);
        // The method follows width, height, depth, colour, compression and filter in the first chunk.
        bytes[16 + 12] = 1;
        let checksum = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        let header = header(&bytes, limits()).unwrap();
        assert_eq!(decode(&bytes, &header).unwrap().pixels.as_bytes(), expected);
    }
}

/// See [the specification](https://www.w3.org/TR/png-3/#5CRC-algorithm).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |rest: u32, _| if rest & 1 == 1 { 0xEDB8_8320 ^ (rest >> 1) } else { rest >> 1 };
    !bytes.iter().fold(!0, |rest, &byte| (0..8).fold(rest ^ u32::from(byte), step))
}

#[tokio::test]
async fn a_job_beyond_the_memory_of_all_is_rejected_before_it_decodes() {
    let mut room = Room::new();
    room.settings.limits.memory = 32 * 1024 * 1024;
    room.put("large", &bytes_of(quarters(4_000, 1_500), ImageFormat::Png));
    let reason = room.rejected("large").await;
    assert!(reason.contains("need about 35 MB") && reason.contains("DRUMLINE_IMAGE_MEMORY"), "{reason}");
    room.put("small", &bytes_of(quarters(400, 150), ImageFormat::Png));
    room.made("small", resize(10, 10, "png")).await;
}

#[tokio::test]
async fn jobs_beyond_the_memory_wait_for_each_other_and_all_are_done() {
    let mut room = Room::new();
    // Room for only one of them at a time.
    room.settings.limits.memory = 32 * 1024 * 1024;
    room.put("png", &bytes_of(quarters(1_000, 1_000), ImageFormat::Png));
    let tester = crate::testing::tester(crate::router(&room.settings));
    let run = async |name: &str| {
        let outputs = [room.output(name, &resize(10, 10, "png"))];
        let payload = serde_json::json!({ "source": room.url("png"), "outputs": outputs });
        tester.payload("image.process", &payload).await.is_done()
    };
    let done = tokio::join!(run("a"), run("b"), run("c"), run("d"));
    assert_eq!(done, (true, true, true, true));
}

#[tokio::test]
async fn an_avif_has_a_bounded_number_of_pixels() {
    let room = Room::new();
    room.put("large", &bytes_of(quarters(16_001, 1_000), ImageFormat::Png));
    let ending = room.run("large", vec![room.output("made", &convert("avif"))]).await;
    let Ending::Rejected { reason } = ending else { panic!("{ending:?}") };
    assert!(
        reason.contains("at most 16000000 pixels") || reason.contains("DRUMLINE_IMAGE_MEMORY"),
        "{reason}"
    );
}

#[tokio::test]
async fn outputs_in_any_order_of_sizes_are_what_was_asked_for() {
    let room = Room::new();
    let half = DynamicImage::from(ImageBuffer::from_pixel(40, 40, Rgba([200_u8, 100, 50, 128])));
    room.put("png", &bytes_of(half, ImageFormat::Png));
    let sizes = [("a", 10), ("b", 40), ("c", 20), ("d", 90)];
    let outputs = sizes.map(|(name, side)| room.output(name, &resize(side, side, "png")));
    assert_eq!(room.run("png", outputs.into()).await, Ending::Done);
    for (name, side) in sizes {
        let made = image::load_from_memory(&std::fs::read(room.path(name)).unwrap()).unwrap().into_rgba8();
        assert_eq!(made.width(), side.min(40), "{name}");
        // The conversion does not darken its colours, resized or not.
        let differ = made.pixels().flat_map(|pixel| {
            pixel.0.into_iter().zip([200, 100, 50, 128]).map(|(is, ought): (u8, u8)| is.abs_diff(ought))
        });
        assert!(differ.max() <= Some(2), "{name}");
    }
}

#[test]
fn a_colour_profile_that_is_a_bomb_is_not_unpacked() {
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(8, 8);
    info.color_type = png::ColorType::Rgb;
    info.bit_depth = png::BitDepth::Eight;
    info.icc_profile = Some(vec![0; 64 * 1024 * 1024].into());
    let mut writer = png::Encoder::with_info(&mut bytes, info).unwrap().write_header().unwrap();
    writer.write_image_data(&[7; 8 * 8 * 3]).unwrap();
    drop(writer);
    assert!(bytes.len() < 128 * 1024, "{} bytes", bytes.len());
    // Either it is rejected, or read without the profile: in neither case is the profile in memory.
    if let Ok(header) = header(&bytes, limits()) {
        assert!(header.profile.as_ref().is_none_or(Vec::is_empty), "{:?}", header.profile.map(|p| p.len()));
        assert_eq!(decode(&bytes, &header).unwrap().pixels.as_bytes()[..3], [7; 3]);
    }
}
