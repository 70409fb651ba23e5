//! Compressed bodies: base64 of gzip or zstd.

use std::borrow::Cow;
use std::io::{self, Read, Write as _};
use std::panic::{self, UnwindSafe};

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use drumline::core::panic_text;
use drumline::message::ContentEncoding;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

/// Base64 with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The beginnings of compressed bodies. No base64 text begins with one of them.
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// The maximum memory that a zstd frame may request: the amount that decoders are expected to have. Its levels up to 19 need no
/// more. See [RFC 8878, window descriptor](https://www.rfc-editor.org/rfc/rfc8878.html#name-window-descriptor).
const MAX_ZSTD_WINDOW: u64 = 8 * 1024 * 1024;

/// Compresses a body, and returns the base64 of it.
///
/// ```
/// use drumline::message::ContentEncoding;
/// use drumline_runtime::payload::{compress, decompress};
///
/// let body = r#"{"type":"report","payload":{}}"#;
/// let compressed = compress(ContentEncoding::Gzip, body);
/// assert_eq!(decompress(ContentEncoding::Gzip, compressed.as_bytes(), 1_000).as_deref(), Ok(body));
/// ```
pub fn compress(encoding: ContentEncoding, body: &str) -> String {
    let compressed = match encoding {
        ContentEncoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            let written = encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish());
            written.expect("writing to memory does not fail")
        }
        ContentEncoding::Zstd => compress_to_vec(body.as_bytes(), CompressionLevel::Fastest),
    };
    STANDARD.encode(compressed)
}

/// Decompresses a body: base64, or the compressed bytes themselves, which an object may contain. Stops at `max_bytes` of the
/// decompressed body.
///
/// # Errors
/// The reason why there is no such body, as a text that follows its name.
pub fn decompress(encoding: ContentEncoding, stored: &[u8], max_bytes: usize) -> Result<String, String> {
    let name = encoding.label();
    let compressed = compressed_bytes(encoding, stored)?;
    let decoded = catching(|| match encoding {
        ContentEncoding::Gzip => read_bounded(MultiGzDecoder::new(&*compressed), Vec::new(), max_bytes),
        ContentEncoding::Zstd => read_zstd(&compressed, max_bytes),
    });
    let decoded = decoded.map_err(|error| format!("is not {name} as its contentEncoding says: {error}"))?;
    let Some(decoded) = decoded else {
        return Err(format!(
            "is larger than DRUMLINE_MAX_PAYLOAD_SIZE ({max_bytes} bytes) once it is decompressed"
        ));
    };
    String::from_utf8(decoded).map_err(|_| "is not UTF-8 once it is decompressed".to_owned())
}

/// Returns a panic of `decode` as its error: the zstd decoder asserts some of its input, which a producer writes.
fn catching<T>(decode: impl FnOnce() -> io::Result<T> + UnwindSafe) -> io::Result<T> {
    panic::catch_unwind(decode).unwrap_or_else(|panic| {
        Err(io::Error::other(panic_text(&*panic).unwrap_or("its decoder panicked").to_owned()))
    })
}

fn compressed_bytes(encoding: ContentEncoding, stored: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let magic = match encoding {
        ContentEncoding::Gzip => GZIP_MAGIC,
        ContentEncoding::Zstd => ZSTD_MAGIC,
    };
    if stored.starts_with(magic) {
        return Ok(Cow::Borrowed(stored));
    }
    let decoded = BASE64.decode(stored.trim_ascii());
    decoded.map(Cow::Owned).map_err(|error| {
        format!("is not base64, which the contentEncoding {} asks for: {error}", encoding.label())
    })
}

/// Reads the rest after `decoded`; `None` if it is more than `max_bytes` in all.
fn read_bounded(reader: impl Read, mut decoded: Vec<u8>, max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let room = max_bytes.saturating_sub(decoded.len()) as u64;
    reader.take(room + 1).read_to_end(&mut decoded)?;
    Ok((decoded.len() <= max_bytes).then_some(decoded))
}

