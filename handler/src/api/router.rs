//! Finds the handler of a job type.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};

use foldhash::fast::RandomState;
use serde_json::value::RawValue;
use tower_layer::Layer;
use tower_service::Service;

use crate::api::arrivals::Arrivals;
use crate::api::context::Context;
use crate::api::dead_job::{DeadJob, DeadJobHook};
use crate::api::decoded::{self, Decode, Decoded, Panic, TypedJob};
use crate::api::failure::Failure;
use crate::api::handler::{BlockingHandler, Handler, HandlerFuture};
use crate::api::job::Job;
use crate::api::job_type::{JobType, problems_of};
use crate::message::envelope::TYPE_ATTRIBUTE;
use crate::message::sqs_message::Message;

/// The type of messages of a [passthrough](Router::passthrough) router if they have no other.
pub const RAW_TYPE: &str = "raw";

/// One attempt on its way to a handler, as tower layers receive it.
///
/// Its payload has been decoded once. A clone, for example of a layer that retries, decodes it again if it is called.
pub struct Invocation {
    /// The attempt.
    pub context: Context,
    payload: Box<RawValue>,
    /// In a mutex only for layers that share an invocation between threads: only the handler takes the job.
    job: Mutex<TypedJob>,
}

impl Invocation {
    pub(crate) fn new(context: Context, payload: Box<RawValue>, job: TypedJob) -> Self {
        Self { context, payload, job: Mutex::new(job) }
    }

    /// The payload as JSON.
    pub fn payload(&self) -> &RawValue {
        &self.payload
    }

    /// Replaces the payload, for example by a layer that decrypts: the handler's job is decoded from the new one. The job's
    /// keys stay those of the received payload.
    pub fn set_payload(&mut self, payload: Box<RawValue>) {
        self.payload = payload;
        self.job = Mutex::default();
    }

    /// Passes the job to its handler.
    fn start(self, decode: &Decode) -> HandlerFuture {
        let job = self.job.into_inner().unwrap_or_else(PoisonError::into_inner);
        job.start(self.context, &self.payload, decode)
    }
}

impl Clone for Invocation {
    fn clone(&self) -> Self {
        Self::new(self.context.clone(), self.payload.clone(), TypedJob::Undecoded)
    }
}

impl fmt::Debug for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invocation").field("context", &self.context).finish_non_exhaustive()
    }
}

type Erased = Arc<dyn Fn(Invocation) -> HandlerFuture + Send + Sync>;

/// A handler as a [`tower_service::Service`] that layers wrap. It is always ready.
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

/// A tower layer for handlers. A separate trait, so that compiler errors explain how a function becomes one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a layer",
    label = "expected a `tower_layer::Layer<HandlerService>`",
    note = "a function from a `drumline::run::HandlerService` to another service becomes a layer by `tower_layer::layer_fn`"
)]
pub trait HandlerLayer {
    /// The wrapped handler.
    type Wrapped;
    /// Wraps a handler.
    fn wrap(&self, handler: HandlerService) -> Self::Wrapped;
}

#[diagnostic::do_not_recommend]
impl<L: Layer<HandlerService>> HandlerLayer for L {
    type Wrapped = L::Service;

    fn wrap(&self, handler: HandlerService) -> L::Service {
        self.layer(handler)
    }
}

#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) job_type: JobType,
    decode: Decode,
    handler: Erased,
}

impl Route {
    /// Decodes a payload, for the handler and for the keys that are derived from it.
    pub(crate) fn decode(&self, version: u32, payload: &RawValue) -> Result<Decoded, Panic> {
        (self.decode)(version, payload)
    }

    /// Returns the reason why there is no handler for a job of this version, if it is newer than the handler's.
    pub(crate) fn newer(&self, version: u32) -> Option<String> {
        let JobType { name, version: newest, .. } = &self.job_type;
        (version > *newest).then(|| {
            format!("{name} version {version} is newer than {newest}, the newest this build handles")
        })
    }

