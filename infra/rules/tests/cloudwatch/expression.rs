//! Metric math over the minutes of an evaluation range: the operators and functions that the templates use, as
//! [the guide](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html) describes them.

use std::collections::BTreeMap;

/// One value or gap for each minute of the range, oldest first.
pub(crate) type Series = Vec<Option<f64>>;

/// The treatment of a minute at which only one of two series has a point, by arithmetic and `IF`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    /// The missing value is 0, as the guide says.
    IsZero,
    /// The result has no point at that minute.
    DropsPoint,
}

/// The answers to questions that the guide leaves open.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Math {
    pub(crate) gap: Gap,
    /// True if `FILL(series, number)` of a series without any point is the number at every minute, false if it stays empty.
    pub(crate) fills_empty_series: bool,
}

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Expression {
    Number(f64),
    Id(String),
    Operation(char, Box<Expression>, Box<Expression>),
    Call(String, Vec<Expression>),
    Array(Vec<Expression>),
}

/// A value while an expression is evaluated.
#[derive(Debug, Clone)]
enum Value {
    Number(f64),
    Series(Series),
    Array(Vec<Series>),
}

impl Expression {
    /// Parses an expression. Panics with its text if it uses a part that this model does not know.
    pub(crate) fn parse(text: &str) -> Self {
        let mut parser = Parser { text, rest: text };
        let expression = parser.comparison();
        assert!(parser.rest.trim().is_empty(), "{text}: unexpected {}", parser.rest);
        expression
    }

    /// Evaluates the expression to a series. `inputs` are the series of metrics and of other expressions by id.
    pub(crate) fn series(&self, inputs: &BTreeMap<String, Series>, math: Math) -> Series {
        match self.value(inputs, math) {
            Value::Series(series) => series,
            other => panic!("an expression must return one series, not {other:?}"),
        }
    }

    fn value(&self, inputs: &BTreeMap<String, Series>, math: Math) -> Value {
        match self {
            Self::Number(number) => Value::Number(*number),
            Self::Id(id) => Value::Series(inputs.get(id).unwrap_or_else(|| panic!("no id {id}")).clone()),
            Self::Array(items) => Value::Array(items.iter().map(|item| item.series(inputs, math)).collect()),
            Self::Operation(operator, left, right) => {
                operate(*operator, &left.value(inputs, math), &right.value(inputs, math), math)
            }
            Self::Call(name, arguments) => call(name, arguments, inputs, math),
        }
    }
}

/// Applies an operator. A division by zero drops the point.
fn operate(operator: char, left: &Value, right: &Value, math: Math) -> Value {
    let apply = |left: f64, right: f64| match operator {
        '+' => Some(left + right),
        '-' => Some(left - right),
        '*' => Some(left * right),
        '/' => (right != 0.0).then(|| left / right),
        '<' => Some(f64::from(left < right)),
        '>' => Some(f64::from(left > right)),
        'l' => Some(f64::from(left <= right)),
        'g' => Some(f64::from(left >= right)),
        other => panic!("operator {other}"),
    };
    let both = |pair: (&Option<f64>, &Option<f64>)| match (pair, math.gap) {
        ((Some(left), Some(right)), _) => apply(*left, *right),
        ((None, None), _) | (_, Gap::DropsPoint) => None,
        ((left, right), Gap::IsZero) => apply(left.unwrap_or(0.0), right.unwrap_or(0.0)),
    };
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Value::Number(apply(*left, *right).unwrap()),
        (Value::Series(left), Value::Number(right)) => {
            Value::Series(left.iter().map(|left| apply((*left)?, *right)).collect())
        }
        (Value::Number(left), Value::Series(right)) => {
            Value::Series(right.iter().map(|right| apply(*left, (*right)?)).collect())
        }
        (Value::Series(left), Value::Series(right)) => {
            Value::Series(left.iter().zip(right).map(both).collect())
        }
        _ => panic!("operator {operator} on an array"),
    }
}

