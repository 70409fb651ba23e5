//! The router of all jobs.

use std::sync::Arc;

use drumline::Router;

use crate::billing;
#[cfg(feature = "mail")]
use crate::email;
#[cfg(feature = "images")]
use crate::image;
use crate::lead;
use crate::report;
use crate::settings::Settings;
use crate::storage::Storage;
use crate::webhook;

/// Returns the handlers of all built-in jobs of this crate.
///
/// Nothing is connected before the first job needs it. The handlers must run on tokio, as in both hosts.
pub fn router(settings: &Settings) -> Router {
    let storage = Arc::new(Storage::new(settings));
    let router =
        Router::new().handle(billing::Biller::new(settings)).handle(webhook::Deliverer::new(settings));
    let router = lead::handlers(router, settings);
    #[cfg(feature = "mail")]
    let router = router.handle(email::EmailSender::new(settings));
    #[cfg(feature = "images")]
    let router = router.handle(image::ImageProcessor::new(settings, Arc::clone(&storage)));
    router.handle(report::ReportGenerator::new(storage, settings.formulas))
}
