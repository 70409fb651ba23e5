//! Observers of a host: metrics, logs, live views, histories.

use std::sync::Arc;

use crate::api::event::Event;

/// An observer of a host's events. Metrics, logs and live views are observers; so is the writer of the histories of failed
/// attempts.
///
/// It is called on the host's and the handlers' threads, several at once, so implementations return at once and never panic. No
/// response and no settlement depends on an observer.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use drumline::run::{Event, Observer};
///
/// #[derive(Default)]
/// struct Running(AtomicUsize);
///
/// impl Observer for Running {
///     fn observe(&self, event: &Event<'_>) {
///         match event {
///             Event::RunStarted { .. } => drop(self.0.fetch_add(1, Ordering::Relaxed)),
///             Event::RunEnded { .. } => drop(self.0.fetch_sub(1, Ordering::Relaxed)),
///             _ => {}
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an observer",
    label = "`{Self}` does not implement `drumline::run::Observer`",
    note = "closures are not observers: implement `Observer` for a type of your own, with `fn observe(&self, event: &Event<'_>)`"
)]
pub trait Observer: Send + Sync + 'static {
    /// Receives an event.
    fn observe(&self, event: &Event<'_>);
}

/// An observer that ignores every event.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopObserver;

impl Observer for NoopObserver {
    fn observe(&self, _event: &Event<'_>) {}
}

/// Passes every event to each of them, in order.
impl Observer for Vec<Arc<dyn Observer>> {
    fn observe(&self, event: &Event<'_>) {
        for observer in self {
            observer.observe(event);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use super::*;

    /// Adds its name for every event.
    struct Named(char, Arc<Mutex<String>>);

    impl Observer for Named {
        fn observe(&self, event: &Event<'_>) {
            assert!(matches!(event, Event::InHand { queue: "jobs", count: 3 }), "{event:?}");
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    fn each_of_several_observers_receives_every_event_in_order() {
        let seen = Arc::<Mutex<String>>::default();
        let named = |name| Arc::new(Named(name, Arc::clone(&seen))) as Arc<dyn Observer>;
        let inner: Arc<dyn Observer> = Arc::new(vec![named('b'), Arc::new(NoopObserver), named('c')]);
        let all = vec![named('a'), inner, named('d')];
        for _ in 0..2 {
            all.observe(&Event::InHand { queue: "jobs", count: 3 });
        }
        assert_eq!(*seen.lock().unwrap(), "abcdabcd");
    }
}
