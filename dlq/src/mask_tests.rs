#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::fingerprint::Fingerprint;

#[test]
fn values_are_masked_and_words_are_kept() {
    let table = [
        ("", ""),
        ("no user 17", "no user <n>"),
        ("no user 4,017", "no user <n>"),
        ("no user -3", "no user <n>"),
        ("user user_17 is gone", "user <id> is gone"),
        ("no user17", "no <id>"),
        ("no such order \"A-1, B\"", "no such order <q>"),
        ("no such order 'x'", "no such order <q>"),
        ("no such order “x”", "no such order <q>"),
        ("no such order \"\"", "no such order <q>"),
        ("can't open user's file", "can't open user's file"),
        ("either and/or both", "either and/or both"),
        ("decade feed facade", "decade feed facade"),
        ("missing field `userId` at line 1 column 42", "missing field `userId` at line <n> column <n>"),
        ("unknown field `a1b2c3`", "unknown field <q>"),
        ("unknown variant `ann`, expected `red` or `blue`", "unknown variant <q>, expected `red` or `blue`"),
        ("invalid type: boolean `true`, expected u8", "invalid type: boolean <q>, expected u8"),
        ("called `Option::unwrap()` on a `None` value", "called `Option::unwrap()` on a `None` value"),
        ("invalid type: string \"x\", expected u32", "invalid type: string <q>, expected u32"),
        ("not UTF-8 from s3 by sha256 over http2", "not UTF-8 from s3 by sha256 over http2"),
        ("422 Unprocessable Entity: no such customer", "422 Unprocessable Entity: no such customer"),
        ("HTTP 503", "HTTP 503"),
        ("HTTP/1.1 503", "HTTP/<n> 503"),
        ("status: 503 after 3 tries", "status: 503 after <n> tries"),
        ("status 50317 of order", "status <n> of order"),
        ("Connection refused (os error 111)", "Connection refused (os error 111)"),
        ("errno=5", "errno=5"),
        ("SQLSTATE 42P01", "SQLSTATE 42P01"),
        ("SQLSTATE[23000]", "SQLSTATE[23000]"),
        ("signal: 9 (SIGKILL)", "signal: 9 (SIGKILL)"),
        ("exit status: 1", "exit status: 1"),
        ("timed out after 1.25s", "timed out after <n>"),
        ("timed out after 30 s", "timed out after <n>"),
        ("timed out after 900ms", "timed out after <n>"),
        ("timed out after 30 seconds", "timed out after <n>"),
        ("timed out after 1m 5s", "timed out after <n>"),
        ("timed out after 2h30m", "timed out after <n>"),
        ("disk 93% full, 1.5e9 of 2 GiB", "disk <n> full, <n> of <n>"),
        ("GET https://api/x/17?y=1: 503", "GET <url>: <n>"),
        ("(see http://[::1]:80/x).", "(see <url>)."),
        ("10.0.3.17:5432: no route", "<addr>: no route"),
        ("[::1]:80: no route", "<addr>: no route"),
        ("fe80::1 and 2001:db8:0:0:0:0:0:1", "<addr> and <addr>"),
        ("std::io::Error and abc::d::fed", "std::io::Error and abc::d::fed"),
        ("mail to ann.b+17@example.com.", "mail to <addr>."),
        ("open /var/data/17.csv: No such file", "open <path>: No such file"),
        ("C:\\tmp\\a.txt", "<path>"),
        ("src/main.rs:12:9", "<path>"),
        ("./x/y", "<path>"),
        ("GET /users/17?x=1&y=2: gone", "GET <path>: gone"),
        ("text/html or application/json, 1/2", "text/html or application/json, <n>/<n>"),
        ("key 6f1ed002-ab55-4d5e-8d8f-0123456789ab", "key <id>"),
        ("key 12345678-1234-1234-1234-123456789012", "key <id>"),
        ("job 01JQ3ZC5T8M1Y4ZZZZZZZZZZZZ", "job <id>"),
        ("trace 0x7f3a", "trace <hex>"),
        ("sha 9f86d081884c7d65", "sha <hex>"),
        ("arn:aws:sqs:eu-west-1:123456789012:jobs denied", "<arn> denied"),
        ("at 2026-11-29T03:04:05Z", "at <time>"),
        ("at 2026-11-29 03:04:05.678 +0100", "at <time> <n>"),
        ("at 03:04:05", "at <time>"),
        ("on 2026-11-29, again", "on <time>, again"),
        ("rows 1, 2, 3 and 4", "rows <n>, … and <n>"),
        ("ids [\"a\", \"b\",\"c\"]", "ids [<q>, …]"),
        ("range 17-18 of v1.2.3", "range <n>-<n> of <id>.<n>"),
        ("version 2.3.1 and 1.x, 1.234,56 and 1_000", "version <n> and <n>.x, <n> and <n>"),
        ("rows [1,2,3]", "rows [<n>]"),
        ("bucket my-bucket-17/eu", "bucket <id>/eu"),
        (
            "422 Unprocessable Entity: {\"error\":\"gone\",\"id\":17}",
            "422 Unprocessable Entity: {<q>:<q>,<q>:<n>}",
        ),
        ("Datei „Bericht 17.pdf“ fehlt", "Datei <q> fehlt"),
        ("attempt 5 of 5: no user 17", "no user <n>"),
        ("attempt 5 of 5: attempt 1 of 2: no user", "no user"),
        ("attempt 5 failed", "attempt <n> failed"),
        ("Größe 17 кг", "Größe <n> кг"),
        ("_17 x² m²3", "<id> x² <id>"),
        ("🚚 17\n\tlost \u{7}", "🚚 <n> lost"),
        (
            "no history: received 6 times, begun 2 by host-7-1",
            "no history: received <n> times, begun <n> by <id>",
        ),
        ("password=*** for eyJ***", "password=*** for eyJ***"),
        ("<n> and <id17>", "<n> and <<id>>"),
        ("an 'open quote of 17", "an 'open quote of <n>"),
    ];
    for (reason, masked) in table {
        assert_eq!(mask(reason), masked, "{reason}");
    }
}

