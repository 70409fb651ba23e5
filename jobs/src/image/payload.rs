//! What an `image.process` job says.

use std::collections::HashSet;
use std::num::{NonZeroU8, NonZeroU32};

use drumline::Job;
use serde::Deserialize;

use crate::location::Location;

/// The most outputs of one job: far more than any set of thumbnails, and few enough to hold in memory.
const MAX_OUTPUTS: usize = 32;

/// One source and what to make of it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct ImageProcess {
    pub(crate) source: Location,
    pub(crate) outputs: Vec<Output>,
}

impl Job for ImageProcess {
    const TYPE: &'static str = "image.process";
}

/// One image to write.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) target: Location,
    pub(crate) resize: Option<Resize>,
    pub(crate) convert: Option<Convert>,
}

impl Output {
    /// How many operations were asked for.
    pub(crate) fn operations(&self) -> u64 {
        u64::from(self.resize.is_some()) + u64::from(self.convert.is_some())
    }
}

/// Makes the image small enough for a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resize {
    pub(crate) width: NonZeroU32,
    pub(crate) height: NonZeroU32,
    /// There is one way so far; naming it leaves room for others.
    #[serde(default, rename = "fit")]
    _fit: Fit,
}

/// How an image is fitted into a box.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fit {
    /// All of it is inside, its shape is kept, and it is never enlarged.
    #[default]
    Inside,
}

/// Writes the image in a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenConvert")]
pub(crate) enum Convert {
    Webp { quality: u8 },
    Avif { quality: u8 },
    Jpeg { quality: u8 },
    Png,
}

impl Convert {
    /// Visually close to the source at a fraction of its size: the encoders' own customary values. AVIF's scale is
    /// another one, where 60 looks like a JPEG's 82.
    pub(crate) const WEBP: Self = Self::Webp { quality: 80 };
    pub(crate) const AVIF: Self = Self::Avif { quality: 60 };
    pub(crate) const JPEG: Self = Self::Jpeg { quality: 82 };
}