fn call(name: &str, arguments: &[Expression], inputs: &BTreeMap<String, Series>, math: Math) -> Value {
    match (name, arguments) {
        ("FILL", [series, Expression::Id(repeat)]) if repeat == "REPEAT" => {
            Value::Series(repeat_last(&series.series(inputs, math)))
        }
        ("FILL", [series, Expression::Number(number)]) => {
            let series = series.series(inputs, math);
            let fills = math.fills_empty_series || series.iter().any(Option::is_some);
            Value::Series(series.iter().map(|point| point.or(fills.then_some(*number))).collect())
        }
        ("DIFF", [series]) => Value::Series(differences(&series.series(inputs, math))),
        ("IF", [condition, then]) => conditional(condition, then, None, inputs, math),
        ("IF", [condition, then, otherwise]) => conditional(condition, then, Some(otherwise), inputs, math),
        ("SUM", [array]) => aggregate(&array.value(inputs, math), |sum, point| sum + point),
        ("MAX", [array]) => aggregate(&array.value(inputs, math), f64::max),
        _ => panic!("{name} with {} arguments", arguments.len()),
    }
}

/// Repeats the last value before each gap. A gap at the beginning of the range stays, because no value precedes it.
fn repeat_last(series: &Series) -> Series {
    let mut last = None;
    series
        .iter()
        .map(|point| {
            last = point.or(last);
            last
        })
        .collect()
}

/// Returns the difference between each point and the one before it. The first one has none.
fn differences(series: &Series) -> Series {
    let difference = |index: usize| Some(series[index]? - series[index.checked_sub(1)?]?);
    (0..series.len()).map(difference).collect()
}

/// Evaluates `IF`. A minute without a condition is dropped, as the guide's tables show.
fn conditional(
    condition: &Expression,
    then: &Expression,
    otherwise: Option<&Expression>,
    inputs: &BTreeMap<String, Series>,
    math: Math,
) -> Value {
    let condition = condition.series(inputs, math);
    let then = then.value(inputs, math);
    let otherwise = otherwise.map(|otherwise| otherwise.value(inputs, math));
    let at = |value: &Value, minute: usize| match value {
        Value::Number(number) => Some(*number),
        Value::Series(series) => series[minute],
        Value::Array(_) => panic!("an array in IF"),
    };
    let points = condition.iter().enumerate().map(|(minute, condition)| {
        if (*condition)? == 0.0 {
            return at(otherwise.as_ref()?, minute);
        }
        at(&then, minute).or((math.gap == Gap::IsZero).then_some(0.0))
    });
    Value::Series(points.collect())
}

