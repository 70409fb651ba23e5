//! The declarations in a source's header.

use image::ImageFormat;
use image::metadata::Orientation;

/// The memory that a decoder may use beside the pixels: for its tables, a row of pixels, and metadata such as colour profiles,
/// which may be compressed and therefore be decompression bombs.
pub(super) const DECODER_BYTES: u64 = 16 * 1024 * 1024;

/// The declarations in a source's header, before any of its pixels is decoded.
pub(crate) struct Header {
    pub(crate) format: ImageFormat,
    /// The width in pixels, in the stored orientation.
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) has_alpha: bool,
    /// True if the source has sixteen bits a channel.
    pub(crate) is_sixteen_bits: bool,
    /// The largest memory while it is decoded, including its pixels, without the bytes of the source.
    pub(crate) decoder_bytes: u64,
    /// The rotation that makes the image upright.
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
