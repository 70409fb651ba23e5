//! Opens the outbox of a command, as the settings determine it.

use std::sync::Arc;

use drumline_consumer::ExitError;
use drumline_runtime::{SecretUrl, Setting, Settings};
use drumline_store::outbox::{self, Outbox};
use drumline_store::{OpenError, StoreError};

use crate::settings_args::{Choice, ShownIn};

/// Help about the choice of the outbox. Paragraphs are single lines, because the width of the terminal is not known.
pub(crate) const WHICH_OUTBOX: &str = "\
DRUMLINE_OUTBOX_URL sets the outbox: postgres://… or redis://…. Without it, the outbox is in the store of DRUMLINE_STORE_URL, if that URL \
is of one of these kinds. PostgreSQL needs a table, which `{program} outbox migrate` creates; Redis needs none.";

/// The settings that name an outbox.
#[derive(Debug)]
pub(crate) enum OutboxSettings {}

impl Choice for OutboxSettings {
    fn includes(key: &str) -> bool {
        matches!(key, "outbox_url" | "store_url")
    }

    fn shown(setting: &Setting) -> ShownIn {
        if setting.key == "outbox_url" { ShownIn::BothHelps } else { ShownIn::LongHelp }
    }
}

/// An outbox that answers.
pub(crate) struct OpenedOutbox {
    pub(crate) outbox: Arc<dyn Outbox>,
    /// The URL of the outbox.
    pub(crate) url: SecretUrl,
}

impl OpenedOutbox {
    /// Opens the outbox of the settings, which must be shared with other processes.
    pub(crate) async fn of(settings: &Settings) -> Result<Self, ExitError> {
        let url = url(settings)?.clone();
        let opened = outbox::open(url.expose().as_str(), settings.outbox_keep).await;
        let outbox = opened.map_err(|error| cannot_be_opened(&url, &error))?;
        Ok(Self { outbox, url })
    }

    /// Returns the error of a command whose outbox no longer answers or refuses a request.
    pub(crate) fn error(&self, error: &StoreError) -> ExitError {
        ExitError::unavailable(format!("the outbox {}: {error}", self.url))
    }
}

/// Returns the URL of the outbox of the settings.
pub(crate) fn url(settings: &Settings) -> Result<&SecretUrl, ExitError> {
    let Some(url) = &settings.outbox_url else {
        return Err(ExitError::usage(format!(
            "no outbox is set, and the store ({}) holds none: set DRUMLINE_OUTBOX_URL, or --outbox-url, to postgres://… or redis://…",
            settings.store.location
        )));
    };
    if url.expose().scheme() == "memory" {
        return Err(ExitError::usage(
            "the outbox is memory:, which is in the process that uses it and nowhere else: set DRUMLINE_OUTBOX_URL, or \
             --outbox-url, to postgres://… or redis://…",
        ));
    }
    Ok(url)
}

/// Returns the error of a command that has no outbox.
pub(crate) fn cannot_be_opened(url: &SecretUrl, error: &OpenError) -> ExitError {
    if error.is_wrong_setting() {
        ExitError::usage(format!("outbox_url: {error}"))
    } else {
        ExitError::unavailable(format!("the outbox {url} cannot be used: {error}"))
    }
}
