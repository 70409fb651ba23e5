//! The jobs of this service and their handlers, for both programs and for tests.

pub mod report;
pub mod welcome;

use drumline::Router;

/// Returns the handlers. The worker and the function run the same ones.
pub fn router() -> Router {
    Router::new()
        .handle(welcome::welcome)
        .handle(report::report)
}
