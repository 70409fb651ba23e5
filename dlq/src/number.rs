//! JSON numbers by their exact values.

/// The value of a JSON number. A float would not be exact.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Number {
    is_negative: bool,
    /// The digits without zeros at either end; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Number {
    /// Reads a number in JSON's form.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim_ascii();
        let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let exponent: i64 = exponent.parse().ok()?;
        let significant = digits.trim_end_matches('0');
        let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
        let digits = significant.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits, exponent: 0 });
        }
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(zeros)?;
        Some(Self { is_negative, digits, exponent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value() {
        let table = [("0", "-0.0e9"), ("10", "1e1"), ("0.10", "1e-1"), ("1200", "12e2"), ("-1.0", "-1")];
        for (one, other) in table {
            assert_eq!(Number::read(one), Number::read(other), "{one} {other}");
        }
        assert_ne!(Number::read("1"), Number::read("-1"));
    }
}
