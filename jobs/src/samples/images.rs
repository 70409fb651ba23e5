//! Sample images, and the jobs that process them.

use std::path::Path;

use serde_json::json;

use super::sample::{self, Expect, Sample, file_url, job};

/// Returns jobs that make images in several sizes and formats.
pub(super) fn made(folder: &Path) -> Vec<Sample> {
    let widths = [(960, "webp"), (480, "webp"), (240, "jpeg")];
    let lake: Vec<_> = widths.map(|(width, format)| (format!("lake-{width}.{format}"), width, format)).into();
    let drum = ["webp", "png", "jpeg"].map(|format| (format!("drum-128.{format}"), 128, format)).into();
    vec![
        image(folder, "a photo in three sizes", "lake", "lake.jpg", lake),
        image(
            folder,
            "a photo as AVIF",
            "lake-avif",
            "lake.jpg",
            vec![("lake-320.avif".into(), 320, "avif")],
        ),
        image(folder, "a transparent logo in three formats", "drum", "drum.png", drum),
        image(
            folder,
            "a photo that its EXIF data turns upright",
            "portrait",
            "portrait.jpg",
            vec![("portrait-200.jpeg".into(), 200, "jpeg")],
        ),
    ]
}

/// Returns messages that no attempt can fix.
pub(super) fn poison(folder: &Path) -> Vec<Sample> {
    let thumbnail = || vec![("never.webp".into(), 64, "webp")];
    let dead = |sample: Sample| Sample { expect: Expect::DeadLettered, outputs: vec![], ..sample };
    vec![
        dead(image(folder, "an image that is not there", "missing", "missing.jpg", thumbnail())),
        dead(image(folder, "an image bomb of 50,000 x 50,000 pixels", "bomb", "bomb.png", thumbnail())),
        sample::dead(
            "a payload that does not fit its type",
            job("misfit", "image.process", &json!({ "source": 42 })),
        ),
    ]
}

/// Returns a job that writes files to `thumbnails`, each with its name, its longest side and its format.
fn image(folder: &Path, label: &str, id: &str, source: &str, made: Vec<(String, u32, &str)>) -> Sample {
    let mut outputs = Vec::new();
    let mut written = Vec::new();
    for (name, side, format) in made {
        let path = folder.join("thumbnails").join(name);
        written.push(json!({
            "target": file_url(&path),
            "operations": [
                { "resize": { "width": side, "height": side, "fit": "inside" } },
                { "convert": { "format": format } },
            ],
        }));
        outputs.push(path);
    }
    let source = file_url(&folder.join("images").join(source));
    let body = job(id, "image.process", &json!({ "source": source, "outputs": written }));
    Sample { label: label.to_owned(), body, expect: Expect::Done, outputs }
}
