//! The limits of source images, and of the memory for decoded ones.

use std::num::NonZeroU64;

use super::reader::Reader;
use super::variables::{IMAGE_MEMORY, MAX_PIXELS, MAX_SOURCE_BYTES};

/// 100 megapixels: more than any common camera has. Decoded, that is 300 to 400 MB.
const DEFAULT_MAX_PIXELS: NonZeroU64 = NonZeroU64::new(100_000_000).expect("not zero");

/// 32 MiB: a JPEG of 100 megapixels fits.
const DEFAULT_MAX_SOURCE_BYTES: NonZeroU64 = NonZeroU64::new(32 * 1024 * 1024).expect("not zero");

/// 512 MiB: enough for a source with the most pixels and four channels, and for small outputs.
const DEFAULT_IMAGE_MEMORY: u64 = 512 * 1024 * 1024;

/// The least memory for images: less would not even hold a decoder's tables and a thumbnail.
const MIN_IMAGE_MEMORY: u64 = 32 * 1024 * 1024;

/// The most memory for images: far more than any machine has.
const MAX_IMAGE_MEMORY: u64 = 1024 * 1024 * 1024 * 1024;

/// The limits of source images.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ImageLimits {
    pub(crate) pixels: u64,
    pub(crate) source_bytes: u64,
    /// The memory of all decoded images together.
    pub(crate) memory: u64,
}

impl ImageLimits {
    pub(super) const DEFAULT: Self = Self {
        pixels: DEFAULT_MAX_PIXELS.get(),
        source_bytes: DEFAULT_MAX_SOURCE_BYTES.get(),
        memory: DEFAULT_IMAGE_MEMORY,
    };

    pub(super) fn read(read: &mut Reader<impl Fn(&str) -> Option<String>>) -> Self {
        let pixels = read.count(MAX_PIXELS, DEFAULT_MAX_PIXELS);
        let source_bytes = read.count(MAX_SOURCE_BYTES, DEFAULT_MAX_SOURCE_BYTES);
        let memory = read.within(IMAGE_MEMORY, DEFAULT_IMAGE_MEMORY, MIN_IMAGE_MEMORY..=MAX_IMAGE_MEMORY);
        Self { pixels, source_bytes, memory }
    }
}
