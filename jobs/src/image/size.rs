//! Calculates the size of an image.

use super::payload::Resize;

/// Returns the size in pixels of an image of `width` by `height` that is fitted into the box: it keeps its aspect ratio, is
/// never enlarged, and no side becomes less than one pixel.
pub(crate) fn fit_inside((width, height): (u32, u32), bounds: Resize) -> (u32, u32) {
    let (max_width, max_height) = (bounds.width.get(), bounds.height.get());
    if width <= max_width && height <= max_height {
        return (width, height);
    }
    // The limiting side: compares max_width / width with max_height / height, in whole numbers.
    let by_width = u64::from(max_width) * u64::from(height);
    let by_height = u64::from(max_height) * u64::from(width);
    if by_width <= by_height {
        (max_width, rounded(by_width, width))
    } else {
        (rounded(by_height, height), max_height)
    }
}

/// Returns `product / divisor`, rounded to the nearest whole number, at least one. The result never exceeds the other bound,
/// which is a whole number at or above the exact quotient.
fn rounded(product: u64, divisor: u32) -> u32 {
    let divisor = u64::from(divisor.max(1));
    let nearest = (product + divisor / 2) / divisor;
    u32::try_from(nearest.max(1)).expect("at most a bound, which is a u32")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fit(size: (u32, u32), width: u32, height: u32) -> (u32, u32) {
        let bounds = Resize { width: width.try_into().unwrap(), height: height.try_into().unwrap() };
        fit_inside(size, bounds)
    }

    #[test]
    fn images_fit_inside() {
        for (size, bounds, expected) in [
            ((1200, 800), (320, 240), (320, 213)),
            ((800, 1200), (320, 240), (160, 240)),
            ((640, 480), (320, 240), (320, 240)),
            ((1001, 333), (100, 100), (100, 33)),
            ((1000, 335), (100, 100), (100, 34)),
            ((3, 2), (2, 2), (2, 1)),
            // Never enlarged, even if only one side would fit.
            ((100, 50), (320, 240), (100, 50)),
            ((100, 50), (100, 50), (100, 50)),
            ((400, 50), (320, 240), (320, 40)),
            // Never less than a pixel.
            ((10_000, 1), (100, 100), (100, 1)),
            ((1, 10_000), (100, 100), (1, 100)),
            ((50, 50), (1, 1), (1, 1)),
            ((u32::MAX, u32::MAX), (u32::MAX - 1, u32::MAX), (u32::MAX - 1, u32::MAX - 1)),
        ] {
            assert_eq!(fit(size, bounds.0, bounds.1), expected, "{size:?} into {bounds:?}");
        }
    }

    #[test]
    fn every_small_size_stays_within_its_bounds_and_shape() {
        for (width, height) in (1..24).flat_map(|w| (1..24).map(move |h| (w, h))) {
            for (max_width, max_height) in (1..12).flat_map(|w| (1..12).map(move |h| (w, h))) {
                let (w, h) = fit((width, height), max_width, max_height);
                assert!(w >= 1 && h >= 1 && w <= max_width.min(width) && h <= max_height.min(height));
                // One side is exact; the other is within half a pixel, or has the minimum.
                let skew = (i64::from(w) * i64::from(height)).abs_diff(i64::from(h) * i64::from(width));
                assert!(
                    w == 1 || h == 1 || skew * 2 <= u64::from(width.max(height)),
                    "{width}x{height}: {w}x{h}"
                );
            }
        }
    }
}
