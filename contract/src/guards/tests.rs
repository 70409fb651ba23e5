//! The guards as a whole: every text, allowances, bounds, and properties of any payload.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::jwt;
use super::tables::{MAX_FINDINGS_PER_KIND, MAX_TEXT_BYTES, TOKENS};
use super::*;

const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";

fn found(payload: &Value) -> Vec<(String, &'static str)> {
    Guards::default().inspect("a.b", payload).into_iter().map(|of| (of.pointer, of.kind.name())).collect()
}

#[test]
fn each_finding_names_the_field_and_what_to_do() {
    let pem = "the key:\n-----BEGIN RSA PRIVATE KEY-----\nMIIE";
    let table = [
        (
            json!({"keys": [KEY_ID]}),
            "payload.keys[0] has an AWS access key ID, and queues keep and show what they are sent: send a reference to it, or set \
             guard_allow (--allow) to \"a.b:/keys/*\"",
        ),
        (
            json!({"note": pem}),
            "payload.note has a private key, and queues keep and show what they are sent: send a reference to it, or set \
             guard_allow (--allow) to \"a.b:/note\"",
        ),
        (
            json!({"db": {"url": "postgres://app:hunter2@db/main"}}),
            "payload.db.url has a URL with a password, and queues keep and show what they are sent: send a reference to it, or set \
             guard_allow (--allow) to \"a.b:/db/url\"",
        ),
        (
            json!({"user": {"api_key": "abc"}}),
            "payload.user.api_key is named like a secret, and queues keep and show what they are sent: send a reference to it, or set \
             guard_allow (--allow) to \"a.b:/user/api_key\"",
        ),
        (
            json!({"session": format!("Bearer {}", jwt::sample())}),
            "payload.session has a JSON Web Token, which grants access while it waits and may have expired when the job runs: send a \
             reference to it, or set guard_allow (--allow) to \"a.b:/session\"",
        ),
        (
            json!({"cards": [{"pan": "4111 1111 1111 1111"}]}),
            "payload.cards[0].pan has the number of a payment card: send the payment provider's token for it, or set guard_allow (--allow) to \
             \"a.b:/cards/*/pan\"",
        ),
        (
            json!({"to": "ada@example.com"}),
            "payload.to has an e-mail address, which queues, dead letters and exports keep: send the person's id, or set guard_allow (--allow) to \
             \"a.b:/to\"",
        ),
        (
            json!({"html": "x".repeat(MAX_TEXT_BYTES + 1)}),
            "payload.html has more than 20 kB of text: put it into S3 and send a reference, or set guard_allow (--allow) to \"a.b:/html\"",
        ),
        (
            json!({"a=b": KEY_ID}),
            "payload[\"a=b\"] has an AWS access key ID, and queues keep and show what they are sent: send a reference to it, or set \
             guard_allow (--allow) to \"a.b:/a=b=secret\"",
        ),
        (
            json!(KEY_ID),
            "payload has an AWS access key ID, and queues keep and show what they are sent: send a reference to it, or set guard_allow (--allow) to \
             \"a.b:\"",
        ),
    ];
    for (payload, text) in table {
        let findings = Guards::default().inspect("a.b", &payload);
        assert_eq!(findings.len(), 1, "{payload:.100}: {findings:?}");
        assert_eq!(findings[0].to_string(), text);
        assert_eq!(findings[0].is_error(), findings[0].kind == FindingKind::Secret);
        // The remedy in the text works.
        let allow = text.rsplit('"').nth(1).unwrap().parse().unwrap();
        assert_eq!(Guards::default().allow(allow).inspect("a.b", &payload), []);
    }
}

