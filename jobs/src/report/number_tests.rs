#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

#[test]
fn numbers_are_read_exactly() {
    for (text, millionths, decimals) in [
        ("0", 0, 0),
        ("-0.0", 0, 1),
        ("1234.56", 1_234_560_000, 2),
        (" 7 ", 7_000_000, 0),
        ("-7.5", -7_500_000, 1),
        ("+.5", 500_000, 1),
        ("3.", 3_000_000, 0),
        ("0.000001", 1, 6),
        ("1.1000000000", 1_100_000, 6),
        ("000000000000000123", 123_000_000, 0),
        ("999999999999.999999", 999_999_999_999_999_999, 6),
        ("-999999999999.999999", -999_999_999_999_999_999, 6),
    ] {
        assert_eq!(Number::parse(text.as_bytes()), Ok(Number { millionths, decimals }), "{text}");
    }
}

#[test]
fn a_text_that_is_no_number_has_an_explaining_error() {
    for text in ["", " ", ".", "-", "abc", "1,5", "1 000", "1e3", "--1", "1.2.3", "0x1", "NaN", "٣", "1-"] {
        assert_eq!(Number::parse(text.as_bytes()), Err(NoNumber::NotANumber), "{text}");
    }
    assert_eq!(Number::parse(b"1000000000000"), Err(NoNumber::TooLarge));
    assert_eq!(Number::parse(b"0.0000001"), Err(NoNumber::TooFine));
}

#[test]
fn sums_are_written_with_the_columns_decimals() {
    for (millionths, decimals, text) in [
        (0, 0, "0"),
        (0, 2, "0.00"),
        (1_234_560_000, 2, "1234.56"),
        (-500_000, 1, "-0.5"),
        (1, 6, "0.000001"),
        (-7_000_000, 0, "-7"),
    ] {
        assert_eq!(written(millionths, decimals), text);
    }
}

#[test]
fn means_are_rounded_half_away_from_zero() {
    for (sum, count, decimals, text) in [
        (10_000_000, 3, 0, "3.33"),
        (-10_000_000, 3, 0, "-3.33"),
        (10_000_000, 3, 2, "3.3333"),
        (10_000_000, 3, 6, "3.33333333"),
        (20_000_000, 3, 4, "6.666667"),
        (5_000, 1, 0, "0.01"),
        (-5_000, 1, 0, "-0.01"),
        (4_999, 1, 0, "0.00"),
        (-4_999, 1, 0, "0.00"),
        (0, 0, 0, "0.00"),
        // More values than any object has bytes, each as large as possible.
        (999_999_999_999_999_999 * (1_i128 << 45), 1 << 45, 6, "999999999999.99999900"),
    ] {
        assert_eq!(mean(sum, count, decimals), text, "{sum} / {count}");
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written(millionths in -999_999_999_999_999_999_i64..=999_999_999_999_999_999) {
        let text = written(millionths.into(), 6);
        prop_assert_eq!(Number::parse(text.as_bytes()), Ok(Number { millionths, decimals: 6 }));
    }

    #[test]
    fn a_mean_lies_between(values in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 1..50)) {
        let sum: i128 = values.iter().map(|&value| i128::from(value)).sum();
        let mean = mean(sum, values.len() as u64, 4);
        let mean = Number::parse(mean.as_bytes()).unwrap().millionths;
        prop_assert!((*values.iter().min().unwrap()..=*values.iter().max().unwrap()).contains(&mean));
    }
}
