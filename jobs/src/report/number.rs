//! Exact decimal numbers: sums of cents have no rounding errors.
//!
//! A value has up to 12 digits before the decimal point and 6 after it: as a whole number of millionths it fits into 64 bits,
//! and the sum of more values than any source has bytes fits into 128 bits.

use std::fmt::Write;

/// The digits that a value may have before its decimal point.
const WHOLE_DIGITS: usize = 12;

/// The digits that a value may have after its decimal point.
const DECIMALS: usize = 6;

/// The number of additional decimals of a mean.
const MORE_DECIMALS_OF_MEANS: u8 = 2;

/// A value as it was written in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) millionths: i64,
    /// The digits after the decimal point, 0 to 6.
    pub(super) decimals: u8,
}

/// The reason why a field is not a value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoNumber {
    #[error("is not a number such as 1234.56")]
    NotANumber,
    #[error("has more than {WHOLE_DIGITS} digits before the decimal point")]
    TooLarge,
    #[error("has more than {DECIMALS} digits after the decimal point")]
    TooFine,
}

impl Number {
    /// Parses `1234.56`, `-7`, `+.5` or `3.`, with optional spaces around it. Exponents and thousands separators are not
    /// allowed: a comma has different meanings in different countries.
    pub(super) fn parse(field: &[u8]) -> Result<Self, NoNumber> {
        let text = field.trim_ascii();
        let (negative, digits) = match text.split_first() {
            Some((b'-', rest)) => (true, rest),
            Some((b'+', rest)) => (false, rest),
            _ => (false, text),
        };
        let point = digits.iter().position(|&byte| byte == b'.');
        let (whole, fraction) = match point {
            Some(point) => (&digits[..point], &digits[point + 1..]),
            None => (digits, &[][..]),
        };
        let mut all = whole.iter().chain(fraction);
        if whole.len() + fraction.len() == 0 || !all.all(u8::is_ascii_digit) {
            return Err(NoNumber::NotANumber);
        }
        let leading = whole.iter().take_while(|&&digit| digit == b'0').count();
        if whole.len() - leading > WHOLE_DIGITS {
            return Err(NoNumber::TooLarge);
        }
        if fraction.iter().skip(DECIMALS).any(|&digit| digit != b'0') {
            return Err(NoNumber::TooFine);
        }
        let fraction = &fraction[..fraction.len().min(DECIMALS)];
        let filled = fraction.iter().chain(std::iter::repeat(&b'0')).take(DECIMALS);
        let millionths =
            whole.iter().chain(filled).fold(0, |sum: i64, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(Self {
            millionths: if negative { -millionths } else { millionths },
            decimals: u8::try_from(fraction.len()).expect("at most six"),
        })
    }
}

/// Formats a number of millionths with this many decimals. No value had more.
pub(super) fn written(millionths: i128, decimals: u8) -> String {
    let too_fine = 10_i128.pow(u32::try_from(DECIMALS).expect("six") - u32::from(decimals));
    fixed(millionths / too_fine, decimals)
}

/// Formats the mean of `count` values with this many decimals, rounded to two more decimals, halves away from zero.
pub(super) fn mean(sum: i128, count: u64, decimals: u8) -> String {
    let decimals = decimals + MORE_DECIMALS_OF_MEANS;
    let all = u8::try_from(DECIMALS).expect("six");
    let ten = |power: u8| 10_i128.pow(u32::from(power));
    let (dividend, divisor) = if decimals >= all {
        (sum * ten(decimals - all), i128::from(count))
    } else {
        (sum, i128::from(count) * ten(all - decimals))
    };
    let divisor = divisor.max(1);
    let rounded = (dividend.abs() * 2 + divisor) / (divisor * 2);
    fixed(rounded * dividend.signum(), decimals)
}

fn fixed(units: i128, decimals: u8) -> String {
    let one = 10_u128.pow(u32::from(decimals));
    let (size, sign) = (units.unsigned_abs(), if units < 0 { "-" } else { "" });
    let mut text = format!("{sign}{}", size / one);
    if decimals > 0 {
        let width = usize::from(decimals);
        write!(text, ".{:0width$}", size % one).expect("a string takes all");
    }
    text
}

#[cfg(test)]
#[path = "number_tests.rs"]
mod tests;
