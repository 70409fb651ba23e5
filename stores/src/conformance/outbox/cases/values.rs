//! Unusual and large values.

use crate::StoreError;
use crate::conformance::outbox::OutboxWorld;
use crate::conformance::outbox::steps::*;
use crate::outbox::{Added, Due, OnConflict, OutboxJob, Unique};

const ODD: [&str; 9] = [
    "ö",
    "a b",
    "it's",
    "\"quoted\"",
    "\\",
    "%s _ {} $1 :1 ?",
    "\t\n\r\u{7f}",
    "🦀\u{301}\u{200b}",
    "1:2:3|4",
];

pub async fn odd_texts_are_kept(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let some = |text: &str| Some(text.to_owned());
    let added: Vec<OutboxJob> = ODD
        .iter()
        .map(|odd| OutboxJob {
            job_type: (*odd).to_owned(),
            payload: format!(r#"{{"text":{},"nul":"\u0000","n":1e400}}"#, serde_json::Value::from(*odd)),
            queue: some(odd),
            group: some(odd),
            idempotency_key: some(odd),
            correlation_id: some(odd),
            traceparent: some(odd),
            attributes: [((*odd).to_owned(), (*odd).to_owned())].into(),
            ..job(odd)
        })
        .collect();
    outbox.add(&added).await.unwrap();
    let relay = "relay: 'odd' \"ö\"";
    let taken = take(&outbox, relay).await;
    assert_eq!(taken.len(), ODD.len());
    for expected in &added {
        let found = taken.iter().find(|taken| taken.job.id == expected.id).unwrap();
        assert_eq!(due(found.job.clone(), Due::Now), *expected);
    }
    for row in rows(&outbox, None).await {
        assert!(added.contains(&due(row.job.clone(), Due::Now)), "{row:?}");
    }
    all_sent(&outbox, taken).await;
    outbox.leave(relay).await.unwrap();
    for odd in ODD {
        let unique = Unique::new(odd, LONG, OnConflict::Replace);
        assert_eq!(outbox.add_unique(&job(odd), &unique).await, Ok(Added::New));
        let replaced = outbox.add_unique(&job("other"), &unique).await;
        assert_eq!(replaced, Ok(Added::Replaced { id: odd.to_owned() }));
    }
    assert_eq!(drain(&outbox, "relay", ODD.len()).await.len(), ODD.len());
}

pub async fn large_payloads_fit(world: OutboxWorld) {
    const MIB: usize = 1 << 20;
    let outbox = world.outbox().await;
    let large = OutboxJob { payload: format!("\"{}\"", "x".repeat(MIB - 2)), ..job("large") };
    // Each byte becomes two if it is stored as a text within a text.
    let odd = OutboxJob { payload: format!("\"{}\"", "\\\"".repeat(MIB / 2 - 1)), ..job("odd") };
    outbox.add(&[large.clone(), odd.clone()]).await.unwrap();
    let taken = taken_in_time(&outbox, "relay", 2).await;
    for taken in &taken {
        let expected = if taken.job.id == "large" { &large } else { &odd };
        assert!(taken.job.payload == expected.payload, "the payload of {} differs", taken.job.id);
    }
    all_sent(&outbox, taken).await;
}

pub async fn long_names_fit(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let long = "ö".repeat(128);
    outbox.add(&[grouped(&long, &"g".repeat(128))]).await.unwrap();
    let unique = Unique::new("k".repeat(1_024), LONG, OnConflict::Keep);
    assert_eq!(outbox.add_unique(&job("1"), &unique).await, Ok(Added::New));
    assert_eq!(outbox.add_unique(&job("2"), &unique).await, Ok(Added::Waiting { id: "1".to_owned() }));
    let mut drained = drain(&outbox, &"r".repeat(128), 2).await;
    drained.sort_unstable();
    assert_eq!(drained, ["1".to_owned(), long]);
}

pub async fn what_cannot_be_kept_is_refused(world: OutboxWorld) {
    let outbox = world.outbox().await;
    let some = |text: &str| text.to_owned();
    let refused = [
        OutboxJob { id: some(""), ..job("1") },
        OutboxJob { id: "x".repeat(129), ..job("1") },
        OutboxJob { id: some("a\0"), ..job("1") },
        OutboxJob { payload: some("\"\0\""), ..job("1") },
        OutboxJob { payload: some(""), ..job("1") },
        OutboxJob { payload: some("{\"a\":1"), ..job("1") },
        OutboxJob { job_type: some(""), ..job("1") },
        OutboxJob { schema_version: 0, ..job("1") },
        OutboxJob { schema_version: i32::MAX.unsigned_abs() + 1, ..job("1") },
        OutboxJob { group: Some(some("")), ..job("1") },
        OutboxJob { group: Some(some("\0")), ..job("1") },
        OutboxJob { due: Due::AtMs(i64::MAX), ..job("1") },
    ];
    let is_refused = |answer: Option<StoreError>| matches!(answer, Some(StoreError::Refused(_)));
    for job in &refused {
        let unique = Unique::new("key", LONG, OnConflict::Keep);
        assert!(is_refused(outbox.add(std::slice::from_ref(job)).await.err()), "{job:?}");
        assert!(is_refused(outbox.add_unique(job, &unique).await.err()), "{job:?}");
        assert!(
            is_refused(outbox.change("name", None, Some("1"), std::slice::from_ref(job)).await.err()),
            "{job:?}"
        );
    }
    for key in ["", "\0", &"k".repeat(1_025)] {
        let unique = Unique::new(key, LONG, OnConflict::Keep);
        assert!(is_refused(outbox.add_unique(&job("1"), &unique).await.err()), "{key:?}");
    }
    assert_eq!(row_ids(&outbox, None).await, [""; 0]);
    assert_eq!(outbox.states().await, Ok(vec![]));
}
