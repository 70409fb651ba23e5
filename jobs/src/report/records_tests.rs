#![allow(clippy::unwrap_used)]

use super::*;

/// Reads all records with their lines, in pieces of this many bytes.
fn read(text: &[u8], piece_bytes: usize) -> Vec<(u64, Vec<String>)> {
    collect(Records::new(), text, piece_bytes)
}

fn collect(mut records: Records, text: &[u8], piece_bytes: usize) -> Vec<(u64, Vec<String>)> {
    let own = |record: &Record<'_>| {
        (record.line, record.fields().map(|field| String::from_utf8_lossy(field).into_owned()).collect())
    };
    let mut all = Vec::new();
    for mut piece in text.chunks(piece_bytes) {
        while let Some(record) = records.next(&mut piece).unwrap() {
            all.push(own(&record));
        }
        assert!(piece.is_empty());
    }
    all.extend(records.last().unwrap().as_ref().map(own));
    assert!(records.last().unwrap().is_none());
    assert_eq!(records.reached.offset, text.len() as u64);
    all
}

/// Returns the records of a text, and checks that the size of the pieces does not matter.
fn same_in_all_pieces(text: &str) -> Vec<(u64, Vec<String>)> {
    let whole = read(text.as_bytes(), usize::MAX);
    for piece_bytes in 4..text.len() {
        assert_eq!(read(text.as_bytes(), piece_bytes), whole, "{text:?} in pieces of {piece_bytes}");
    }
    whole
}

#[test]
fn records_are_read_with_their_lines() {
    for (text, expected) in [
        ("", &[][..]),
        ("\r\n\n\n", &[]),
        ("\u{feff}", &[]),
        ("a,b\n1,2\n", &[(1, &["a", "b"][..]), (2, &["1", "2"])]),
        ("a,b\r\n1,2\r\n", &[(1, &["a", "b"]), (2, &["1", "2"])]),
        ("a,b\r1,2", &[(1, &["a", "b"]), (1, &["1", "2"])]),
        ("a,b\n1,2", &[(1, &["a", "b"]), (2, &["1", "2"])]),
        ("\u{feff}a,b\n1,2\n", &[(1, &["a", "b"]), (2, &["1", "2"])]),
        ("\u{feff}\"a\",b\n\u{feff}1,2\n", &[(1, &["a", "b"]), (2, &["\u{feff}1", "2"])]),
        ("\n\na,b\n\n\r\n1,2\n\n", &[(3, &["a", "b"]), (6, &["1", "2"])]),
        ("a,\"b\nc\r\nd\"\n1,2\n", &[(1, &["a", "b\nc\r\nd"]), (4, &["1", "2"])]),
        ("\"a \"\"q\"\"\",\"b,c\"\n", &[(1, &["a \"q\"", "b,c"])]),
        ("a,\n,\n", &[(1, &["a", ""]), (2, &["", ""])]),
        ("ä,€\n😀,\"ß\"", &[(1, &["ä", "€"]), (2, &["😀", "ß"])]),
    ] {
        let expected: Vec<(u64, Vec<String>)> = expected
            .iter()
            .map(|(line, fields)| (*line, fields.iter().map(|&field| field.to_owned()).collect()))
            .collect();
        assert_eq!(same_in_all_pieces(text), expected, "{text:?}");
    }
}

#[test]
fn another_reader_continues_after_any_record() {
    // The third record begins with bytes that would be a byte order mark in the first.
    let text = "\u{feff}a,b\r\n\r\n\"1\n1\",2\r\n\u{feff}3,4\n\n5,6".as_bytes();
    let whole = read(text, usize::MAX);
    let mut records = Records::new();
    let mut rest = text;
    for done in 1..=whole.len() {
        let record = records.next(&mut rest).unwrap().is_some() || records.last().unwrap().is_some();
        assert!(record);
        let place = records.boundary();
        let from_there = &text[usize::try_from(place.offset).unwrap()..];
        for piece_bytes in 1..=from_there.len() {
            assert_eq!(collect_from(place, from_there, piece_bytes), whole[done..], "{done}, {piece_bytes}");
        }
    }
}

fn collect_from(place: Place, text: &[u8], piece_bytes: usize) -> Vec<(u64, Vec<String>)> {
    let mut records = Records::from(place);
    // So that the offset counts bytes of this text.
    records.reached.offset = 0;
    collect(records, text, piece_bytes)
}

#[test]
fn a_record_without_an_end_is_refused_before_it_is_held() {
    let mut records = Records::new();
    let mut pieces = 0;
    let failure = loop {
        pieces += 1;
        let text = if pieces == 1 { "a,b\n\"".to_owned() } else { "1,2\n".repeat(1000) };
        let mut piece = text.as_bytes();
        match records.next(&mut piece) {
            Ok(_) if pieces == 1 => while records.next(&mut piece).unwrap().is_some() {},
            Ok(record) => assert!(record.is_none()),
            Err(failure) => break failure,
        }
    };
    assert!(failure.reason().contains("begins in line 2"), "{failure}");
    assert!(failure.reason().contains("is a quote not closed?"), "{failure}");
    assert!(pieces < 300 && records.text.len() <= MAX_RECORD_BYTES, "{pieces}");

    let many = ",".repeat(MAX_FIELDS + 1);
    let failure = Records::new().next(&mut many.as_bytes()).unwrap_err();
    assert!(failure.reason().contains("fields"), "{failure}");
}

#[test]
fn a_long_record_is_read() {
    let long = "x".repeat(MAX_RECORD_BYTES - 2);
    let text = format!("a,b\n{long},1\n2,3\n");
    let all = read(text.as_bytes(), 10_000);
    assert_eq!(all.len(), 3);
    assert_eq!(all[1].1, [long, "1".to_owned()]);
    assert_eq!(all[2].0, 3);
}
