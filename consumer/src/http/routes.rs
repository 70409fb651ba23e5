//! The routes of the endpoint, which are replaced once the process has started.

use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;

/// The current routes. Cloning returns another handle of the same routes.
#[derive(Clone)]
pub(super) struct Routes(Arc<RwLock<Router>>);

impl Routes {
    pub(super) fn new(routes: Router) -> Self {
        Self(Arc::new(RwLock::new(routes)))
    }

    /// Answers requests by these routes from now on, also those of open connections.
    pub(super) fn replace(&self, routes: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    pub(super) fn current(&self) -> Router {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
