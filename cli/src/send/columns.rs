//! The columns of a CSV file, and the conversion of a row to a JSON payload.
//!
//! A column's name determines the field for its values: `user.name` and `/user/name` both mean the field `name` of the object
//! `user`. One rule converts cells to JSON, independently of other rows: see [`cell`].

use super::record::{Field, Fields};

/// Determines how cells become JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CellTypes {
    /// Plain numbers, true, false and null are JSON; empty cells are left out; all others are texts.
    Json,
    /// Every cell is a text, even an empty one.
    Text,
}

/// The number of digits that a 64-bit floating-point number always preserves. Many languages use such numbers for JSON numbers.
const MAX_NUMBER_DIGITS: usize = 15;

/// The columns of a file.
#[derive(Debug)]
pub(super) struct Columns {
    payload: Vec<(String, Node)>,
    fields: Vec<(Field, usize)>,
    count: usize,
}

#[derive(Debug)]
enum Node {
    Object(Vec<(String, Node)>),
    Cell { column: usize, kind: Kind },
}

/// Determines how the cells of a column become JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// By their content.
    Json,
    /// As texts; empty cells are left out.
    Text,
    /// As texts, including empty cells.
    TextAlways,
}

impl Columns {
    /// Reads the names of the header row. `mapped` columns are not part of the payload. Columns in `texts`, and those whose
    /// keys `is_text` recognizes, are not parsed as numbers.
    ///
    /// # Errors
    ///
    /// Returns an error if a name is empty, given twice or in conflict with another, or if a mapped column is missing.
    pub(super) fn new(
        header: &[String],
        mapped: &[(Field, String)],
        types: CellTypes,
        texts: &[String],
        is_text: impl Fn(&[String]) -> bool,
    ) -> Result<Self, String> {
        let place = |name: &String| header.iter().position(|column| column == name);
        if let Some(name) =
            mapped.iter().map(|(_, name)| name).chain(texts).find(|name| place(name).is_none())
        {
            return Err(format!("there is no column {name:?}: the header has {}", header.join(", ")));
        }
        let mut given = mapped.iter().enumerate();
        if let Some((_, (field, _))) =
            given.find(|(index, (field, _))| mapped[..*index].iter().any(|(other, _)| other == field))
        {
            return Err(format!("two columns are given for {field:?}"));
        }
        let fields = mapped.iter().filter_map(|(field, name)| Some((*field, place(name)?))).collect();
        let mut payload = Vec::new();
        for (column, name) in header.iter().enumerate() {
            if header[..column].contains(name) {
                return Err(format!("the column {name:?} is there twice"));
            }
            if mapped.iter().any(|(_, mapped)| mapped == name) {
                continue;
            }
            let keys = path(name)?;
            let kind = match types {
                CellTypes::Text => Kind::TextAlways,
                CellTypes::Json if texts.contains(name) || is_text(&keys) => Kind::Text,
                CellTypes::Json => Kind::Json,
            };
            insert(&mut payload, &keys, Node::Cell { column, kind }).map_err(|()| {
                format!("the column {name:?} and another one are the same field, or one is within the other")
            })?;
        }
        Ok(Self { payload, fields, count: header.len() })
    }

    /// Returns true if a column sets this field.
    pub(super) fn gives(&self, field: Field) -> bool {
        self.fields.iter().any(|(given, _)| *given == field)
    }

    /// Returns the payload of a row as JSON, and the values of the columns that are not part of the payload.
    ///
    /// # Errors
    ///
    /// Returns an error if the row has another number of cells than the header.
    pub(super) fn read(&self, row: &[&str]) -> Result<(String, Fields), String> {
        if row.len() != self.count {
            return Err(format!("the row has {} cells, and the header {}", row.len(), self.count));
        }
        let mut fields = Fields::default();
        for (field, column) in &self.fields {
            fields.set(*field, row[*column]);
        }
        let json = object(&self.payload, row).unwrap_or_else(|| "{}".to_owned());
        Ok((json, fields))
    }
}

