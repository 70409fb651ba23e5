//! The servers for waiting jobs. The producer connects when a job needs one, so a producer without such jobs needs none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use drumline_store::outbox::{self, Outbox};
use drumline_store::{Location, OpenError, Retention, SecretUrl, Store};
use tokio::sync::OnceCell;

/// The owner name of a producer in a store. It makes no claims there.
const OWNER: &str = "drumline-producer";

/// The outbox of a producer. Clones share the connection.
#[derive(Clone)]
pub(crate) struct OutboxServer(Arc<Lazy<dyn Outbox, (SecretUrl, Duration)>>);

/// The store of a producer's workers. Clones share the connection.
#[derive(Clone)]
pub(crate) struct StoreServer(Arc<Lazy<dyn Store, (Location, Retention)>>);

struct Lazy<T: ?Sized, Place> {
    opened: OnceCell<Arc<T>>,
    /// `None` if it was provided open.
    place: Option<Place>,
}

impl<T: ?Sized, Place> Lazy<T, Place> {
    fn given(server: Arc<T>) -> Arc<Self> {
        Arc::new(Self { opened: OnceCell::new_with(Some(server)), place: None })
    }

    fn at(place: Place) -> Arc<Self> {
        Arc::new(Self { opened: OnceCell::new(), place: Some(place) })
    }

    fn place(&self) -> &Place {
        self.place.as_ref().expect("one that is not open has a place")
    }
}

impl OutboxServer {
    pub(crate) fn given(outbox: Arc<dyn Outbox>) -> Self {
        Self(Lazy::given(outbox))
    }

    /// Returns the outbox at this URL.
    pub(crate) fn at(url: SecretUrl, keep_sent: Duration) -> Self {
        Self(Lazy::at((url, keep_sent)))
    }

    /// Connects at the first call.
    pub(crate) async fn get(&self) -> Result<&Arc<dyn Outbox>, OpenError> {
        self.0.opened.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Arc<dyn Outbox>, OpenError> {
        let (url, keep_sent) = self.0.place();
        outbox::open_to_add(url.expose().as_str(), *keep_sent).await
    }
}

/// Two values are equal if they share the connection.
impl PartialEq for OutboxServer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for OutboxServer {}

impl StoreServer {
    pub(crate) fn given(store: Arc<dyn Store>) -> Self {
        Self(Lazy::given(store))
    }

    pub(crate) fn at(location: Location, keep: Retention) -> Self {
        Self(Lazy::at((location, keep)))
    }

    /// Connects at the first call.
    pub(crate) async fn get(&self) -> Result<&Arc<dyn Store>, OpenError> {
        self.0.opened.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Arc<dyn Store>, OpenError> {
        let (location, keep) = self.0.place();
        drumline_store::open(location, OWNER.into(), *keep).await
    }
}

/// Omits the URL, which may contain a password.
impl fmt::Debug for OutboxServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxServer").field("is_open", &self.0.opened.initialized()).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoreServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreServer").field("is_open", &self.0.opened.initialized()).finish_non_exhaustive()
    }
}
