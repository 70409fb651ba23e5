//! The report for programs: a CSV file, one line to each group, by name.

use super::number::{mean, written};
use super::summary::Summary;

/// What is told of each group, after its name.
pub(super) const MEASURES: [&str; 5] = ["count", "sum", "min", "max", "mean"];

/// The whole file. It depends on nothing but the source, so that a second attempt writes the same bytes.
pub(super) fn csv(summary: &Summary) -> String {
    let mut text = line(&summary.group_by, &MEASURES.map(str::to_owned));
    for (name, total) in summary.totals.iter() {
        let measures = [
            total.count.to_string(),
            written(total.sum, summary.decimals),
            written(total.min.into(), summary.decimals),
            written(total.max.into(), summary.decimals),
            mean(total.sum, total.count, summary.decimals),
        ];
        text.push_str(&line(name, &measures));
    }
    text
}

fn line(name: &str, measures: &[String; 5]) -> String {
    format!("{},{}\n", quoted(name), measures.join(","))
}

/// A name that would otherwise be read as something else, or not come back as it was, is put in quotes.
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
        assert_eq!(csv(&summary), expected);
    }
}
