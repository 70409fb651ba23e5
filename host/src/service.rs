//! The parts of a program that belong to its service and not to its host: the factory of its router, and its end.

mod factory;
mod shutdown_hook;

use drumline::Router;
use futures_util::FutureExt;
use tokio::runtime::Handle;

use crate::sqs::BoxFuture;
pub use factory::{BoxError, FactoryError, RouterFactory, make_on};
pub use shutdown_hook::{Shutdown, ShutdownHook};

/// The parts of a program that belong to its service: the factory of its router, and a hook after the drain.
pub struct Service {
    router: BoxFuture<Result<Router, BoxError>>,
    hook: Option<BoxFuture<Result<(), BoxError>>>,
}

impl Service {
    /// Makes a service with the router of `factory`.
    pub fn new<Kind>(factory: impl RouterFactory<Kind>) -> Self {
        Self { router: factory.make(), hook: None }
    }

    /// Runs `hook` after the drain. It does not run if no router was made.
    pub fn on_shutdown<Kind>(self, hook: impl ShutdownHook<Kind>) -> Self {
        Self { hook: Some(hook.run()), ..self }
    }

    /// Makes the router on the runtime of handlers, [checks](Router::check) it, and returns it with the service's shutdown.
    pub async fn start(self, handlers: &Handle) -> Result<(Router, Shutdown), FactoryError> {
        let router = make_on(handlers, async { checked(self.router.await?) }).await?;
        Ok((router, Shutdown::new(self.hook, handlers)))
    }

    /// Makes the router on the runtime of handlers, for a program that runs no handlers. The router is not checked.
    pub async fn router(self, handlers: &Handle) -> Result<Router, FactoryError> {
        make_on(handlers, self.router).await
    }

    /// Runs the factory until its first wait, for a program that does not start because of other errors. Returns its error, if
    /// there is one: this finds a wrong setting without waiting for a connection.
    pub async fn problem(self, handlers: &Handle) -> Option<FactoryError> {
        let router = self.router;
        let attempt =
            async move { router.now_or_never().map_or(Ok(()), |made| made.and_then(checked).map(drop)) };
        make_on(handlers, attempt).await.err()
    }
}

fn checked(router: Router) -> Result<Router, BoxError> {
    router.check()?;
    Ok(router)
}

#[cfg(test)]
mod tests;