// What follows is the payload as it is written, before what has to fit together has been checked.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    source: Location,
    outputs: Vec<WrittenOutput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOutput {
    target: Location,
    operations: Vec<WrittenOperation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenOperation {
    Resize(Resize),
    Convert(Convert),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConvert {
    format: WrittenFormat,
    quality: Option<NonZeroU8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenFormat {
    Webp,
    Avif,
    Jpeg,
    Png,
}

/// What does not fit together in a payload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misfit {
    #[error("there must be 1 to {MAX_OUTPUTS} outputs, not {0}")]
    Outputs(usize),
    #[error("the target {0} is named twice")]
    TargetTwice(Location),
    #[error("the target {0} is the source: a second attempt would start from the first one's result")]
    TargetIsSource(Location),
    #[error("operations are one resize, one convert, or a resize and then a convert")]
    Operations,
    #[error("quality is 1 to 100, not {0}")]
    Quality(u8),
    #[error("png is lossless and has no quality")]
    PngQuality,
}

impl TryFrom<Written> for ImageProcess {
    type Error = Misfit;

    fn try_from(written: Written) -> Result<Self, Misfit> {
        let Written { source, outputs } = written;
        if outputs.is_empty() || outputs.len() > MAX_OUTPUTS {
            return Err(Misfit::Outputs(outputs.len()));
        }
        let mut seen = HashSet::new();
        for WrittenOutput { target, .. } in &outputs {
            if *target == source {
                return Err(Misfit::TargetIsSource(source));
            }
            if !seen.insert(target) {
                return Err(Misfit::TargetTwice(target.clone()));
            }
        }
        let outputs = outputs.into_iter().map(Output::try_from).collect::<Result<_, _>>()?;
        Ok(Self { source, outputs })
    }
}

impl TryFrom<WrittenOutput> for Output {
    type Error = Misfit;

    fn try_from(WrittenOutput { target, operations }: WrittenOutput) -> Result<Self, Misfit> {
        use WrittenOperation::{Convert, Resize};
        let (resize, convert) = match operations[..] {
            [Resize(resize)] => (Some(resize), None),
            [Convert(convert)] => (None, Some(convert)),
            [Resize(resize), Convert(convert)] => (Some(resize), Some(convert)),
            _ => return Err(Misfit::Operations),
        };
        Ok(Self { target, resize, convert })
    }
}

impl TryFrom<WrittenConvert> for Convert {
    type Error = Misfit;

    fn try_from(WrittenConvert { format, quality }: WrittenConvert) -> Result<Self, Misfit> {
        let quality = quality.map(NonZeroU8::get);
        if let Some(above @ 101..) = quality {
            return Err(Misfit::Quality(above));
        }
        Ok(match (format, quality) {
            (WrittenFormat::Webp, None) => Self::WEBP,
            (WrittenFormat::Avif, None) => Self::AVIF,
            (WrittenFormat::Jpeg, None) => Self::JPEG,
            (WrittenFormat::Png, None) => Self::Png,
            (WrittenFormat::Webp, Some(quality)) => Self::Webp { quality },
            (WrittenFormat::Avif, Some(quality)) => Self::Avif { quality },
            (WrittenFormat::Jpeg, Some(quality)) => Self::Jpeg { quality },
            (WrittenFormat::Png, Some(_)) => return Err(Misfit::PngQuality),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn read(payload: Value) -> Result<ImageProcess, String> {
        serde_json::from_value(payload).map_err(|error| error.to_string())
    }

    fn with_operations(operations: &Value) -> Result<Output, String> {
        let outputs = json!([{ "target": "s3://b/t", "operations": operations }]);
        read(json!({ "source": "s3://b/s", "outputs": outputs })).map(|mut job| job.outputs.remove(0))
    }

    #[test]
    fn operations_are_read() {
        let output = with_operations(&json!([
            { "resize": { "width": 320, "height": 240, "fit": "inside" } },
            { "convert": { "format": "webp", "quality": 70 } },
        ]))
        .unwrap();
        let resize = output.resize.unwrap();
        assert_eq!((resize.width.get(), resize.height.get()), (320, 240));
        assert_eq!((output.convert, output.operations()), (Some(Convert::Webp { quality: 70 }), 2));
        for (format, convert) in
            [("webp", Convert::WEBP), ("avif", Convert::AVIF), ("jpeg", Convert::JPEG), ("png", Convert::Png)]
        {
            let output = with_operations(&json!([{ "convert": { "format": format } }])).unwrap();
            assert_eq!((output.resize, output.convert), (None, Some(convert)));
        }
    }

    #[test]
    fn bad_operations_are_told() {
        let resize = json!({ "resize": { "width": 1, "height": 1 } });
        let convert = json!({ "convert": { "format": "png" } });
        for (operations, part) in [
            (json!([]), "operations are"),
            (json!([resize, resize]), "operations are"),
            (json!([convert, resize]), "operations are"),
            (json!([{ "crop": {} }]), "unknown variant `crop`"),
            (json!([{ "resize": { "width": 0, "height": 9 } }]), "nonzero"),
            (json!([{ "resize": { "width": -1, "height": 9 } }]), "nonzero"),
            (json!([{ "resize": { "width": 9 } }]), "missing field `height`"),
            (json!([{ "resize": { "width": 9, "height": 9, "fit": "cover" } }]), "unknown variant `cover`"),
            (json!([{ "resize": { "width": 9, "height": 9, "crop": 1 } }]), "unknown field `crop`"),
            (json!([{ "convert": { "format": "bmp" } }]), "unknown variant `bmp`"),
            (json!([{ "convert": { "format": "webp", "quality": 0 } }]), "nonzero"),
            (json!([{ "convert": { "format": "webp", "quality": 101 } }]), "1 to 100"),
            (json!([{ "convert": { "format": "png", "quality": 9 } }]), "lossless"),
        ] {
            let problem = with_operations(&operations).unwrap_err();
            assert!(problem.contains(part), "{operations}: {problem}");
        }
    }

    #[test]
    fn targets_are_told_apart() {
        let output =
            |target: &str| json!({ "target": target, "operations": [{ "convert": { "format": "png" } }] });
        let job = |outputs: Vec<Value>| read(json!({ "source": "s3://b/s", "outputs": outputs }));
        assert_eq!(job(vec![output("s3://b/1"), output("s3://b/2")]).unwrap().outputs.len(), 2);
        assert!(job(vec![output("s3://b/1"), output("s3://b/1")]).unwrap_err().contains("named twice"));
        assert!(job(vec![output("s3://b/s")]).unwrap_err().contains("is the source"));
        assert!(job(vec![]).unwrap_err().contains("1 to 32 outputs"));
        let many = (0..33).map(|n| output(&format!("s3://b/{n}"))).collect();
        assert!(job(many).unwrap_err().contains("not 33"));
    }
}