#[test]
fn what_belongs_into_a_payload_is_no_finding() {
    let table = [
        json!({"userId": 7, "name": "Ada", "at": "2026-11-29T10:00:00Z", "id": "01J9Z3NDEKTSV4RRFFQ69G5FAV"}),
        json!({"password": "", "api_key": null, "secret": true, "token": "page-2"}),
        json!({"password": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db"}),
        json!({"orderId": 4_111_111_111_111_111_u64, "orderIds": ["4111111111111111"]}),
        json!({"bucket": "b", "key": "uploads/2026/11/29/550e8400-e29b-41d4-a716-446655440000.png"}),
        json!({"certificate": "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----"}),
        json!({"html": "x".repeat(MAX_TEXT_BYTES)}),
        json!(null),
        json!([]),
    ];
    for payload in table {
        assert_eq!(found(&payload), [], "{payload:.200}");
    }
}

#[test]
fn a_field_may_have_several_kinds_and_a_token_hides_its_name() {
    let long = format!("{} ada@example.com 4111111111111111 {KEY_ID}", "x".repeat(MAX_TEXT_BYTES));
    let kinds: Vec<_> = found(&json!({"password": long})).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["secret", "card_number", "personal_data", "long_text"]);
    assert_eq!(found(&json!({"authorization": jwt::sample()})), [("/authorization".to_owned(), "jwt")]);
    assert_eq!(found(&json!({"card": 4_111_111_111_111_111_u64})), [("/card".to_owned(), "card_number")]);
    let key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    assert_eq!(found(&json!({"secretAccessKey": key})), [("/secretAccessKey".to_owned(), "secret")]);
}

#[test]
fn names_are_inspected_and_not_shown() {
    let payload = json!({"readers": {"ada@example.com": {"password": "hunter2"}, KEY_ID: 1}});
    let findings = Guards::default().inspect("a.b", &payload);
    let mut seen: Vec<_> = findings.iter().map(|of| (&*of.pointer, of.kind.name())).collect();
    seen.sort_unstable();
    let expected =
        [("/readers/*", "personal_data"), ("/readers/*", "secret"), ("/readers/*/password", "secret_name")];
    assert_eq!(seen, expected);
    assert!(!format!("{findings:?}").contains("ada") && !format!("{findings:?}").contains(KEY_ID));
}

#[test]
fn fields_and_kinds_can_be_allowed() {
    let payload =
        json!({"to": ["ada@example.com"], "from": "bob@example.com", "key": KEY_ID, "password": "hunter2"});
    let inspect = |guards: Guards| -> Vec<String> {
        let findings = guards.inspect("email.send", &payload);
        findings.iter().map(|of| format!("{} {} {}", of.pointer, of.kind, of.is_error())).collect()
    };
    let allow = |guards: Guards, text: &str| guards.allow(text.parse().unwrap());
    let all = [
        "/from personal_data false",
        "/key secret true",
        "/password secret_name false",
        "/to/0 personal_data false",
    ];
    assert_eq!(inspect(Guards::default()), all);
    assert_eq!(inspect(allow(Guards::default(), "email.send:/to/*")), all[..3]);
    assert_eq!(inspect(allow(Guards::default(), "other:/to/*")), all);
    assert_eq!(inspect(allow(Guards::default(), "email.send:/key=personal_data")), all);
    let without_key = [all[0], all[2], all[3]];
    assert_eq!(inspect(allow(Guards::default(), "email.send:/key")), without_key);
    let denied = [
        "/from personal_data false",
        "/key secret true",
        "/password secret_name true",
        "/to/0 personal_data false",
    ];
    assert_eq!(inspect(Guards::deny()), denied);
    assert_eq!(inspect(Guards::secrets_only()), ["/key secret true"]);
    assert_eq!(inspect(Guards::none()), Vec::<String>::new());
    let strict = Guards::default()
        .on(FindingKind::PersonalData, Action::Deny)
        .on(FindingKind::SecretName, Action::Off);
    assert_eq!(inspect(strict), ["/from personal_data true", "/key secret true", "/to/0 personal_data true"]);
}

#[test]
fn beside_the_payload_only_secrets_are_found_and_never_allowed() {
    let beside = json!({"correlationId": KEY_ID, "note": {"password": "hunter2", "to": "ada@example.com"}});
    let inspect = |guards: Guards| -> Vec<String> {
        let findings = guards.inspect_beside(&beside);
        findings.iter().map(|of| format!("{} {} {}", of.pointer, of.kind, of.is_error())).collect()
    };
    let all = ["/correlationId secret true"];
    assert_eq!(inspect(Guards::default()), all);
    assert_eq!(inspect(Guards::deny()), all);
    assert_eq!(inspect(Guards::default().allow("*:/correlationId".parse().unwrap())), all);
    assert_eq!(inspect(Guards::none()), Vec::<String>::new());
}

#[test]
fn one_field_beside_the_payload_is_judged_as_an_object_of_it() {
    let aws_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let pem = "-----BEGIN PRIVATE KEY-----";
    let texts =
        [KEY_ID, aws_key, pem, "redis://:hunter2@cache", "https://x.test", "hunter2", "a@b.example", ""];
    for guards in [Guards::default(), Guards::deny(), Guards::none()] {
        for name in ["jobId", "secretAccessKey", "password", KEY_ID, "ada@example.com"] {
            for text in texts {
                let found = !guards.inspect_beside(&json!({ name: text })).is_empty();
                assert_eq!(guards.finds_beside(name, text), found, "{name} {text}");
            }
        }
    }
    assert!(Guards::default().finds_beside("jobId", KEY_ID) && !Guards::default().finds_beside("jobId", "7"));
}

#[test]
fn findings_are_bounded_by_kind() {
    let payload = json!({"mails": vec!["ada@example.com"; 1_000], "z": KEY_ID});
    let kinds = found(&payload);
    assert_eq!(kinds.len(), MAX_FINDINGS_PER_KIND + 1);
    assert_eq!(kinds.last().unwrap().1, "secret");
}

/// A quadratic search would take an hour, and a recursive one would end the process.
#[test]
fn texts_made_to_be_slow_are_not() {
    const MIB: usize = 1 << 20;
    let texts = [
        "4",
        "41",
        "4 ",
        "4-4 ",
        "4111 ",
        "eyJ",
        "eyJ.",
        "eyJ-",
        ".",
        "@",
        "a@",
        "a@a.",
        "a.",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "://",
        "a://b:",
        "x://:@",
        "AKIA",
        "xoxb-",
        "ATATT3",
        "ghp_",
        "sk-",
        "SG.",
        "\u{fc}",
        "hvb.",
        "\0",
    ];
    let started = std::time::Instant::now();
    for text in texts {
        let long = text.repeat(MIB / text.len());
        let _ = Guards::default().inspect("a.b", &json!({"text": long}));
        let name = text.repeat(MIB / 16 / text.len());
        let _ = Guards::default().inspect("a.b", &json!({ name: 1 }));
    }
    let deep = (0..1_000).fold(json!(KEY_ID), |inner, _| json!([{ "a": inner }]));
    assert_eq!(Guards::default().inspect("a.b", &deep).len(), 1);
    let wide: Map<String, Value> = (0..50_000).map(|n| (format!("a{n}"), json!("x"))).collect();
    assert_eq!(Guards::default().inspect("a.b", &Value::Object(wide)), []);
    // A linear search takes seconds in a debug build, and minutes on a busy machine. A quadratic one would take an hour.
    assert!(started.elapsed() < std::time::Duration::from_secs(600), "{:?}", started.elapsed());
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[ -~]{0,40}",
        "(AKIA|ghp_|eyJ|-----BEGIN |://|sk_live_)[A-Za-z0-9@:. _-]{0,60}",
        "[0-9 -]{0,40}",
        "[a-z0-9._%+-]{0,10}@[a-z0-9.-]{0,10}",
        "(password|api_key|secretAccessKey|to|id)",
    ]
}

