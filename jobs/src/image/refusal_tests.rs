//! Refused images, which leave nothing behind.
#![allow(clippy::unwrap_used)]

use std::fs;

use drumline::core::Ending;
use image::{ImageFormat, RgbImage};
use serde_json::json;

use super::tests::{Room, bytes_of, convert, quarters, resize};
use crate::Settings;

fn png_claiming(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, &[0x78, 0xDA, 0xEC, 0xC1, 0x01]).unwrap();
    drop(writer);
    bytes
}

fn jpeg_claiming(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = bytes_of(quarters(16, 16), ImageFormat::Jpeg);
    // The frame header: marker, length, depth, height, width.
    let at = bytes.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
    bytes[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    bytes[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

#[tokio::test]
async fn bombs_are_refused_by_their_header() {
    let room = Room::new();
    let side = 60_000u16.to_le_bytes();
    let frame = [&[0x2C, 0, 0, 0, 0][..], &side, &side, &[0, 2, 0, 0x3B]].concat();
    let gif = [b"GIF89a".as_slice(), &side, &side, &[0, 0, 0], &frame].concat();
    for (bomb, claim) in [
        (png_claiming(50_000, 50_000), "50000 x 50000"),
        // A single row would need gigabytes.
        (png_claiming(u32::MAX / 2, 1_000_000), "Memory limit exceeded"),
        (jpeg_claiming(65_000, 65_000), "65000 x 65000"),
        (gif, "60000 x 60000"),
        (include_bytes!("../../samples/bomb.png").to_vec(), "50000 x 50000"),
    ] {
        room.put("bomb", &bomb);
        let reason = room.rejected("bomb").await;
        assert!(reason.contains(claim), "{reason}");
    }
}

#[tokio::test]
async fn limits_are_exact() {
    let mut room = Room::new();
    room.put("png", &bytes_of(quarters(30, 20), ImageFormat::Png));
    room.settings.limits.pixels = 600;
    room.made("png", resize(3, 3, "png")).await;
    fs::remove_file(room.path("made")).unwrap();
    room.settings.limits.pixels = 599;
    assert!(room.rejected("png").await.contains("more than 599"));
    room.settings.limits.source_bytes = 10;
    assert!(room.rejected("png").await.contains("larger than 10 bytes"));
}

#[tokio::test]
async fn what_is_no_sound_image_is_rejected() {
    let room = Room::new();
    let png = bytes_of(quarters(60, 60), ImageFormat::Png);
    let jpeg = bytes_of(quarters(60, 60), ImageFormat::Jpeg);
    let mut flipped = png.clone();
    flipped[45] ^= 0xFF;
    for (name, bytes, part) in [
        ("empty", &[][..], "no known image format"),
        ("text", b"not an image", "no known image format"),
        ("half a png", &png[..png.len() / 2], "can't be decoded"),
        ("a png's header", &png[..20], "can't be decoded"),
        ("a flipped png", &flipped, "can't be decoded"),
        ("a jpeg's header", &jpeg[..30], "can't be decoded"),
        ("another format", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "not supported"),
    ] {
        room.put("source", bytes);
        let reason = room.rejected("source").await;
        assert!(reason.contains(part), "{name}: {reason}");
    }
    assert!(room.rejected("missing").await.contains("No such file"));
}

#[tokio::test]
async fn a_job_that_fails_half_way_writes_nothing() {
    let room = Room::new();
    // The second output is wider than a WebP can be.
    room.put("wide", &bytes_of(RgbImage::new(17_000, 2), ImageFormat::Png));
    let outputs =
        vec![room.output("made/ok", &resize(10, 10, "png")), room.output("made/bad", &convert("webp"))];
    let ending = room.run("wide", outputs).await;
    assert!(matches!(&ending, Ending::Rejected { reason } if reason.contains("16383")), "{ending:?}");
    assert!(!room.path("made").exists());
}

#[tokio::test]
async fn files_outside_the_root_are_refused() {
    let room = Room::new();
    fs::create_dir(room.path("root")).unwrap();
    room.put("outside.png", &bytes_of(quarters(8, 8), ImageFormat::Png));
    room.put("root/in.png", &bytes_of(quarters(8, 8), ImageFormat::Png));
    let inner = Room { settings: Settings::with_files_in(&room.path("root")), dir: room.dir };
    let outputs = |target| vec![inner.output(target, &convert("jpeg"))];
    assert_eq!(inner.run("root/in.png", outputs("root/out.jpg")).await, Ending::Done);
    for (source, target) in [("outside.png", "root/out2.jpg"), ("root/in.png", "stolen.jpg")] {
        let ending = inner.run(source, outputs(target)).await;
        assert!(
            matches!(&ending, Ending::Rejected { reason } if reason.contains("is not below")),
            "{ending:?}"
        );
        assert!(!inner.path(target).exists());
    }
}

#[tokio::test]
async fn operations_that_do_not_fit_are_undecodable() {
    let room = Room::new();
    for operations in [json!([]), json!([{ "resize": { "width": 0, "height": 1 } }]), json!([{ "spin": {} }])]
    {
        let ending = room.run("any", vec![room.output("made", &operations)]).await;
        assert!(matches!(ending, Ending::InvalidPayload { .. }), "{operations}: {ending:?}");
    }
}