/// Aggregates the series of an array minute by minute. A series without a point at a minute contributes nothing.
fn aggregate(array: &Value, combine: impl Fn(f64, f64) -> f64) -> Value {
    let Value::Array(array) = array else { panic!("only arrays: of one series it would be a number") };
    let minutes = array.first().map_or(0, Vec::len);
    let at = |minute: usize| array.iter().filter_map(|series| series[minute]).reduce(&combine);
    Value::Series((0..minutes).map(at).collect())
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn takes(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn comparison(&mut self) -> Expression {
        let left = self.chain(&['+', '-'], |parser| parser.chain(&['*', '/'], Self::operand));
        for (token, operator) in [(">=", 'g'), ("<=", 'l'), ("<", '<'), (">", '>')] {
            if self.takes(token) {
                return Expression::Operation(operator, Box::new(left), Box::new(self.comparison()));
            }
        }
        left
    }

    fn chain(&mut self, operators: &[char], operand: impl Fn(&mut Self) -> Expression) -> Expression {
        let mut left = operand(self);
        while let Some(operator) = operators.iter().find(|operator| self.takes(&operator.to_string())) {
            left = Expression::Operation(*operator, Box::new(left), Box::new(operand(self)));
        }
        left
    }

    fn operand(&mut self) -> Expression {
        if self.takes("(") {
            let inner = self.comparison();
            assert!(self.takes(")"), "{}: a ) is missing", self.text);
            return inner;
        }
        if self.takes("[") {
            return Expression::Array(self.list("]"));
        }
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
        let end = self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        assert!(!word.is_empty(), "{}: nothing before {}", self.text, self.rest);
        self.rest = rest;
        if let Ok(number) = word.parse() {
            return Expression::Number(number);
        }
        if self.takes("(") {
            Expression::Call(word.to_owned(), self.list(")"))
        } else {
            Expression::Id(word.to_owned())
        }
    }

    fn list(&mut self, end: &str) -> Vec<Expression> {
        let mut items = vec![self.comparison()];
        while self.takes(",") {
            items.push(self.comparison());
        }
        assert!(self.takes(end), "{}: a {end} is missing", self.text);
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: Math = Math { gap: Gap::IsZero, fills_empty_series: true };
    const OTHER: Math = Math { gap: Gap::DropsPoint, fills_empty_series: false };

    fn series(text: &str, math: Math) -> Series {
        let inputs = [
            ("m1", vec![Some(1.0), Some(1.0), Some(0.0), Some(0.0), None]),
            ("m2", vec![Some(30.0), None, Some(0.0), Some(0.0), Some(30.0)]),
            ("m3", vec![Some(0.0), Some(0.0), Some(20.0), None, Some(20.0)]),
            ("none", vec![None; 5]),
        ];
        let inputs = inputs.map(|(id, points)| (id.to_owned(), points)).into();
        Expression::parse(text).series(&inputs, math)
    }

    #[test]
    fn the_guides_tables_of_if() {
        assert_eq!(series("IF(m1, m2, m3)", GUIDE), [Some(30.0), Some(0.0), Some(20.0), None, None]);
        assert_eq!(series("IF(m1, 5, m3)", GUIDE), [Some(5.0), Some(5.0), Some(20.0), None, None]);
        assert_eq!(series("IF(m1, m2, 5)", GUIDE), [Some(30.0), Some(0.0), Some(5.0), Some(5.0), None]);
        assert_eq!(series("IF(m1 > 0, m2)", OTHER), [Some(30.0), None, None, None, None]);
    }

    #[test]
    fn a_gap_is_zero_or_drops_the_point() {
        assert_eq!(series("m1 + m2", GUIDE), [Some(31.0), Some(1.0), Some(0.0), Some(0.0), Some(30.0)]);
        assert_eq!(series("m1 + m2", OTHER), [Some(31.0), None, Some(0.0), Some(0.0), None]);
        assert_eq!(series("2 * m1 - 1", OTHER), [Some(1.0), Some(1.0), Some(-1.0), Some(-1.0), None]);
        assert_eq!(series("m2 / m1", GUIDE), [Some(30.0), Some(0.0), None, None, None], "no division by 0");
    }

    #[test]
    fn arrays_are_summed_minute_by_minute() {
        for math in [GUIDE, OTHER] {
            let sum = [Some(31.0), Some(1.0), Some(0.0), Some(0.0), Some(30.0)];
            assert_eq!(series("SUM([m1, m2, none])", math), sum);
            assert_eq!(series("SUM([none, none])", math), [None; 5]);
        }
    }

    #[test]
    fn a_difference_needs_the_point_before() {
        assert_eq!(series("DIFF(m1)", GUIDE), [None, Some(0.0), Some(-1.0), Some(0.0), None]);
        assert_eq!(series("DIFF(FILL(m2, 0))", OTHER), [None, Some(-30.0), Some(0.0), Some(0.0), Some(30.0)]);
    }

    #[test]
    fn fill_repeats_what_precedes_a_gap() {
        assert_eq!(series("FILL(m2, REPEAT)", GUIDE)[1], Some(30.0));
        assert_eq!(series("FILL(none, REPEAT)", GUIDE), [None; 5]);
        assert_eq!(series("FILL(none, 7)", GUIDE), [Some(7.0); 5]);
        assert_eq!(series("FILL(none, 7)", OTHER), [None; 5]);
        assert_eq!(series("FILL(m1, 7)", OTHER)[4], Some(7.0));
    }
}
