//! The settings of webhooks.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use super::variables::{WEBHOOK_ENDPOINTS, WEBHOOK_TIMEOUT};

/// Receivers should respond at once and do their work later. Standard Webhooks recommends a wait of 15 to 30 seconds.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// Far longer than any receiver's own limits.
const MAX_TIMEOUT: Duration = Duration::from_mins(10);

/// The settings of webhooks.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// The file of the endpoints; `None` if none is set.
    pub(crate) endpoints: Option<PathBuf>,
    /// The time limit of one request, from connecting to the response's last byte.
    pub(crate) timeout: Duration,
}

impl WebhookSettings {
    pub(super) const UNSET: Self = Self { endpoints: None, timeout: DEFAULT_TIMEOUT };

    pub(super) fn read(read: &mut Reader<impl Fn(&str) -> Option<String>>) -> Self {
        let endpoints = read.get(WEBHOOK_ENDPOINTS).map(|path| read.folder(WEBHOOK_ENDPOINTS, &path));
        let timeout = read.time(WEBHOOK_TIMEOUT, DEFAULT_TIMEOUT, MAX_TIMEOUT);
        Self { endpoints, timeout }
    }
}
