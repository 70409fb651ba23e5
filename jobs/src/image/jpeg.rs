//! The memory of a JPEG's decoder, calculated from the JPEG's header.

/// Returns the bytes of coefficients that the decoder keeps until all scans are read: none if one scan contains everything.
///
/// Returns `None` if the header is not understood; the decoder then reports the reason.
pub(super) fn coefficient_bytes(bytes: &[u8]) -> Option<u64> {
    let mut at = 2;
    let mut frame: Option<Frame> = None;
    loop {
        // Any number of 0xFF bytes may precede a marker.
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        if matches!(marker, 0x00 | 0x01 | 0xD0..=0xD8) {
            continue;
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
        let segment = bytes.get(at + 2..at + length)?;
        at += length;
        match marker {
            // Frame markers; the numbers between them belong to tables.
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => frame = Frame::read(marker, segment),
            0xDA => return frame.map(|frame| frame.kept(segment.first().copied().unwrap_or_default())),
            0xD9 => return None,
            _ => {}
        }
    }
}

struct Frame {
    is_progressive: bool,
    components: u8,
    /// The bytes of the coefficients of all components, sixteen bits each.
    coefficients: u64,
}

impl Frame {
    fn read(marker: u8, segment: &[u8]) -> Option<Self> {
        let (head, rest) = segment.split_first_chunk::<6>()?;
        let side = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low]));
        let (height, width, components) = (side(head[1], head[2]), side(head[3], head[4]), head[5]);
        let sampling: Vec<(u64, u64)> = rest
            .as_chunks::<3>()
            .0
            .iter()
            .take(components.into())
            .map(|&[_, factors, _]| (u64::from(factors >> 4).max(1), u64::from(factors & 15).max(1)))
            .collect();
        let most = |pick: fn(&(u64, u64)) -> u64| sampling.iter().map(pick).max();
        let (widest, highest) = (most(|one| one.0)?, most(|one| one.1)?);
        // An interleaved unit has eight pixels a side for each sample.
        let units = width.div_ceil(8 * widest) * height.div_ceil(8 * highest);
        let coefficients = units * 64 * sampling.iter().map(|(across, down)| across * down).sum::<u64>();
        Some(Self { is_progressive: marker == 0xC2, components, coefficients })
    }

    /// Returns the bytes to keep: if the first scan lacks components, others follow.
    fn kept(&self, in_first_scan: u8) -> u64 {
        if self.is_progressive || in_first_scan < self.components { self.coefficients * 2 } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a JPEG header of 100 by 50 pixels with three components, the first of which is sampled by `factors`.
    fn header(frame: u8, factors: u8, in_scan: u8) -> Vec<u8> {
        let mut bytes =
            vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF, frame, 0, 17, 8, 0, 50, 0, 100, 3];
        bytes.extend([1, factors, 0, 2, 0x11, 0, 3, 0x11, 0]);
        bytes.extend([0xFF, 0xDA, 0, 3, in_scan]);
        bytes
    }

    #[test]
    fn coefficients_are_kept_for_later_scans() {
        // 13 by 7 blocks of 64; with 4:2:0, 7 by 4 units of six blocks.
        let (all, subsampled) = (13 * 7 * 64 * 3 * 2, 7 * 4 * 64 * 6 * 2);
        for (frame, factors, in_scan, expected) in [
            (0xC0, 0x11, 3, Some(0)),
            (0xC1, 0x22, 3, Some(0)),
            (0xC2, 0x11, 3, Some(all)),
            (0xC2, 0x22, 3, Some(subsampled)),
            (0xC0, 0x11, 1, Some(all)),
            // Without a frame.
            (0xC4, 0x11, 3, None),
        ] {
            let bytes = header(frame, factors, in_scan);
            assert_eq!(coefficient_bytes(&bytes), expected, "{frame:x} {factors:x} {in_scan}");
            for end in 0..bytes.len() - 1 {
                assert_eq!(coefficient_bytes(&bytes[..end]), None, "{end}");
            }
        }
    }
}
