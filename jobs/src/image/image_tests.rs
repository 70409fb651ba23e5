//! The results of processing images.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use drumline::core::{CancelReason, Ending};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};

use crate::Settings;
use crate::testing::{self, At, TestMessage, progress, result};

/// A folder with sources, and the jobs' router for it.
pub(super) struct Room {
    pub(super) dir: tempfile::TempDir,
    pub(super) settings: Settings,
}

impl Room {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings::with_files_in(dir.path());
        Self { dir, settings }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(super) fn output(&self, target: &str, operations: &Value) -> Value {
        json!({ "target": self.url(target), "operations": operations })
    }

    pub(super) fn job(&self, source: &str, outputs: &[Value]) -> TestMessage {
        let payload = json!({ "source": self.url(source), "outputs": outputs });
        testing::tester(crate::router(&self.settings)).payload("image.process", &payload)
    }

    pub(super) async fn run(&self, source: &str, outputs: Vec<Value>) -> Ending {
        self.job(source, &outputs).await.ending().clone()
    }

    /// Runs a job with one output and returns the written bytes.
    pub(super) async fn made(&self, source: &str, operations: Value) -> Vec<u8> {
        let ending = self.run(source, vec![self.output("made", &operations)]).await;
        assert_eq!(ending, Ending::Done);
        fs::read(self.path("made")).unwrap()
    }

    /// Runs a job that is rejected, returns the reason, and checks that nothing was written.
    pub(super) async fn rejected(&self, source: &str) -> String {
        let operations =
            json!([{ "resize": { "width": 8, "height": 8 } }, { "convert": { "format": "png" } }]);
        let ending = self.run(source, vec![self.output("made/deep", &operations)]).await;
        let Ending::Rejected { reason } = ending else { panic!("not rejected but {ending:?}") };
        assert!(!self.path("made").exists());
        reason
    }
}

pub(super) fn convert(format: &str) -> Value {
    json!([{ "convert": { "format": format } }])
}

pub(super) fn resize(width: u32, height: u32, format: &str) -> Value {
    json!([{ "resize": { "width": width, "height": height, "fit": "inside" } }, { "convert": { "format": format } }])
}

/// Returns an image with four quarters: red and green above, blue and white below.
pub(super) fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| match (x < width / 2, y < height / 2) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (true, false) => Rgb([0, 0, 255]),
        (false, false) => Rgb([255, 255, 255]),
    })
}

pub(super) fn bytes_of(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn close(pixel: Rgba<u8>, expected: [u8; 4]) -> bool {
    pixel.0.iter().zip(expected).all(|(is, ought)| is.abs_diff(ought) <= 24)
}

/// Returns the colour in the middle of each quarter, in reading order.
fn middles(image: &DynamicImage) -> [Rgba<u8>; 4] {
    let image = image.to_rgba8();
    let (w, h) = image.dimensions();
    [(w / 4, h / 4), (w * 3 / 4, h / 4), (w / 4, h * 3 / 4), (w * 3 / 4, h * 3 / 4)]
        .map(|(x, y)| *image.get_pixel(x, y))
}

const QUARTERS: [[u8; 4]; 4] = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 255, 255]];

fn assert_quarters(image: &DynamicImage, expected: [[u8; 4]; 4]) {
    let found = middles(image);
    assert!(found.iter().zip(expected).all(|(pixel, ought)| close(*pixel, ought)), "{found:?}");
}

#[tokio::test]
async fn every_format_is_written_and_read_back() {
    let room = Room::new();
    room.put("png", &bytes_of(quarters(90, 60), ImageFormat::Png));
    for (name, format) in
        [("png", ImageFormat::Png), ("jpeg", ImageFormat::Jpeg), ("webp", ImageFormat::WebP)]
    {
        let made = room.made("png", resize(45, 45, name)).await;
        assert_eq!(image::guess_format(&made).unwrap(), format);
        let image = image::load_from_memory(&made).unwrap();
        assert_eq!((image.width(), image.height()), (45, 30));
        assert_quarters(&image, QUARTERS);
        // A written image can be a source, too.
        room.put("again", &made);
        let again = image::load_from_memory(&room.made("again", resize(20, 20, "png")).await).unwrap();
        assert_eq!((again.width(), again.height()), (20, 13));
        assert_quarters(&again, QUARTERS);
    }
}

/// No AVIF decoder is built in, so the test parses the container.
#[tokio::test]
async fn avif_is_written() {
    let room = Room::new();
    room.put("jpeg", &bytes_of(quarters(90, 60), ImageFormat::Jpeg));
    let made = room.made("jpeg", resize(45, 45, "avif")).await;
    assert_eq!(&made[4..12], b"ftypavif");
    // The image's extent: `ispe`, version and flags, width, height.
    let at = made.windows(4).position(|four| four == b"ispe").unwrap();
    let number = |from: usize| u32::from_be_bytes(made[from..from + 4].try_into().unwrap());
    assert_eq!((number(at + 8), number(at + 12)), (45, 30));
}