#[test]
fn four_thousand_users_are_one_fingerprint() {
    let one = Fingerprint::of_reason("no user 0");
    assert!((0..4_000).all(|user| Fingerprint::of_reason(&format!("no user {user}")) == one));
}

/// Stores and alerts remember fingerprints, so a change of these needs a new version of the masks.
#[test]
fn fingerprints_are_frozen() {
    let table = [
        ("no user 17", "b9c1b367"),
        ("timed out after 30s", "7d6f9288"),
        ("missing field `userId` at line 1 column 42", "fec303a5"),
    ];
    for (reason, digits) in table {
        assert_eq!(Fingerprint::of_reason(reason).to_string(), digits, "{reason}");
    }
}

#[test]
fn a_long_reason_is_cut_between_words() {
    let masked = mask(&"lorem ipsum ".repeat(100_000));
    assert!((MAX_MASK - 12..=MAX_MASK).contains(&masked.chars().count()), "{masked}");
    assert!(masked.ends_with(" lorem…") || masked.ends_with(" ipsum…"), "{masked}");
    assert_eq!(mask(&"ö".repeat(1_000)).chars().count(), MAX_MASK);
}

#[test]
fn what_never_ends_costs_no_more_than_its_length() {
    for text in ["'a ", "\"a", "a.", "a:", "1,", "a@", "[1", "arn:", "/", "a/", "::", "1.", "`", "(", "a-"] {
        let _ = mask(&text.repeat(200_000));
    }
}

fn reason() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z]{1,8}",
        "[0-9]{1,9}",
        "[ ,.:;/=()\\[\\]{}<>'\"`@#_%+-]{1,3}",
        "[a-z0-9_-]{1,12}",
        Just("<n>".to_owned()),
        Just("https://x/1".to_owned()),
        Just("422 Unprocessable".to_owned()),
        Just("os error 5".to_owned()),
        Just(" 5 s ".to_owned()),
        Just("::1".to_owned()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_mask_is_its_own_mask(reason in prop_oneof![reason(), "\\PC*".boxed(), ".*".boxed()]) {
        let masked = mask(&reason);
        prop_assert_eq!(mask(&masked), masked.clone(), "{:?}", reason);
        prop_assert!(masked.chars().count() <= MAX_MASK, "{}", masked);
        prop_assert!(!masked.contains(char::is_control), "{:?}", masked);
    }

    #[test]
    fn reasons_that_differ_in_digits_only_share_a_mask(
        words in proptest::collection::vec("[a-z]{3,9}", 1..8),
        numbers in proptest::collection::vec((0u64..10_000_000, 0u64..10_000_000), 8),
        form in 0usize..6,
    ) {
        let text = |pick: fn(&(u64, u64)) -> u64| {
            let parts = words.iter().zip(&numbers).map(|(word, pair)| {
                let number = pick(pair);
                match form {
                    0 => format!("{word} {number}"),
                    1 => format!("{word}-{number}x"),
                    2 => format!("{word} ({number})"),
                    3 => format!("{word}=-{number};"),
                    4 => format!("{word} {number}.{number}"),
                    _ => format!("/{word}/{number}"),
                }
            });
            parts.collect::<Vec<_>>().join(" ")
        };
        prop_assert_eq!(mask(&text(|pair| pair.0)), mask(&text(|pair| pair.1)));
    }
}
