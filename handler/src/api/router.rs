//! From a job's type to its handler.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use foldhash::fast::RandomState;
use serde_json::value::RawValue;
use tower_layer::Layer;
use tower_service::Service;

use crate::api::context::Context;
use crate::api::failure::Failure;
use crate::api::job::{self, Job};
use crate::message::envelope::TYPE_ATTRIBUTE;
use crate::message::identity::KeyScope;
use crate::message::sqs_message::Message;

/// The type of messages that a router takes as they are, if nothing names another.
pub const RAW_TYPE: &str = "raw";

/// A handler's future, type erased.
pub type HandlerFuture = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Handles jobs of one type. Implemented by every `async fn(Context, J) -> Result<(), Failure>`.
///
/// A handler with state implements it on its own type, or is a closure over it:
///
/// ```
/// use std::sync::Arc;
/// use drumline::{Context, Failure, Handler, Job, Router};
///
/// # #[derive(serde::Deserialize)] struct Welcome { user_id: u64 }
/// # impl Job for Welcome { const TYPE: &'static str = "welcome"; }
/// struct Mailer { /* connections */ }
///
/// impl Handler<Welcome> for Mailer {
///     async fn handle(&self, ctx: Context, job: Welcome) -> Result<(), Failure> {
///         Ok(())
///     }
/// }
/// let router = Router::new().handle(Mailer {});
/// assert_eq!(router.types().collect::<Vec<_>>(), ["welcome"]);
/// ```
pub trait Handler<J>: Send + Sync + 'static {
    /// Makes one attempt at the job. It may run again for the same job at any time: its effects have to bear that.
    fn handle(&self, context: Context, job: J) -> impl Future<Output = Result<(), Failure>> + Send;
}

impl<J, F, Fut> Handler<J> for F
where
    F: Fn(Context, J) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Failure>> + Send,
{
    fn handle(&self, context: Context, job: J) -> impl Future<Output = Result<(), Failure>> + Send {
        self(context, job)
    }
}

/// One attempt on its way to a handler: what tower layers see.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The attempt.
    pub context: Context,
    /// The payload as JSON, not yet read as the job's type.
    pub payload: Box<RawValue>,
}

type Erased = Arc<dyn Fn(Invocation) -> HandlerFuture + Send + Sync>;

/// A handler as a [`tower_service::Service`], always ready: what layers wrap.
#[derive(Clone)]
pub struct HandlerService(Erased);

impl Service<Invocation> for HandlerService {
    type Response = ();
    type Error = Failure;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, invocation: Invocation) -> HandlerFuture {
        (self.0)(invocation)
    }
}

#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) job_type: Arc<str>,
    pub(crate) version: u32,
    keys: Option<ReadKeys>,
    handler: Erased,
}

/// Reads a payload for the keys that only the job itself knows.
type ReadKeys = fn(u32, &RawValue) -> Result<Keys, Failure>;

/// The keys that a job makes of its payload.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) idempotency_key: Option<String>,
    pub(crate) scope: KeyScope,
    pub(crate) lock: Option<String>,
}

impl Route {
    /// The keys that the job makes of its payload; none where its type has none of its own.
    pub(crate) fn keys(&self, version: u32, payload: &RawValue) -> Result<Keys, Failure> {
        self.keys.map_or_else(|| Ok(Keys::default()), |read| read(version, payload))
    }

    pub(crate) fn call(&self, invocation: Invocation) -> HandlerFuture {
        (self.handler)(invocation)
    }
}

/// The handlers of a service, by job type. Both hosts take the same router.
#[derive(Clone, Default)]
pub struct Router {
    routes: HashMap<Arc<str>, Route, RandomState>,
    undecoded: Option<Route>,
}

impl Router {
    /// A router without any handler.
    pub fn new() -> Self {
        Self::default()
    }

    /// A router whose every message goes to `handler` as it is, whatever its body holds: for forwarding.
    ///
    /// If the body happens to be an envelope, the context has its type and ids. Otherwise the type is the message attribute
    /// `messageType`, the queue's default type, or [`RAW_TYPE`].
    pub fn undecoded<F, Fut>(handler: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler: Erased = Arc::new(move |invocation| Box::pin(handler(invocation.context)));
        let route = Route { job_type: Arc::from(RAW_TYPE), version: u32::MAX, keys: None, handler };
        Self { routes: HashMap::default(), undecoded: Some(route) }
    }