    pub(crate) fn call(&self, invocation: Invocation) -> HandlerFuture {
        (self.handler)(invocation)
    }
}

/// The handlers of a service, by job type. Both hosts take the same router.
#[derive(Clone, Default)]
pub struct Router {
    routes: HashMap<Arc<str>, Route, RandomState>,
    passthrough: Option<Route>,
    pub(crate) problems: Vec<String>,
    /// Of the batch handlers, if there are any.
    pub(crate) arrivals: Option<Arrivals>,
    dead_job_hook: Option<DeadJobHook>,
}

/// The reasons why no host can run a router's handlers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRouter(Vec<String>);

impl fmt::Display for InvalidRouter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for InvalidRouter {}

impl Router {
    /// Returns a router without handlers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls this hook for each dead job: a job whose last attempt failed, so that its message moves to the DLQ.
    ///
    /// The hook is called at least once for each dead job, always with the same [key](DeadJob::key), which should make its effect happen
    /// once. While the worker or the function lives, the hook is called before the message moves; the message stays invisible meanwhile.
    /// The hook has three tries of 10 s.
    /// If the process is killed on the last receive, a worker with `dlq_watch = on` calls it once the message is in the DLQ.
    ///
    /// ```
    /// use drumline::Router;
    /// use drumline::run::DeadJob;
    ///
    /// async fn alert(job: DeadJob) -> Result<(), std::io::Error> {
    ///     // INSERT INTO dead_jobs (key, …) VALUES ($1, …) ON CONFLICT DO NOTHING
    ///     println!("{}: {} of {}", job.key, job.reason, job.queue);
    ///     Ok(())
    /// }
    /// let router = Router::new().on_dead_job(alert);
    /// # assert!(router.dead_job_hook().is_some());
    /// ```
    #[must_use]
    pub fn on_dead_job<F, Fut, E>(self, hook: F) -> Self
    where
        F: Fn(DeadJob) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        Self { dead_job_hook: Some(DeadJobHook::new(hook)), ..self }
    }

    /// Returns the hook for dead jobs. Hosts call it.
    pub fn dead_job_hook(&self) -> Option<&DeadJobHook> {
        self.dead_job_hook.as_ref()
    }

    /// Returns a router that passes every message to `handler` without decoding its body: for forwarding.
    ///
    /// If the body is an envelope, the context has its type and ids. Otherwise the type is the message attribute
    /// `messageType`, the queue's default type, or [`RAW_TYPE`].
    pub fn passthrough<F, Fut>(handler: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let handler: Erased = Arc::new(move |invocation| Box::pin(handler(invocation.context)));
        let route =
            Route { job_type: JobType::passthrough(RAW_TYPE), decode: decoded::passthrough(), handler };
        Self { passthrough: Some(route), ..Self::default() }
    }

    /// Adds the handler of `J`. Hosts refuse to start if a type has two handlers, or if `J` has impossible values: see
    /// [`check`](Self::check).
    pub fn handle<J: Job, H: Handler<J>>(mut self, handler: H) -> Self {
        let handler = Arc::new(handler);
        let decode: Decode =
            Arc::new(move |version, payload| decoded::decode::<J, H>(version, payload, &handler));
        let again = Arc::clone(&decode);
        let handler: Erased = Arc::new(move |invocation: Invocation| invocation.start(&again));
        self.problems.extend(problems_of::<J>());
        let route = Route { job_type: JobType::of::<J>(), decode, handler };
        match self.routes.entry(Arc::clone(&route.job_type.name)) {
            Entry::Vacant(entry) => drop(entry.insert(route)),
            Entry::Occupied(_) => self.problems.push(format!(
                "job type {}: two handlers are registered, the second for {}; a type has one handler",
                J::TYPE,
                std::any::type_name::<J>()
            )),
        }
        self
    }

    /// Checks the handlers, as hosts do at their start.
    ///
    /// # Errors
    /// If a type has two handlers, or impossible values.
    ///
    /// ```
    /// # use drumline::{Context, Failure, Job, Router};
    /// # #[derive(serde::Deserialize)] struct Welcome {}
    /// # impl Job for Welcome { const TYPE: &'static str = "welcome"; }
    /// # async fn welcome(_: Context, _: Welcome) -> Result<(), Failure> { Ok(()) }
    /// assert!(Router::new().handle(welcome).check().is_ok());
    /// let error = Router::new().handle(welcome).handle(welcome).check().unwrap_err();
    /// assert!(error.to_string().starts_with("job type welcome: two handlers are registered"));
    /// ```
    pub fn check(&self) -> Result<(), InvalidRouter> {
        if self.problems.is_empty() { Ok(()) } else { Err(InvalidRouter(self.problems.clone())) }
    }

    /// Adds a handler of `J` that is blocking code, such as image work. It runs on a thread for such work; see
    /// [`Context::blocking`].
    pub fn handle_blocking<J: Job, F: BlockingHandler<J>>(self, handler: F) -> Self {
        let handler = Arc::new(handler);
        self.handle(move |context: Context, job: J| {
            let handler = Arc::clone(&handler);
            async move {
                let inner = context.clone();
                context.blocking(move || handler(inner, job)).await
            }
        })
    }

    /// Wraps every handler added so far in a tower layer: limits, timing, tracing.
    ///
    /// Around a [batch handler](crate::batch), a layer wraps each item separately: its wait for the batch, and the batch's run.
    /// If a layer delays jobs, they join the batch later.
    ///
    /// An error of the layer, for example a limit, fails the attempt: as with `?`, any error means *retry*.
    #[allow(clippy::needless_pass_by_value, reason = "layers are values, as everywhere in tower")]
    pub fn layer<L>(mut self, layer: L) -> Self
    where
        L: HandlerLayer,
        L::Wrapped: Service<Invocation, Response = ()> + Clone + Send + Sync + 'static,
        <L::Wrapped as Service<Invocation>>::Error: Into<Failure>,
        <L::Wrapped as Service<Invocation>>::Future: Send + 'static,
    {
        for route in self.routes.values_mut().chain(&mut self.passthrough) {
            let service = layer.wrap(HandlerService(Arc::clone(&route.handler)));
            route.handler = Arc::new(move |invocation| Box::pin(oneshot(service.clone(), invocation)));
        }
        self
    }

    /// Returns the job types that have a handler, in order.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        let mut types: Vec<&str> = self.routes.keys().map(|name| &**name).collect();
        types.sort_unstable();
        types.into_iter()
    }

    /// Returns the job types that have a handler, with the values that their code sets, in the order of their names.
    pub fn job_types(&self) -> impl Iterator<Item = &JobType> {
        let mut types: Vec<&JobType> = self.routes.values().map(|route| &route.job_type).collect();
        types.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        types.into_iter()
    }

    pub(crate) fn passthrough_route(&self) -> Option<&Route> {
        self.passthrough.as_ref()
    }

    pub(crate) fn route(&self, job_type: &str) -> Option<&Route> {
        self.routes.get(job_type)
    }

    /// Returns the reason why a type has no handler, with a remedy.
    pub(crate) fn missing(&self, job_type: &str) -> String {
        let known: Vec<&str> = self.types().collect();
        format!("no handler for type {job_type:?}; there are handlers for {}", known.join(", "))
    }
}

async fn oneshot<S>(mut service: S, invocation: Invocation) -> Result<(), Failure>
where
    S: Service<Invocation, Response = ()>,
    S::Error: Into<Failure>,
{
    std::future::poll_fn(|cx| Poll::Ready(ready!(service.poll_ready(cx)))).await.map_err(Into::into)?;
    service.call(invocation).await.map_err(Into::into)
}

/// Returns the type of a message that is not decoded, from its attribute.
pub(crate) fn passthrough_type(message: &Message, route: &Route) -> Arc<str> {
    message.attribute(TYPE_ATTRIBUTE).map_or_else(|| Arc::clone(&route.job_type.name), Arc::from)
}