fn any_payload() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..6)
                .prop_map(|fields| fields.into_iter().collect::<Value>()),
        ]
    })
}

/// Returns a value that some guard finds, with a part of it that no name and no finding's text contains.
fn any_found_value() -> impl Strategy<Value = (String, String)> {
    let token = (prop::sample::select(TOKENS), any::<u64>()).prop_map(|(token, seed)| {
        let mut seed = seed;
        let characters: Vec<char> = ('!'..='~').filter(|c| token.alphabet.contains(*c as u8)).collect();
        let value: String = (0..token.length)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                characters[usize::try_from(seed >> 33).unwrap() % characters.len()]
            })
            .collect();
        (format!("{}{value}", token.prefix), value)
    });
    prop_oneof![
        token,
        "[a-z]{12,20}".prop_map(|password| (format!("amqps://app:{password}@host/x"), password)),
        "[a-z]{12,20}".prop_map(|name| (format!("{name}@example.com"), name)),
        Just(("4111111111111111".to_owned(), "4111".to_owned())),
        Just((jwt::sample(), jwt::sample()[20..40].to_owned())),
    ]
}

proptest! {
    #[test]
    fn any_payload_is_inspected_and_each_finding_points_at_a_field(payload in any_payload()) {
        for finding in Guards::deny().inspect("a.b", &payload) {
            let text = finding.to_string();
            prop_assert!(!text.chars().any(char::is_control), "{text:?}");
            prop_assert!(text.contains(&finding.field()));
            if !finding.pointer.split('/').any(|part| part == "*") {
                prop_assert!(payload.pointer(&finding.pointer).is_some(), "{}", finding.pointer);
            }
            let allow = Allowance::new("a.b", finding.pattern());
            let left = Guards::deny().allow(allow).inspect("a.b", &payload);
            prop_assert!(!left.contains(&finding));
        }
    }

    #[test]
    fn the_text_of_a_finding_never_contains_the_value((value, part) in any_found_value(), around in "[ ,;\"(]?", as_name: bool) {
        let text = format!("{around}{value}{around}");
        let payload = if as_name { json!({"a": { text: [KEY_ID] }}) } else { json!({"a": [{"b": text}]}) };
        let findings = Guards::default().inspect("a.b", &payload);
        prop_assert!(!findings.is_empty(), "{payload}");
        for finding in &findings {
            prop_assert!(!finding.to_string().contains(&part), "{finding}");
            prop_assert!(!format!("{finding:?}").contains(&part), "{finding:?}");
        }
    }

    #[test]
    fn any_text_is_an_allowance_or_none(text in any::<String>()) {
        if let Ok(allowance) = text.parse::<Allowance>() {
            prop_assert_eq!(allowance.to_string().parse::<Allowance>(), Ok(allowance));
        }
    }
}