#[tokio::test]
async fn quality_costs_bytes() {
    let room = Room::new();
    room.put("lake.jpg", include_bytes!("../../samples/lake.jpg"));
    for format in ["jpeg", "webp", "avif"] {
        let with = |quality: u8| {
            json!([
                { "resize": { "width": 96, "height": 96 } },
                { "convert": { "format": format, "quality": quality } },
            ])
        };
        let (low, high) = (room.made("lake.jpg", with(20)).await, room.made("lake.jpg", with(95)).await);
        assert!(low.len() < high.len(), "{format}: {} and {}", low.len(), high.len());
    }
}

#[tokio::test]
async fn images_are_never_enlarged_and_keep_their_format() {
    let room = Room::new();
    for (name, format) in
        [("jpeg", ImageFormat::Jpeg), ("png", ImageFormat::Png), ("webp", ImageFormat::WebP)]
    {
        room.put(name, &bytes_of(quarters(30, 20), format));
        let made = room.made(name, json!([{ "resize": { "width": 300, "height": 300 } }])).await;
        assert_eq!(image::guess_format(&made).unwrap(), format);
        let image = image::load_from_memory(&made).unwrap();
        assert_eq!((image.width(), image.height()), (30, 20));
        assert_quarters(&image, QUARTERS);
    }
}

#[tokio::test]
async fn other_pixel_layouts_are_read() {
    let room = Room::new();
    let image = DynamicImage::from(quarters(30, 20));
    for (name, source) in [
        ("sixteen", DynamicImage::from(image.to_rgba16())),
        ("grey", DynamicImage::from(image.to_luma8())),
        ("grey-alpha", DynamicImage::from(image.to_luma_alpha16())),
    ] {
        room.put(name, &bytes_of(source, ImageFormat::Png));
        let made = image::load_from_memory(&room.made(name, resize(15, 15, "png")).await).unwrap();
        assert_eq!((made.width(), made.height()), (15, 10), "{name}");
        assert!(close(middles(&made)[3], [255, 255, 255, 255]), "{name}");
    }
    room.put("gif", &bytes_of(image.to_rgba8(), ImageFormat::Gif));
    assert_quarters(&image::load_from_memory(&room.made("gif", convert("png")).await).unwrap(), QUARTERS);
}

#[tokio::test]
async fn a_gif_needs_a_format_to_become() {
    let room = Room::new();
    room.put("gif", &bytes_of(DynamicImage::from(quarters(30, 20)).to_rgba8(), ImageFormat::Gif));
    let ending =
        room.run("gif", vec![room.output("made", &json!([{ "resize": { "width": 9, "height": 9 } }]))]).await;
    assert!(matches!(ending, Ending::Rejected { reason } if reason.contains("add a convert")));
}

#[tokio::test]
async fn transparency_is_kept_or_laid_on_white() {
    let room = Room::new();
    // Opaque red on the left. On the right a transparent green, which must not bleed into the red.
    let source =
        RgbaImage::from_fn(64, 64, |x, _| if x < 32 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 0]) });
    room.put("png", &bytes_of(source, ImageFormat::Png));
    for format in ["png", "webp"] {
        let made =
            image::load_from_memory(&room.made("png", resize(7, 7, format)).await).unwrap().into_rgba8();
        assert!(close(*made.get_pixel(0, 3), [255, 0, 0, 255]), "{format}");
        assert!(made.get_pixel(6, 3).0[3] < 16, "{format}");
        // The pixel on the border is half transparent, and still red.
        let border = *made.get_pixel(3, 3);
        if format == "png" {
            assert!(border.0[0] > 240 && border.0[1] < 16 && (100..156).contains(&border.0[3]), "{border:?}");
        }
    }
    let made = image::load_from_memory(&room.made("png", resize(8, 8, "jpeg")).await).unwrap().into_rgba8();
    assert!(close(*made.get_pixel(0, 4), [255, 0, 0, 255]));
    assert!(close(*made.get_pixel(7, 4), [255, 255, 255, 255]));
}