/// Splits a column's name into the keys of its field.
fn path(name: &str) -> Result<Vec<String>, String> {
    let keys: Vec<String> = match name.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(|key| key.replace("~1", "/").replace("~0", "~")).collect(),
        None => name.split('.').map(str::to_owned).collect(),
    };
    if keys.iter().any(|key| key.trim().is_empty()) {
        return Err(format!(
            "the column {name:?} names no field: write it like user.name, or like /user/name if a key has a period"
        ));
    }
    Ok(keys)
}

fn insert(object: &mut Vec<(String, Node)>, keys: &[String], cell: Node) -> Result<(), ()> {
    let (key, rest) = keys.split_first().ok_or(())?;
    let known = object.iter_mut().find(|(known, _)| known == key).map(|(_, node)| node);
    match (known, rest) {
        (None, []) => object.push((key.clone(), cell)),
        (None, rest) => {
            let mut inner = Vec::new();
            insert(&mut inner, rest, cell)?;
            object.push((key.clone(), Node::Object(inner)));
        }
        (Some(Node::Object(inner)), rest @ [_, ..]) => insert(inner, rest, cell)?,
        (Some(_), _) => return Err(()),
    }
    Ok(())
}

/// Returns an object as JSON; `None` if all its fields are left out.
fn object(nodes: &[(String, Node)], row: &[&str]) -> Option<String> {
    let members = nodes.iter().filter_map(|(key, node)| {
        let value = match node {
            Node::Object(nodes) => object(nodes, row)?,
            Node::Cell { column, kind } => cell(row[*column], *kind)?,
        };
        Some(format!("{}:{value}", text(key)))
    });
    let members: Vec<String> = members.collect();
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

/// Returns a cell as JSON; `None` if its field is left out.
///
/// A cell is a number if it is a JSON number without an exponent: `007`, `1e5` and `+49` stay texts, because they are more
/// often codes than numbers. Numbers with more than 15 digits stay texts, too, because many programs would change their last
/// digits. The digits of a number stay as they are.
fn cell(cell: &str, kind: Kind) -> Option<String> {
    match kind {
        Kind::Json | Kind::Text if cell.is_empty() => None,
        Kind::Json if matches!(cell, "true" | "false" | "null") || is_number(cell) => Some(cell.to_owned()),
        Kind::Json | Kind::Text | Kind::TextAlways => Some(text(cell)),
    }
}

fn is_number(cell: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, part) = match unsigned.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (unsigned, None),
    };
    let count = unsigned.bytes().filter(u8::is_ascii_digit).count();
    count <= MAX_NUMBER_DIGITS
        && digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && part.is_none_or(digits)
}

