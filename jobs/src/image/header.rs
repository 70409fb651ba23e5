//! The claims of a source's header.

use image::ImageFormat;
use image::metadata::Orientation;

/// What a decoder may take beside the pixels: for its tables, a row of pixels, and metadata such as colour profiles,
/// which may be compressed and so be bombs of their own.
pub(super) const DECODER_BYTES: u64 = 16 * 1024 * 1024;

/// The claims of a source's header, before any of its pixels is decoded.
pub(crate) struct Header {
    pub(crate) format: ImageFormat,
    /// In pixels, as stored: not yet turned.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) has_alpha: bool,
    /// Sixteen bits a channel in the source.
    pub(crate) is_sixteen_bits: bool,
    /// The most that is held while it is decoded, with its pixels, and without the bytes of the source.
    pub(crate) decoder_bytes: u64,
    /// How it has to be turned to stand upright.
    pub(crate) orientation: Orientation,
    /// The colour profile, if it has one.
    pub(crate) profile: Option<Vec<u8>>,
}

impl Header {
    /// Returns the bytes of a decoded pixel: eight bits a channel, RGB or RGBA.
    pub(crate) fn channels(&self) -> u64 {
        if self.has_alpha { 4 } else { 3 }
    }

    /// Returns the bytes of all decoded pixels.
    pub(crate) fn pixel_bytes(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height) * self.channels()
    }
}