    /// Adds the handler of `J`.
    ///
    /// # Panics
    /// Where `J::TYPE` already has a handler: two handlers of one type are a mistake in the program.
    pub fn handle<J: Job, H: Handler<J>>(self, handler: H) -> Self {
        let handler = Arc::new(handler);
        self.add::<J>(Arc::new(move |invocation: Invocation| {
            let handler = Arc::clone(&handler);
            match job::decode::<J>(invocation.context.version, &invocation.payload) {
                Ok(job) => Box::pin(async move { handler.handle(invocation.context, job).await }),
                Err(failure) => Box::pin(std::future::ready(Err(failure))),
            }
        }))
    }

    /// Adds a handler of `J` that is plain blocking code, such as image work. It runs on a thread made for that; see
    /// [`Context::blocking`].
    ///
    /// # Panics
    /// As [`handle`](Self::handle).
    pub fn handle_blocking<J, F>(self, handler: F) -> Self
    where
        J: Job,
        F: Fn(Context, J) -> Result<(), Failure> + Send + Sync + 'static,
    {
        let handler = Arc::new(handler);
        self.handle(move |context: Context, job: J| {
            let handler = Arc::clone(&handler);
            async move {
                let inner = context.clone();
                context.blocking(move || handler(inner, job)).await
            }
        })
    }

    fn add<J: Job>(mut self, handler: Erased) -> Self {
        assert!(J::VERSION >= 1, "the version of job type {} starts at 1", J::TYPE);
        let job_type: Arc<str> = Arc::from(J::TYPE);
        let has_keys = J::IDEMPOTENCY_KEY.is_some() || J::LOCK.is_some();
        let keys = has_keys.then_some(read_keys::<J> as ReadKeys);
        let route = Route { job_type: Arc::clone(&job_type), version: J::VERSION, keys, handler };
        let before = self.routes.insert(job_type, route);
        assert!(before.is_none(), "job type {} has two handlers", J::TYPE);
        self
    }

    /// Wraps every handler added so far in a tower layer: limits, timing, tracing.
    ///
    /// A layer that fails a request by an error of its own (a limit, say) says with it what [`Failure`] says: any
    /// [`std::error::Error`] means *retry*.
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: Layer<HandlerService>,
        L::Service: Service<Invocation, Response = ()> + Clone + Send + Sync + 'static,
        <L::Service as Service<Invocation>>::Error: Into<Failure>,
        <L::Service as Service<Invocation>>::Future: Send + 'static,
    {
        for route in self.routes.values_mut().chain(&mut self.undecoded) {
            let service = layer.layer(HandlerService(Arc::clone(&route.handler)));
            route.handler = Arc::new(move |invocation| Box::pin(oneshot(service.clone(), invocation)));
        }
        self
    }

    /// The job types that have a handler, in order.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        let mut types: Vec<&str> = self.routes.keys().map(|name| &**name).collect();
        types.sort_unstable();
        types.into_iter()
    }

    pub(crate) fn undecoded_route(&self) -> Option<&Route> {
        self.undecoded.as_ref()
    }

    pub(crate) fn route(&self, job_type: &str) -> Option<&Route> {
        self.routes.get(job_type)
    }

    /// Why there is no handler for a type, in the words of whoever has to mend it.
    pub(crate) fn missing(&self, job_type: &str) -> String {
        let known: Vec<&str> = self.types().collect();
        format!("no handler for type {job_type:?}; there are handlers for {}", known.join(", "))
    }
}

fn read_keys<J: Job>(version: u32, payload: &RawValue) -> Result<Keys, Failure> {
    let job: J = job::decode(version, payload)?;
    let key = |compute: Option<fn(&J) -> String>| compute.map(|key| key(&job)).filter(|key| !key.is_empty());
    Ok(Keys { idempotency_key: key(J::IDEMPOTENCY_KEY), scope: J::KEY_SCOPE, lock: key(J::LOCK) })
}

async fn oneshot<S>(mut service: S, invocation: Invocation) -> Result<(), Failure>
where
    S: Service<Invocation, Response = ()>,
    S::Error: Into<Failure>,
{
    std::future::poll_fn(|cx| Poll::Ready(ready!(service.poll_ready(cx)))).await.map_err(Into::into)?;
    service.call(invocation).await.map_err(Into::into)
}

/// The type of a message that is not decoded: what its attribute says.
pub(crate) fn undecoded_type(message: &Message, route: &Route) -> Arc<str> {
    message.attribute(TYPE_ATTRIBUTE).map_or_else(|| Arc::clone(&route.job_type), Arc::from)
}
