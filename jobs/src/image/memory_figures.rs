//! Measures the memory of image jobs. Each figure needs a separate process: the first run makes the source, the second
//! measures. `*4` after the name runs four jobs at once. `FIGURE=png16-10000 cargo test -p drumline-jobs -- --ignored
//! --nocapture memory_figure`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]

use std::fs;
use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{Frame, ImageEncoder, ImageFormat, Rgba, RgbaImage};

use super::tests::{Room, bytes_of, resize};

/// Returns a sixteen-bit RGBA image with `side` pixels a side, all of one colour.
fn png16(side: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side, side);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Sixteen);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    let row = vec![0x7F; side as usize * 8];
    for _ in 0..side {
        std::io::Write::write_all(&mut stream, &row).unwrap();
    }
    stream.finish().unwrap();
    drop(writer);
    bytes
}

/// Returns an animation whose frames do not cover the canvas.
fn gif(side: u32) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = GifEncoder::new_with_speed(&mut bytes, 30);
    for shade in [50, 100, 150] {
        let image = RgbaImage::from_pixel(side, side, Rgba([shade, 0, 0, 255]));
        encoder
            .encode_frame(Frame::from_parts(image, 0, 0, image::Delay::from_numer_denom_ms(100, 1)))
            .unwrap();
    }
    drop(encoder);
    bytes.into_inner()
}

/// Returns an animated WebP: two frames of a lossless image.
fn webp(side: u32) -> Vec<u8> {
    let mut still = Vec::new();
    let pixels = RgbaImage::from_pixel(side, side, Rgba([9, 99, 199, 128]));
    image::codecs::webp::WebPEncoder::new_lossless(&mut still)
        .write_image(&pixels, side, side, image::ExtendedColorType::Rgba8)
        .unwrap();
    let u24 = |value: u32| value.to_le_bytes()[..3].to_vec();
    let chunk = |name: &[u8; 4], data: &[u8]| {
        let length = u32::try_from(data.len()).unwrap();
        let padding = vec![0; data.len() % 2];
        [name.as_slice(), &length.to_le_bytes(), data, &padding].concat()
    };
    let frame =
        [u24(0), u24(0), u24(side - 1), u24(side - 1), u24(100), vec![0], still[12..].to_vec()].concat();
    let frames = [chunk(b"ANMF", &frame), chunk(b"ANMF", &frame)].concat();
    let head = chunk(b"VP8X", &[vec![0b0001_0010, 0, 0, 0], u24(side - 1), u24(side - 1)].concat());
    let animation = chunk(b"ANIM", &[0; 6]);
    let body = [b"WEBP".to_vec(), head, animation, frames].concat();
    chunk(b"RIFF", &body)
}

fn peak_mb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024 / 1_000_000
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods, reason = "its arguments, given by hand")]
async fn memory_figure() {
    let figure = std::env::var("FIGURE").unwrap();
    let (figure, jobs) = figure.split_once('*').map_or((&*figure, 1), |(name, n)| (name, n.parse().unwrap()));
    let room = Room::new();
    let (kind, side) = figure.split_once('-').unwrap();
    let cached = std::env::temp_dir().join(format!("drumline-figure-{figure}"));
    let Ok(bytes) = fs::read(&cached) else {
        let side: u32 = side.parse().unwrap();
        let bytes = match kind {
            "png16" => png16(side),
            "gif" => gif(side),
            "webp" => webp(side),
            "jpeg" => bytes_of(super::tests::quarters(side, side), ImageFormat::Jpeg),
            "png" => bytes_of(super::tests::quarters(side, side), ImageFormat::Png),
            _ => panic!("{kind}?"),
        };
        fs::write(&cached, bytes).unwrap();
        println!("{figure}: made; run it again");
        return;
    };
    room.put("source", &bytes);
    drop(bytes);
    let format = std::env::var("FORMAT").unwrap_or_else(|_| "webp".into());
    let box_side = std::env::var("BOX").map_or(320, |side| side.parse().unwrap());
    let before = peak_mb();
    let begun = std::time::Instant::now();
    let tester = crate::testing::tester(crate::router(&room.settings));
    let payloads = (0..jobs).map(|n| {
        let output = room.output(&format!("made-{n}"), &resize(box_side, box_side, &format));
        serde_json::json!({ "source": room.url("source"), "outputs": [output] })
    });
    let mut runs = tokio::task::JoinSet::new();
    for payload in payloads {
        let message = tester.payload("image.process", &payload);
        runs.spawn(async move { message.await.ending().clone() });
    }
    let endings = runs.join_all().await;
    println!(
        "{figure} to {box_side} as {format}, {jobs} at once: peak {} MB (before: {before} MB), {:?}\n{endings:?}",
        peak_mb(),
        begun.elapsed()
    );
}
