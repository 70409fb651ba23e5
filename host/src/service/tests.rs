#![allow(clippy::unwrap_used)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;

/// An error whose text ends with that of its cause, with an error below it.
#[derive(Debug)]
struct Layered(io::Error);

impl std::fmt::Display for Layered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no pool: {}", self.0)
    }
}

impl std::error::Error for Layered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// The outermost of three errors.
#[derive(Debug)]
struct Outer(Layered);

impl std::fmt::Display for Outer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the jobs cannot start")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn refused() -> io::Error {
    io::Error::other("connection refused")
}

fn plain() -> Router {
    Router::new()
}

fn text() -> Result<Router, String> {
    Err("no DATABASE_URL".to_owned())
}

fn layered() -> Result<Router, Outer> {
    Err(Outer(Layered(refused())))
}

async fn plainly_async() -> Router {
    tokio::task::yield_now().await;
    Router::new()
}

async fn boxed() -> Result<Router, BoxError> {
    tokio::task::yield_now().await;
    Err(Layered(refused()))?
}

async fn with_a_secret() -> Result<Router, String> {
    Err("postgres://app:hunter2@db/orders does not answer".to_owned())
}

/// A factory that waits before it fails.
async fn late() -> Result<Router, &'static str> {
    tokio::task::yield_now().await;
    Err("late")
}

/// Returns a closure whose router needs its captured values.
fn capturing() -> Service {
    let (kept, name) = (Arc::new(()), "captured".to_owned());
    Service::new(move || async move {
        tokio::task::yield_now().await;
        drop(kept);
        Err::<Router, _>(name)
    })
}

#[tokio::test]
async fn functions_and_closures_are_factories_with_any_error_or_none() {
    let table: Vec<(&str, Service, Result<(), &str>)> = vec![
        ("fn", Service::new(plain), Ok(())),
        ("fn with a text", Service::new(text), Err("no DATABASE_URL")),
        ("fn with causes", Service::new(layered), Err("the jobs cannot start: no pool: connection refused")),
        ("closure", Service::new(Router::new), Ok(())),
        ("closure with an error", Service::new(|| Err::<Router, _>("no")), Err("no")),
        ("async fn", Service::new(plainly_async), Ok(())),
        ("async fn with any error", Service::new(boxed), Err("no pool: connection refused")),
        ("async closure", Service::new(async || Router::new()), Ok(())),
        (
            "async closure with an error",
            Service::new(async || Err::<Router, _>(refused())),
            Err("connection refused"),
        ),
        ("a closure of what it has captured", capturing(), Err("captured")),
        ("a secret", Service::new(with_a_secret), Err("postgres://***@db/orders does not answer")),
    ];
    for (name, service, expected) in table {
        let started = service.start(&Handle::current()).await;
        let started = started.map(drop).map_err(|error| error.to_string());
        assert_eq!(started, expected.map_err(str::to_owned), "{name}");
    }
}

#[tokio::test]
async fn two_handlers_of_one_type_are_an_error_of_the_start() {
    #[derive(serde::Deserialize)]
    struct Order {}
    impl drumline::Job for Order {
        const TYPE: &'static str = "order";
    }
    async fn order(_: drumline::Context, _: Order) -> Result<(), drumline::Failure> {
        Ok(())
    }
    let service = || Service::new(|| Router::new().handle(order).handle(order));
    let handlers = Handle::current();
    for error in [service().start(&handlers).await.err(), service().problem(&handlers).await] {
        let error = error.unwrap();
        assert!(!error.is_panic() && error.to_string().contains("job type order: two handlers"), "{error}");
    }
    assert!(service().router(&handlers).await.is_ok(), "such a router can be looked at");
}

#[tokio::test]
async fn a_factory_that_panics_is_an_error_of_the_program() {
    fn panics() -> Router {
        panic!("no table")
    }
    for service in [Service::new(panics), Service::new(async || -> Router { panics() })] {
        let error = service.start(&Handle::current()).await.err().unwrap();
        assert!(error.is_panic());
        assert_eq!(error.to_string(), "the router's factory panicked: no table");
    }
    assert!(!Service::new(text).start(&Handle::current()).await.err().unwrap().is_panic());
}

#[test]
fn a_factory_and_the_hook_run_on_the_runtime_of_handlers() {
    let (io, handlers) = crate::runtimes().unwrap();
    let name = || std::thread::current().name().unwrap_or_default().to_owned();
    let ran = Arc::new(AtomicBool::new(false));
    let hook_ran = Arc::clone(&ran);
    let service = Service::new(move || Err::<Router, _>(name()));
    let error = io.block_on(service.start(handlers.handle())).err().unwrap();
    assert_eq!(error.to_string(), "drumline-job");
    let service = Service::new(Router::new).on_shutdown(async move || {
        assert_eq!(name(), "drumline-job");
        hook_ran.store(true, Ordering::Relaxed);
    });
    io.block_on(async {
        let (_, shutdown) = service.start(handlers.handle()).await.unwrap();
        assert!(!ran.load(Ordering::Relaxed), "nothing is shut down yet");
        shutdown.run(Duration::from_secs(60)).await.unwrap();
    });
    assert!(ran.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_hook_is_bounded_and_its_failure_is_an_error() {
    async fn panics() {
        panic!("no pool")
    }
    let service = || Service::new(Router::new);
    let limit = Duration::from_secs(2);
    let table = [
        ("none", service(), Ok(())),
        ("well", service().on_shutdown(async || ()), Ok(())),
        ("well, with an error type", service().on_shutdown(async || Ok::<(), io::Error>(())), Ok(())),
        (
            "error",
            service().on_shutdown(async || Err::<(), _>(Layered(refused()))),
            Err("no pool: connection refused"),
        ),
        ("panic", service().on_shutdown(panics), Err("it panicked: no pool")),
        ("hangs", service().on_shutdown(std::future::pending::<()>), Err("it has not ended within 2s")),
    ];
    for (name, service, expected) in table {
        let (_, shutdown) = service.start(&Handle::current()).await.unwrap();
        assert_eq!(shutdown.run(limit).await, expected.map_err(str::to_owned), "{name}");
    }
}

#[tokio::test]
async fn a_factory_beside_wrong_settings_runs_up_to_its_first_wait() {
    let problem =
        async |service: Service| service.problem(&Handle::current()).await.map(|error| error.to_string());
    assert_eq!(problem(Service::new(plain)).await, None);
    assert_eq!(problem(Service::new(text)).await.as_deref(), Some("no DATABASE_URL"));
    assert_eq!(problem(Service::new(late)).await, None, "it waits for something: that is not worth it");
}