/// Reads consecutive frames of zstd.
fn read_zstd(mut source: &[u8], max_bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let mut decoded = Vec::new();
    loop {
        let frame = StreamingDecoder::new_with_max_window_size(&mut source, MAX_ZSTD_WINDOW);
        let mut frame = frame.map_err(io::Error::other)?;
        match read_bounded(&mut frame, decoded, max_bytes)? {
            Some(more) => decoded = more,
            None => return Ok(None),
        }
        let ended = frame.into_frame_decoder();
        let checksum = ended.get_checksum_from_data();
        if checksum.is_some() && checksum != ended.get_calculated_checksum() {
            return Err(io::Error::other("its checksum is wrong"));
        }
        if source.is_empty() {
            return Ok(Some(decoded));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 100_000;

    proptest! {
        #[test]
        fn what_is_compressed_is_read_again(
            body in prop_oneof!["[a-c]{0,3000}", "\\PC{0,300}", "(\\PC{1,20})", "(abcdefgh){0,400}"],
            times in 1usize..8,
        ) {
            let body = body.repeat(times);
            for encoding in ContentEncoding::ALL {
                let stored = compress(encoding, &body);
                prop_assert!(stored.is_ascii());
                let read = decompress(encoding, stored.as_bytes(), MAX);
                prop_assert_eq!(read.as_deref(), Ok(&*body));
                let raw = STANDARD.decode(&stored).unwrap();
                let read = decompress(encoding, &raw, MAX);
                prop_assert_eq!(read.as_deref(), Ok(&*body));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3_000))]

        #[test]
        fn damaged_frames_never_panic(
            body in prop_oneof!["[a-c]{0,3000}", "\\PC{0,300}", "(abcdefgh){0,400}"],
            flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6),
            cut in prop::option::of(any::<prop::sample::Index>()),
        ) {
            for encoding in ContentEncoding::ALL {
                let mut frame = STANDARD.decode(compress(encoding, &body)).unwrap();
                for (index, bit) in &flips {
                    let index = index.index(frame.len());
                    frame[index] ^= 1 << bit;
                }
                if let Some(cut) = &cut {
                    frame.truncate(cut.index(frame.len()));
                }
                // Encoded as base64, so that a damaged beginning reaches the decoder.
                let read = decompress(encoding, STANDARD.encode(&frame).as_bytes(), MAX);
                prop_assert!(read.is_err() || read.is_ok_and(|text| text.len() <= MAX));
            }
        }
    }

    /// Output of the reference implementations: `printf ... | gzip -n | base64`, and the same of zstd with a checksum.
    #[test]
    fn other_programs_are_read() {
        let text = r#"{"type":"greet","payload":{"name":"Ann"}}"#;
        let table = [
            (
                ContentEncoding::Gzip,
                "H4sIAAAAAAAAA6tWKqksSFWyUkovSk0tUdJRKkiszMlPTFGyqlbKS8wFyTjm5SnV1gIAuJ3RBykAAAA=",
            ),
            (
                ContentEncoding::Zstd,
                "KLUv/QRYSQEAeyJ0eXBlIjoiZ3JlZXQiLCJwYXlsb2FkIjp7Im5hbWUiOiJBbm4ifX0QzY9I",
            ),
        ];
        for (encoding, stored) in table {
            for stored in [stored, stored.trim_end_matches('='), &format!(" {stored}\n")] {
                assert_eq!(decompress(encoding, stored.as_bytes(), MAX).as_deref(), Ok(text), "{stored}");
            }
        }
    }

    #[test]
    fn several_members_are_one_body() {
        for encoding in ContentEncoding::ALL {
            let part = |text: &str| STANDARD.decode(compress(encoding, text)).unwrap();
            let both = [part("one, "), part("two")].concat();
            assert_eq!(decompress(encoding, &both, MAX).as_deref(), Ok("one, two"), "{encoding:?}");
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        for encoding in ContentEncoding::ALL {
            let stored = compress(encoding, &"0".repeat(50_000_000));
            assert!(stored.len() < 100_000, "{encoding:?}: {}", stored.len());
            let error = decompress(encoding, stored.as_bytes(), MAX).unwrap_err();
            assert!(error.contains("DRUMLINE_MAX_PAYLOAD_SIZE (100000 bytes)"), "{error}");
            let stored = compress(encoding, &"0".repeat(MAX));
            assert_eq!(decompress(encoding, stored.as_bytes(), MAX).map(|text| text.len()), Ok(MAX));
        }
        // A frame that requests a window of 1 GiB.
        let greedy = [ZSTD_MAGIC, &[0x00, 0xA0, 0x01, 0x00, 0x00]].concat();
        let error = decompress(ContentEncoding::Zstd, &greedy, MAX).unwrap_err();
        assert!(error.starts_with("is not zstd"), "{error}");
    }

    #[test]
    fn a_panic_of_a_decoder_is_an_error() {
        let error = catching::<()>(|| panic!("a bad code")).unwrap_err();
        assert_eq!(error.to_string(), "a bad code");
    }

    #[test]
    fn damaged_bodies_are_errors() {
        for encoding in ContentEncoding::ALL {
            let name = encoding.label();
            let whole = STANDARD.decode(compress(encoding, &"some text ".repeat(50))).unwrap();
            let cut = STANDARD.encode(&whole[..whole.len() - 5]);
            let mut changed = whole.clone();
            let last = changed.len() - 1;
            changed[last] ^= 1;
            let table = [
                ("***".to_owned(), "is not base64"),
                (r#"{"type":"a"}"#.to_owned(), "is not base64"),
                (STANDARD.encode("plain"), "is not "),
                (String::new(), "is not "),
                (cut, "is not "),
                (STANDARD.encode(changed), "is not "),
                (compress(encoding, "")[..4].to_owned(), "is not "),
            ];
            for (stored, says) in table {
                let error = decompress(encoding, stored.as_bytes(), MAX).unwrap_err();
                assert!(error.starts_with(says) && error.contains(name), "{stored}: {error}");
            }
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&[0xff, 0xfe]).unwrap();
        let error = decompress(ContentEncoding::Gzip, &encoder.finish().unwrap(), MAX).unwrap_err();
        assert!(error.starts_with("is not UTF-8"), "{error}");
    }
}
