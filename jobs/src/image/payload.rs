//! The payload of an `image.process` job.

use std::collections::HashSet;
use std::num::{NonZeroU8, NonZeroU32};

use drumline::{Job, Upcaster};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::{self, Optional};
use crate::location::{Location, NoLocation, Target};
use crate::schema;

/// The largest number of outputs of one job: far more than any set of thumbnails, and few enough to keep in memory.
const MAX_OUTPUTS: usize = 32;

/// One source and its outputs.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub(crate) struct ImageProcess {
    pub(crate) source: Location,
    pub(crate) outputs: Vec<Output>,
    /// The key, derived from the whole payload: every part of it affects the written files.
    key: String,
}

impl Job for ImageProcess {
    const TYPE: &'static str = "image.process";
    const VERSION: u32 = 2;
    /// Version 1 had no `revision`.
    const UPCASTERS: &'static [Upcaster] = &[Upcaster { from: 1, up: Ok }];

    fn idempotency_key(&self) -> Option<String> {
        Some(self.key.clone())
    }

    fn schema(version: u32) -> Option<Value> {
        let newest = schema_for!(Written).to_value();
        Some(if version == 1 { schema::without(newest, "revision") } else { newest })
    }
}

/// One image to write.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) target: Target,
    pub(crate) resize: Option<Resize>,
    pub(crate) convert: Option<Convert>,
}

impl Output {
    /// Returns the number of requested operations.
    pub(crate) fn operations(&self) -> u64 {
        u64::from(self.resize.is_some()) + u64::from(self.convert.is_some())
    }
}

/// Reduces the image to fit into a box.
///
/// The whole image fits inside, keeps its aspect ratio, and is never enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resize {
    pub(crate) width: NonZeroU32,
    pub(crate) height: NonZeroU32,
}

/// Writes the image in a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Convert {
    Webp { quality: u8 },
    Avif { quality: u8 },
    Jpeg { quality: u8 },
    Png,
}

impl Convert {
    /// The quality that is visually close to the source at a fraction of its size: the encoders' usual values. AVIF uses
    /// another scale, in which 60 corresponds to a JPEG's 82.
    pub(crate) const WEBP: Self = Self::Webp { quality: 80 };
    pub(crate) const AVIF: Self = Self::Avif { quality: 60 };
    pub(crate) const JPEG: Self = Self::Jpeg { quality: 82 };
}

// The payload as it is written, before its parts are checked against each other. The key is derived from its JSON: see
// `key::of_payload`.

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImageProcess", description = "One source and what to make of it.")]
struct Written {
    /// The source: a JPEG, PNG, WebP or GIF.
    #[schemars(regex(pattern = "^(file|s3)://"))]
    source: String,
    #[schemars(length(min = 1, max = MAX_OUTPUTS))]
    outputs: Vec<WrittenOutput>,
    /// Distinguishes jobs for a source that changes under one name. It is only a part of the key.
    #[serde(default, skip_serializing_if = "Optional::is_absent")]
    #[schemars(with = "Option<String>")]
    revision: Optional<String>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Output")]
struct WrittenOutput {
    #[schemars(regex(pattern = "^(file|s3)://"))]
    target: String,
    /// One resize, one convert, or a resize followed by a convert.
    #[schemars(length(min = 1, max = 2))]
    operations: Vec<WrittenOperation>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Operation")]
enum WrittenOperation {
    Resize(WrittenResize),
    Convert(WrittenConvert),
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Resize")]
struct WrittenResize {
    width: NonZeroU32,
    height: NonZeroU32,
    #[serde(default, skip_serializing_if = "Optional::is_absent")]
    #[schemars(with = "Option<WrittenFit>")]
    fit: Optional<WrittenFit>,
}

/// The way in which an image is fitted into a box. There is only one so far; naming it leaves room for others.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Fit")]
enum WrittenFit {
    Inside,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Convert")]
struct WrittenConvert {
    format: WrittenFormat,
    /// The quality, for all formats except PNG, which is lossless.
    #[serde(default, skip_serializing_if = "Optional::is_absent")]
    #[schemars(with = "Option<NonZeroU8>", range(max = 100))]
    quality: Optional<NonZeroU8>,
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Format")]
enum WrittenFormat {
    Webp,
    Avif,
    Jpeg,
    Png,
}

/// An inconsistency in a payload.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Misfit {
    #[error(transparent)]
    Location(#[from] NoLocation),
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
        let key = key::of_payload("image", &written);
        let Written { source, outputs, revision: _ } = written;
        let source = source.try_into()?;
        if outputs.is_empty() || outputs.len() > MAX_OUTPUTS {
            return Err(Misfit::Outputs(outputs.len()));
        }
        let outputs = outputs.into_iter().map(Output::try_from).collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        for Output { target, .. } in &outputs {
            if target.location == source {
                return Err(Misfit::TargetIsSource(source));
            }
            if !seen.insert(&target.location) {
                return Err(Misfit::TargetTwice(target.location.clone()));
            }
        }
        Ok(Self { source, outputs, key })
    }
}

impl TryFrom<WrittenOutput> for Output {
    type Error = Misfit;

    fn try_from(WrittenOutput { target, operations }: WrittenOutput) -> Result<Self, Misfit> {
        use WrittenOperation as Written;
        let mut operations = operations.into_iter();
        let (resize, convert) = match (operations.next(), operations.next(), operations.next()) {
            (Some(Written::Resize(resize)), None, None) => (Some(resize), None),
            (Some(Written::Convert(convert)), None, None) => (None, Some(convert)),
            (Some(Written::Resize(resize)), Some(Written::Convert(convert)), None) => {
                (Some(resize), Some(convert))
            }
            _ => return Err(Misfit::Operations),
        };
        let resize = resize.map(|WrittenResize { width, height, fit: _ }| Resize { width, height });
        Ok(Self { target: target.try_into()?, resize, convert: convert.map(TryInto::try_into).transpose()? })
    }
}

impl TryFrom<WrittenConvert> for Convert {
    type Error = Misfit;

    fn try_from(WrittenConvert { format, quality }: WrittenConvert) -> Result<Self, Misfit> {
        let quality = quality.value().map(NonZeroU8::get);
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
    fn bad_operations_are_reported() {
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
    fn targets_are_distinguished() {
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
