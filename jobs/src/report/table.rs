//! The report for programs: a CSV file with one line for each group, ordered by name.

use std::borrow::Cow;

use super::number::{mean, written};
use super::summary::Summary;
use crate::settings::Formulas;

/// The columns of each group after its name.
pub(super) const MEASURES: [&str; 5] = ["count", "sum", "min", "max", "mean"];

/// The first characters of formulas, including the full-width ones of East Asian keyboards.
const FORMULA_SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Returns the whole file. It depends only on the source, so a second attempt writes the same bytes.
pub(super) fn csv(summary: &Summary, formulas: Formulas) -> String {
    let mut text = line(&cell(&summary.group_by, formulas), &MEASURES.map(str::to_owned));
    for (name, total) in summary.totals.iter() {
        let measures = [
            total.count.to_string(),
            written(total.sum, summary.decimals),
            written(total.min.into(), summary.decimals),
            written(total.max.into(), summary.decimals),
            mean(total.sum, total.count, summary.decimals),
        ];
        text.push_str(&line(&cell(name, formulas), &measures));
    }
    text
}

fn line(name: &str, measures: &[String; 5]) -> String {
    format!("{},{}\n", quoted(name), measures.join(","))
}

/// Makes a name safe for a spreadsheet, which would execute a cell that begins like a formula. See [CSV
/// injection](https://owasp.org/www-community/attacks/CSV_Injection).
fn cell(name: &str, formulas: Formulas) -> Cow<'_, str> {
    // Some programs skip white space and byte order marks at the beginning of a cell.
    let begins = name.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_formula = begins.starts_with(FORMULA_SIGNS) || name.starts_with(['\t', '\r', '\n']);
    if formulas == Formulas::Keep || !is_formula || is_plain_number(name) {
        name.into()
    } else {
        format!("'{name}").into()
    }
}

/// Returns true for an optional sign, digits, and an optional fraction, such as `-12.50`.
fn is_plain_number(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let size = name.strip_prefix(['-', '+']).unwrap_or(name);
    size.split_once('.').map_or_else(|| digits(size), |(whole, fraction)| digits(whole) && digits(fraction))
}

/// Puts a name into quotes if it would otherwise be parsed differently.
fn quoted(name: &str) -> String {
    let plain =
        !name.contains([',', '"', '\n', '\r']) && name.trim() == name && !name.starts_with('\u{feff}');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_for_each_group() {
        let mut summary = Summary::new("who, where".into(), "n".into());
        summary.decimals = 1;
        for (name, value) in
            [("b", 1_500_000), ("a \"x\"", -100_000), ("b", 2_000_000), ("", 0), (" é", 0), ("two\nlines", 0)]
        {
            summary.totals.add(name, value).unwrap();
        }
        let expected = "\"who, where\",count,sum,min,max,mean\n\
                        ,1,0.0,0.0,0.0,0.000\n\
                        \" é\",1,0.0,0.0,0.0,0.000\n\
                        \"a \"\"x\"\"\",1,-0.1,-0.1,-0.1,-0.100\n\
                        b,2,3.5,1.5,2.0,1.750\n\
                        \"two\nlines\",1,0.0,0.0,0.0,0.000\n";
        assert_eq!(csv(&summary, Formulas::Escape), expected);
    }

    #[test]
    fn a_name_that_a_spreadsheet_would_run_becomes_text() {
        for (name, written) in [
            ("=1+1", "'=1+1"),
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+1+1", "'+1+1"),
            ("-1+1", "'-1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\t=1", "'\t=1"),
            ("\tx", "'\tx"),
            ("\r=1", "\"'\r=1\""),
            ("\n=1", "\"'\n=1\""),
            (" =1", "' =1"),
            ("\u{feff}=1", "'\u{feff}=1"),
            ("+49 30 1234", "'+49 30 1234"),
            ("-12.5.0", "'-12.5.0"),
            ("-", "'-"),
            ("-1e3", "'-1e3"),
            ("-12.50", "-12.50"),
            ("+7", "+7"),
            ("1=1", "1=1"),
            ("'x", "'x"),
            ("Germany", "Germany"),
            ("", ""),
        ] {
            assert_eq!(quoted(&cell(name, Formulas::Escape)), written, "{name:?}");
            assert_eq!(quoted(&cell(name, Formulas::Keep)), quoted(name), "{name:?}");
        }
        let mut summary = Summary::new("=who".into(), "n".into());
        summary.totals.add("@a", -1_000_000).unwrap();
        assert_eq!(csv(&summary, Formulas::Escape), "'=who,count,sum,min,max,mean\n'@a,1,-1,-1,-1,-1.00\n");
        assert_eq!(csv(&summary, Formulas::Keep), "=who,count,sum,min,max,mean\n@a,1,-1,-1,-1,-1.00\n");
    }
}
