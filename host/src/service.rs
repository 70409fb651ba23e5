//! The parts of a program that belong to its service and not to its host: how its router is made, and how it ends.

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
    /// A service whose router `factory` makes.
    pub fn new<Kind>(factory: impl RouterFactory<Kind>) -> Self {
        Self { router: factory.make(), hook: None }
    }

    /// Runs `hook` after the drain. It does not run if no router has been made.
    pub fn on_shutdown<Kind>(self, hook: impl ShutdownHook<Kind>) -> Self {
        Self { hook: Some(hook.run()), ..self }
    }

    /// Makes the router on the runtime of handlers, [checks](Router::check) it, and returns it with the end that the service must have.
    pub async fn start(self, handlers: &Handle) -> Result<(Router, Shutdown), FactoryError> {
        let router = make_on(handlers, async { checked(self.router.await?) }).await?;
        Ok((router, Shutdown::new(self.hook, handlers)))
    }

    /// Makes the router on the runtime of handlers, for a program that runs none of its handlers. It is not checked.
    pub async fn router(self, handlers: &Handle) -> Result<Router, FactoryError> {
        make_on(handlers, self.router).await
    }

    /// Runs the factory up to its first wait, for a program that does not start anyway. Returns its error, if it has come to one:
    /// a wrong setting is found this way, and a connection is not waited for.
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