/// Returns a JPEG with an EXIF segment that contains only an orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let tiff =
        [b'M', b'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0];
    [&jpeg[..2], &[0xFF, 0xE1, 0, 2 + 6 + 26], b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

#[tokio::test]
async fn images_are_turned_upright() {
    let room = Room::new();
    let mut stored = Vec::new();
    quarters(60, 40).write_with_encoder(JpegEncoder::new_with_quality(&mut stored, 95)).unwrap();
    // The positions of the stored quarters (red, green / blue, white) according to the EXIF standard.
    for (orientation, order) in [
        (1, [0, 1, 2, 3]),
        (2, [1, 0, 3, 2]),
        (3, [3, 2, 1, 0]),
        (4, [2, 3, 0, 1]),
        (5, [0, 2, 1, 3]),
        (6, [2, 0, 3, 1]),
        (7, [3, 1, 2, 0]),
        (8, [1, 3, 0, 2]),
    ] {
        room.put("turned", &with_orientation(&stored, orientation));
        let upright = if orientation < 5 { (60, 40) } else { (40, 60) };
        let made = image::load_from_memory(&room.made("turned", convert("png")).await).unwrap();
        assert_eq!((made.width(), made.height()), upright, "{orientation}");
        assert_quarters(&made, order.map(|n| QUARTERS[n]));
        // The box applies to the upright image.
        let made = image::load_from_memory(&room.made("turned", resize(20, 60, "png")).await).unwrap();
        let smaller = if orientation < 5 { (20, 13) } else { (20, 30) };
        assert_eq!((made.width(), made.height()), smaller, "{orientation}");
        assert_quarters(&made, order.map(|n| QUARTERS[n]));
    }
}

#[tokio::test]
async fn damaged_metadata_does_not_fail_an_image() {
    let room = Room::new();
    let jpeg = bytes_of(quarters(60, 40), ImageFormat::Jpeg);
    room.put("odd", &[&jpeg[..2], &[0xFF, 0xE1, 0, 10], b"Exif\0\0zz", &jpeg[2..]].concat());
    assert_quarters(&image::load_from_memory(&room.made("odd", convert("png")).await).unwrap(), QUARTERS);
}

#[tokio::test]
async fn colours_become_srgb() {
    let room = Room::new();
    let profile = moxcms::ColorProfile::new_display_p3().encode().unwrap();
    let pixel = |red, green, blue| RgbaImage::from_pixel(4, 4, Rgba([red, green, blue, 200]));
    for (source, expected) in [(pixel(128, 128, 128), [128, 128, 128]), (pixel(100, 200, 100), [45, 203, 86])]
    {
        let mut bytes = Vec::new();
        let mut encoder = PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile.clone()).unwrap();
        source.write_with_encoder(encoder).unwrap();
        room.put("wide-gamut", &bytes);
        for operations in [convert("png"), resize(2, 2, "png")] {
            let made =
                image::load_from_memory(&room.made("wide-gamut", operations).await).unwrap().into_rgba8();
            let [red, green, blue, alpha] = made.get_pixel(0, 0).0;
            let near =
                [red, green, blue].iter().zip(expected).all(|(is, ought): (&u8, u8)| is.abs_diff(ought) <= 4);
            assert!(near && alpha == 200, "{:?}", made.get_pixel(0, 0));
        }
    }
}

#[tokio::test]
async fn a_damaged_colour_profile_is_left_out() {
    let room = Room::new();
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(b"no profile".to_vec()).unwrap();
    quarters(30, 20).write_with_encoder(encoder).unwrap();
    room.put("odd", &bytes);
    assert_quarters(&image::load_from_memory(&room.made("odd", convert("png")).await).unwrap(), QUARTERS);
}

#[tokio::test]
async fn progress_is_reported_for_each_operation() {
    let room = Room::new();
    room.put("png", &bytes_of(quarters(30, 20), ImageFormat::Png));
    let run = two_outputs(&room).await;
    assert!(run.is_done(), "{run}");
    // Decoding; two operations and one; two files.
    assert_eq!(progress(&run), [(1, 6), (2, 6), (3, 6), (4, 6), (5, 6), (6, 6)]);
    assert!(Path::exists(&room.path("b")));
}

#[tokio::test]
async fn the_result_names_what_was_made() {
    let room = Room::new();
    room.put("jpeg", &bytes_of(quarters(90, 60), ImageFormat::Jpeg));
    let outputs = [
        room.output("a", &resize(45, 45, "webp")),
        room.output("b", &json!([{ "resize": { "width": 9, "height": 9 } }])),
    ];
    let run = room.job("jpeg", &outputs).await;
    assert!(run.is_done(), "{run}");
    let made = |name: &str, content_type: &str, width: u32, height: u32| {
        let bytes = fs::metadata(room.path(name)).unwrap().len();
        json!({
            "url": room.url(name), "contentType": content_type, "width": width, "height": height, "bytes": bytes,
        })
    };
    let outputs = [made("a", "image/webp", 45, 30), made("b", "image/jpeg", 9, 6)];
    assert_eq!(result(&run), json!({ "outputs": outputs }));
}

#[tokio::test]
async fn a_cancelled_job_stops_between_operations() {
    for stop_after in 1..=5 {
        let room = Room::new();
        room.put("png", &bytes_of(quarters(30, 20), ImageFormat::Png));
        let run = two_outputs(&room).shut_down(At::Progress(stop_after)).await;
        assert_eq!(run.cancelled(), Some(CancelReason::Shutdown));
        assert!(run.handler_ending().reason().unwrap().contains("stopped after"), "{run}");
        assert_eq!(run.progress().len() as u64, stop_after);
        assert_eq!((room.path("a").exists(), room.path("b").exists()), (stop_after == 5, false));
    }
}

/// Returns a job with two outputs.
fn two_outputs(room: &Room) -> TestMessage {
    room.job("png", &[room.output("a", &resize(9, 9, "jpeg")), room.output("b", &convert("png"))])
}