fn text(text: &str) -> String {
    serde_json::to_string(text).expect("a text is JSON")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn columns(header: &[&str]) -> Result<Columns, String> {
        let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
        Columns::new(&header, &[], CellTypes::Json, &[], |_| false)
    }

    fn payload(header: &[&str], row: &[&str]) -> String {
        columns(header).unwrap().read(row).unwrap().0
    }

    #[test]
    fn cells_become_json_by_one_rule() {
        let table = [
            ("7", Some("7")),
            ("-7", Some("-7")),
            ("0", Some("0")),
            ("0.50", Some("0.50")),
            ("123456789012345", Some("123456789012345")),
            ("-1234567890.12345", Some("-1234567890.12345")),
            ("1234567890123456", Some("\"1234567890123456\"")),
            ("0.1234567890123456", Some("\"0.1234567890123456\"")),
            ("true", Some("true")),
            ("false", Some("false")),
            ("null", Some("null")),
            ("", None),
            ("007", Some("\"007\"")),
            ("1e5", Some("\"1e5\"")),
            ("+49", Some("\"+49\"")),
            ("1.", Some("\"1.\"")),
            (".5", Some("\".5\"")),
            ("-", Some("\"-\"")),
            ("--1", Some("\"--1\"")),
            ("1.2.3", Some("\"1.2.3\"")),
            ("1,5", Some("\"1,5\"")),
            ("True", Some("\"True\"")),
            (" 7", Some("\" 7\"")),
            ("NaN", Some("\"NaN\"")),
            ("{\"a\":1}", Some("\"{\\\"a\\\":1}\"")),
            ("a\n\"b\"\u{1}", Some("\"a\\n\\\"b\\\"\\u0001\"")),
        ];
        for (given, expected) in table {
            let json = cell(given, Kind::Json);
            assert_eq!(json.as_deref(), expected, "{given:?}");
            if let Some(json) = json {
                assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{given:?}");
            }
            let as_text: String = serde_json::from_str(&cell(given, Kind::TextAlways).unwrap()).unwrap();
            assert_eq!(as_text, given);
        }
    }

    #[test]
    fn names_nest_by_periods_or_as_pointers() {
        let table: [(&[&str], &[&str], &str); 7] = [
            (&["id", "name"], &["7", "Ada"], r#"{"id":7,"name":"Ada"}"#),
            (&["user.id", "x", "user.name"], &["7", "1", "Ada"], r#"{"user":{"id":7,"name":"Ada"},"x":1}"#),
            (&["/user/id", "user.name"], &["7", "Ada"], r#"{"user":{"id":7,"name":"Ada"}}"#),
            (&["/a.b/c", "/d~1e", "/f~0g"], &["1", "2", "3"], r#"{"a.b":{"c":1},"d/e":2,"f~g":3}"#),
            (&["a.b.c", "a.b.d"], &["1", ""], r#"{"a":{"b":{"c":1}}}"#),
            (&["a.b", "c"], &["", "1"], r#"{"c":1}"#),
            (&["a.b"], &[""], "{}"),
        ];
        for (header, row, expected) in table {
            assert_eq!(payload(header, row), expected);
        }
    }

    #[test]
    fn columns_that_cannot_be_fields_are_refused() {
        let table: [(&[&str], &str); 6] = [
            (&["a", "a"], "twice"),
            (&["a", "a.b"], "within the other"),
            (&["a.b", "a"], "within the other"),
            (&["a.b", "/a/b"], "the same field"),
            (&["a", ""], "names no field"),
            (&["a..b"], "names no field"),
        ];
        for (header, says) in table {
            let error = columns(header).unwrap_err();
            assert!(error.contains(says), "{header:?}: {error}");
        }
        let rows = columns(&["a", "b"]).unwrap();
        assert_eq!(rows.read(&["1"]).unwrap_err(), "the row has 1 cells, and the header 2");
    }

    #[test]
    fn mapped_columns_are_no_payload_and_text_columns_no_numbers() {
        let header = ["tenant", "id", "zip", "key", "phone"].map(str::to_owned);
        let mapped = [(Field::Group, "tenant".to_owned()), (Field::IdempotencyKey, "key".to_owned())];
        let rows =
            Columns::new(&header, &mapped, CellTypes::Json, &["zip".to_owned()], |keys| *keys == ["phone"])
                .unwrap();
        assert!(rows.gives(Field::Group) && !rows.gives(Field::Delay));
        let (json, fields) = rows.read(&["7", "8", "90210", "", "49"]).unwrap();
        assert_eq!(json, r#"{"id":8,"zip":"90210","phone":"49"}"#);
        assert_eq!(fields, Fields { group: Some("7".to_owned()), ..Fields::default() });
        for (mapped, texts) in [("tenants", "id"), ("tenant", "ids")] {
            let mapped = [(Field::Group, mapped.to_owned())];
            let error =
                Columns::new(&header, &mapped, CellTypes::Json, &[texts.to_owned()], |_| false).unwrap_err();
            assert!(error.contains("no column") && error.contains("tenant, id, zip, key, phone"), "{error}");
        }
    }
}
