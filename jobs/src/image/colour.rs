//! Converts colours to those that a viewer expects.
//!
//! A phone's photo has its own colour space, which a profile describes. Outputs have no profile and are therefore read as sRGB:
//! without a conversion they would look pale.

use std::sync::Arc;

use drumline::{Failure, OrReject};
use image::DynamicImage;
use moxcms::{ColorProfile, DataColorSpace, Layout, Transform8BitExecutor, TransformOptions};

/// A conversion from a source's colours to sRGB.
pub(crate) struct ToSrgb(Arc<Transform8BitExecutor>);

impl ToSrgb {
    /// Returns `None` if the profile is not an RGB profile (a CMYK photo, whose pixels the decoder has already converted), or
    /// if it is damaged: a viewer would not use it either.
    pub(crate) fn from_profile(profile: &[u8], has_alpha: bool) -> Option<Self> {
        let layout = if has_alpha { Layout::Rgba } else { Layout::Rgb };
        let source = match ColorProfile::new_from_slice(profile) {
            Ok(source) if source.color_space == DataColorSpace::Rgb => source,
            Ok(_) => return None,
            Err(error) => {
                tracing::debug!(%error, "the source's colour profile can't be read; it is taken as sRGB");
                return None;
            }
        };
        let transform = source.create_transform_8bit(
            layout,
            &ColorProfile::new_srgb(),
            layout,
            TransformOptions::default(),
        );
        transform
            .inspect_err(|error| tracing::debug!(%error, "the source's colour profile can't be used"))
            .ok()
            .map(Self)
    }

    /// Converts an image that has the channels of the conversion.
    pub(crate) fn apply(&self, pixels: &DynamicImage) -> Result<DynamicImage, Failure> {
        let mut converted = DynamicImage::new(pixels.width(), pixels.height(), pixels.color());
        let target = match &mut converted {
            DynamicImage::ImageRgb8(image) => &mut **image,
            DynamicImage::ImageRgba8(image) => &mut **image,
            other => {
                unreachable!("sources are decoded to eight bits of RGB or RGBA, not {:?}", other.color())
            }
        };
        self.0.transform(pixels.as_bytes(), target).or_reject()?;
        Ok(converted)
    }
}
