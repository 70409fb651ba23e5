//! Large and unusual values.

use drumline::core::{
    ClaimRequest, ClaimResult, MAX_CHECKPOINT_BYTES, MAX_KEY_BYTES, MAX_RESULT_BYTES, Ownership, ReleaseClaim,
};
use drumline::message::Identity;

use crate::assert_claim_result;
use crate::conformance::World;
use crate::conformance::steps::{SCOPE, TYPE, again, fail, granted, json, only, request_of, text};

/// Returns a JSON text of this length.
fn json_of(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

pub async fn large_values_fit(world: World) {
    let store = world.worker("one").await;
    let name = |name: &str| {
        let name = world.name(name);
        format!("{name}{}", "ö".repeat((MAX_KEY_BYTES - name.len()) / 2))
    };
    let identity = Identity::new(name("scope"), name("type"), Some(&name("source")), name("key"));
    let request = ClaimRequest {
        lock: Some(name("lock")),
        queue: name("queue").into(),
        message_id: name("message").into(),
        ..request_of(identity.with_job_id(name("id")))
    };
    let (checkpoint, result) = (json_of(MAX_CHECKPOINT_BYTES), json_of(MAX_RESULT_BYTES));
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.checkpoint(&claim, &json(&checkpoint)).await, Ok(Ownership::Kept));
    assert_eq!(store.renew(&claim, request.length).await, Ok(Ownership::Kept));
    fail(&store, &claim).await;
    let grant = granted(&store, &again(&request)).await;
    assert_eq!(text(grant.checkpoint.as_deref()), Some(&*checkpoint));
    assert_eq!(store.checkpoint(&grant.claim, &json(&checkpoint)).await, Ok(Ownership::Kept));
    assert_eq!(store.finish(&grant.claim, Some(&json(&result))).await, Ok(Ownership::Kept));
    let admission = store.claim(&again(&request)).await.unwrap();
    assert_claim_result!(admission, ClaimResult::Done(run) if text(run.result.as_deref()) == Some(&*result));
    let record = only(&store, request.identity.job_id()).await;
    assert_eq!(*record.claim.unwrap().key, **request.identity.key());
}

pub async fn odd_keys_are_keys_of_their_own(world: World) {
    let store = world.worker("one").await;
    let odd = [
        "a b",
        " a b",
        "a b ",
        "a#b",
        "claim#a",
        "{a}",
        "}{",
        "a:b",
        "A:B",
        "a\"b",
        "a'b",
        "a''b",
        "a\\b",
        "a%20b",
        "*",
        "?",
        "a\nb",
        "a\tb",
        "ö",
        "o\u{308}",
        "😀",
        "$1",
        "'; drop table drumline_claims; --",
        "null",
    ];
    let requests: Vec<_> = odd
        .iter()
        .map(|odd| {
            let (name, lock) = (format!("{odd}{}", world.name("")), format!("lock {odd}{}", world.name("")));
            let identity = Identity::new(SCOPE, TYPE, None, name);
            ClaimRequest { lock: Some(lock), ..request_of(identity) }
        })
        .collect();
    let mut claims = Vec::new();
    for request in &requests {
        let claim = granted(&store, request).await.claim;
        assert_eq!(claim.identity, request.identity);
        claims.push(claim);
    }
    for (claim, request) in claims.iter().zip(&requests) {
        assert_claim_result!(store.claim(&again(request)).await.unwrap(), ClaimResult::Busy(_));
        let result = serde_json::to_string(&**request.identity.key()).unwrap();
        assert_eq!(store.finish(claim, Some(&json(&result))).await, Ok(Ownership::Kept));
    }
    for request in &requests {
        let record = only(&store, request.identity.job_id()).await.claim.unwrap();
        let key = request.identity.key();
        assert_eq!((&*record.key, record.result), (&**key, Some((**key).into())));
    }
}

pub async fn empty_texts_are_texts(world: World) {
    let store = world.worker("one").await;
    let request = ClaimRequest {
        queue: "".into(),
        message_id: "".into(),
        payload_hash: 0,
        ..request_of(Identity::new("", "", Some(""), world.name("job")))
    };
    let claim = granted(&store, &request).await.claim;
    let how = ReleaseClaim { count_attempt: true, failure_reason: Some(String::new()), dead: false };
    assert_eq!(store.release_claim(&claim, &how).await, Ok(Ownership::Kept));
    assert_claim_result!(store.claim(&again(&request)).await.unwrap(), ClaimResult::FailedPermanently(why) if why.is_empty());
    let record = only(&store, request.identity.job_id()).await.claim.unwrap();
    assert_eq!((&*record.job_type, &*record.message_id), ("", ""));
}
