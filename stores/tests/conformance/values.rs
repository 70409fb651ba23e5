//! Large values, and odd ones.

use drumline::{
    Admission, ClaimRequest, Held, MAX_CHECKPOINT_BYTES, MAX_KEY_BYTES, MAX_RESULT_BYTES, Surrender,
};

use crate::assert_admission;
use crate::world::{World, again, fail, granted, json, text};

/// A text in JSON that is so long.
fn json_of(bytes: usize) -> String {
    format!("\"{}\"", "x".repeat(bytes - 2))
}

pub async fn large_values_fit(world: World) {
    let store = world.worker("one").await;
    let name = |name: &str| {
        let name = world.name(name);
        format!("{name}{}", "ö".repeat((MAX_KEY_BYTES - name.len()) / 2))
    };
    let request = ClaimRequest {
        key: name("key").into(),
        lock: Some(name("lock")),
        job_id: name("id").into(),
        ..world.request("job")
    };
    let (checkpoint, result) = (json_of(MAX_CHECKPOINT_BYTES), json_of(MAX_RESULT_BYTES));
    let claim = granted(&store, &request).await.claim;
    assert_eq!(store.checkpoint(&claim, &json(&checkpoint)).await, Ok(Held::Ours));
    assert_eq!(store.renew(&claim, request.length).await, Ok(Held::Ours));
    fail(&store, &claim).await;
    let grant = granted(&store, &again(&request)).await;
    assert_eq!(text(grant.checkpoint.as_deref()), Some(&*checkpoint));
    assert_eq!(store.checkpoint(&grant.claim, &json(&checkpoint)).await, Ok(Held::Ours));
    assert_eq!(store.finish(&grant.claim, Some(&json(&result))).await, Ok(Held::Ours));
    let admission = store.claim(&again(&request)).await.unwrap();
    assert_admission!(admission, Admission::Done(left) if text(left.as_deref()) == Some(&*result));
    let record = store.job(&request.job_id).await.unwrap().unwrap();
    assert_eq!(*record.claim.unwrap().key, *request.key);
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
            ClaimRequest {
                key: name.as_str().into(),
                job_id: name.into(),
                lock: Some(lock),
                ..world.request("job")
            }
        })
        .collect();
    let mut claims = Vec::new();
    for request in &requests {
        let claim = granted(&store, request).await.claim;
        assert_eq!(claim.key, request.key);
        claims.push(claim);
    }
    for (claim, request) in claims.iter().zip(&requests) {
        assert_admission!(store.claim(&again(request)).await.unwrap(), Admission::Held(_));
        let result = serde_json::to_string(&*request.key).unwrap();
        assert_eq!(store.finish(claim, Some(&json(&result))).await, Ok(Held::Ours));
    }
    for request in &requests {
        let record = store.job(&request.job_id).await.unwrap().unwrap().claim.unwrap();
        assert_eq!((&*record.key, record.result), (&*request.key, Some((*request.key).into())));
    }
}

pub async fn empty_texts_are_texts(world: World) {
    let store = world.worker("one").await;
    let request = ClaimRequest {
        job_type: "".into(),
        queue: "".into(),
        message_id: "".into(),
        payload_hash: 0,
        ..world.request("job")
    };
    let claim = granted(&store, &request).await.claim;
    let how = Surrender { spared: false, verdict: Some(String::new()) };
    assert_eq!(store.surrender(&claim, &how).await, Ok(Held::Ours));
    assert_admission!(store.claim(&again(&request)).await.unwrap(), Admission::Condemned(why) if why.is_empty());
    let record = store.job(&request.job_id).await.unwrap().unwrap().claim.unwrap();
    assert_eq!((&*record.job_type, &*record.message_id), ("", ""));
}
