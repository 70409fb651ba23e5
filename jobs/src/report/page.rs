//! The report for people: one self-contained HTML page with a chart and a table.

use std::cmp::Reverse;

use drumline::Failure;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::number::{mean, written};
use super::payload::ReportGenerate;
use super::summary::Summary;
use super::table::MEASURES;
use super::totals::Total;

/// The largest number of bars in the chart: people cannot compare more by eye. The table contains all groups.
const MAX_BARS: usize = 30;

/// The height of a bar with its text, in CSS pixels.
const BAR_HEIGHT: usize = 44;

/// The longest label of a bar, in characters: it fits beside a number on a phone's screen.
const MAX_LABEL: usize = 22;

/// The full width of a bar, in hundredths of a percent.
const FULL_WIDTH: i128 = 10_000;

const TEMPLATE: &str = include_str!("page.html");

/// The values for the template.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    source: String,
    group_by: &'a str,
    value: &'a str,
    records: String,
    groups: String,
    /// The height of the chart, in CSS pixels.
    height: usize,
    /// True if there are more groups than bars.
    shortened: bool,
    bars: Vec<Bar>,
    measures: [&'static str; 5],
    rows: Vec<Row>,
    /// The totals of all groups, if there are any.
    all: Option<Row>,
}

/// A line of the table.
#[derive(Serialize)]
struct Row {
    name: String,
    count: String,
    /// The measures after the count.
    numbers: [String; 4],
}

/// A bar of the chart. Widths are in percent, so that the text beside it stays legible at any size.
#[derive(Serialize)]
struct Bar {
    name: String,
    label: String,
    sum: String,
    top: usize,
    left: String,
    width: String,
    negative: bool,
}

/// Returns the whole page. Like the CSV file, it depends only on the job and the source.
pub(super) fn html(job: &ReportGenerate, summary: &Summary) -> Result<String, Failure> {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::Html);
    let template = templates.template_from_str(TEMPLATE)?;
    let bars = bars(summary);
    let row = |name: &str, total| row(name, total, summary.decimals);
    let page = Page {
        title: &job.title,
        source: job.source.short(),
        group_by: &summary.group_by,
        value: &summary.value,
        records: grouped(&summary.records.to_string()),
        groups: grouped(&summary.totals.len().to_string()),
        height: bars.len() * BAR_HEIGHT,
        shortened: bars.len() < summary.totals.len(),
        bars,
        measures: MEASURES,
        rows: summary.totals.iter().map(|(name, total)| row(name, total)).collect(),
        all: summary.totals.iter().map(|(_, total)| total).reduce(Total::and).map(|total| row("All", total)),
    };
    Ok(template.render(Serde(page))?)
}

fn row(name: &str, total: Total, decimals: u8) -> Row {
    let numbers = [
        written(total.sum, decimals),
        written(total.min.into(), decimals),
        written(total.max.into(), decimals),
        mean(total.sum, total.count, decimals),
    ];
    Row {
        name: shown(name),
        count: grouped(&total.count.to_string()),
        numbers: numbers.map(|number| grouped(&number)),
    }
}

/// Returns the largest sums in descending order; equal sums are ordered by name.
fn bars(summary: &Summary) -> Vec<Bar> {
    let mut sums: Vec<(&str, i128)> = summary.totals.iter().map(|(name, total)| (name, total.sum)).collect();
    sums.sort_by_key(|&(_, sum)| Reverse(sum.unsigned_abs()));
    sums.truncate(MAX_BARS);
    sums.sort_by(|(a, x), (b, y)| y.cmp(x).then(a.cmp(b)));

    // All bars begin at zero, which is between the smallest and the largest sum.
    let lowest = sums.iter().map(|&(_, sum)| sum).fold(0, i128::min);
    let highest = sums.iter().map(|&(_, sum)| sum).fold(0, i128::max);
    let share = |part: i128| part * FULL_WIDTH / (highest - lowest).max(1);
    let bar = |(place, &(name, sum)): (usize, &(&str, i128))| Bar {
        name: shown(name),
        label: label(&shown(name)),
        sum: grouped(&written(sum, summary.decimals)),
        top: place * BAR_HEIGHT,
        left: per_cent(share(sum.min(0) - lowest)),
        width: per_cent(share(sum.abs())),
        negative: sum < 0,
    };
    sums.iter().enumerate().map(bar).collect()
}

fn shown(name: &str) -> String {
    if name.trim().is_empty() { "(empty)".to_owned() } else { name.to_owned() }
}

fn label(name: &str) -> String {
    if name.chars().nth(MAX_LABEL).is_none() {
        return name.to_owned();
    }
    let short: String = name.chars().take(MAX_LABEL - 1).collect();
    short.trim_end().to_owned() + "…"
}

fn per_cent(hundredths: i128) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// Formats `1234567.8` as `1,234,567.8`.
fn grouped(number: &str) -> String {
    let (sign, size) = number.strip_prefix('-').map_or(("", number), |size| ("\u{2212}", size));
    let (whole, fraction) = size.split_at(size.find('.').unwrap_or(size.len()));
    let mut text = sign.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
