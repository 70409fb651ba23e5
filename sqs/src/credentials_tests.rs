#![allow(clippy::unwrap_used)]
use aws_credential_types::Credentials;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_credential_types::provider::{ProvideCredentials, future};

use super::*;

/// Returns credentials that end soon, then fails, hangs or returns others.
#[derive(Debug, Clone)]
struct Source {
    asked: Arc<AtomicUsize>,
    first_for: Duration,
    then: Then,
}

#[derive(Debug, Clone, Copy)]
enum Then {
    Other,
    Fail,
    Hang,
}

impl ProvideCredentials for Source {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let end = SystemTime::now() + self.first_for;
        let credentials = |name: &str, end| Credentials::new(name, "secret", None, end, "test");
        match (asked, self.then) {
            (0, _) => future::ProvideCredentials::ready(Ok(credentials("first", Some(end)))),
            (_, Then::Other) => future::ProvideCredentials::ready(Ok(credentials("other", None))),
            (_, Then::Fail) => future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("none"))),
            (_, Then::Hang) => future::ProvideCredentials::new(std::future::pending()),
        }
    }
}

fn cache(first_for: u64, then: Then) -> (CredentialsCache, Arc<AtomicUsize>) {
    let asked = Arc::<AtomicUsize>::default();
    let source = Source { asked: Arc::clone(&asked), first_for: Duration::from_secs(first_for), then };
    (CredentialsCache::new(SharedCredentialsProvider::new(source)), asked)
}

async fn key(cache: &CredentialsCache) -> String {
    cache.get().await.unwrap().credentials.access_key_id().to_owned()
}

#[tokio::test]
async fn credentials_are_kept_until_shortly_before_their_end() {
    let (kept, asked) = cache(90, Then::Other);
    assert_eq!([key(&kept).await, key(&kept).await], ["first", "first"]);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let (kept, _) = cache(50, Then::Other);
    assert_eq!([key(&kept).await, key(&kept).await, key(&kept).await], ["first", "other", "other"]);
}

#[tokio::test]
async fn a_failing_source_has_no_effect_while_credentials_are_valid() {
    for then in [Then::Fail, Then::Hang] {
        tokio::time::pause();
        let (kept, asked) = cache(50, then);
        assert_eq!(key(&kept).await, "first");
        let begun = tokio::time::Instant::now();
        assert_eq!([key(&kept).await, key(&kept).await], ["first", "first"]);
        assert!(begun.elapsed() < WAIT_WHILE_GOOD * 2, "{:?}", begun.elapsed());
        assert_eq!(asked.load(Ordering::Relaxed), 2, "{then:?}: the third request asks nothing");
        tokio::time::resume();
    }
    let (ended, _) = cache(0, Then::Fail);
    assert_eq!(key(&ended).await, "first");
    assert!(ended.get().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn one_request_asks_and_the_others_continue() {
    let (kept, asked) = cache(50, Then::Hang);
    assert_eq!(key(&kept).await, "first");
    let begun = tokio::time::Instant::now();
    let (_, second) = tokio::join!(key(&kept), async {
        let second = key(&kept).await;
        (second, begun.elapsed())
    });
    assert_eq!(second, ("first".to_owned(), Duration::ZERO));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn refused_credentials_are_forgotten_unless_already_replaced() {
    let (kept, asked) = cache(90, Then::Other);
    let first = kept.get().await.unwrap();
    kept.refused(&first);
    let other = kept.get().await.unwrap();
    assert_eq!(other.credentials.access_key_id(), "other");
    kept.refused(&first);
    assert!(Arc::ptr_eq(&kept.get().await.unwrap(), &other));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[test]
fn no_secret_is_in_what_is_printed() {
    let (kept, _) = cache(90, Then::Other);
    assert_eq!(format!("{kept:?}"), "CredentialsCache { .. }");
    let identity = Identity::new(Credentials::new("AKID", "secret", Some("token".to_owned()), None, "test"));
    assert_eq!(format!("{:?}", identity.unwrap().token.unwrap()), "Sensitive");
}
