//! The outbox of a command: which one the settings mean, and why it cannot be used.

use std::sync::Arc;

use drumline_consumer::ExitError;
use drumline_runtime::{SecretUrl, Setting, Settings};
use drumline_store::outbox::{self, Outbox};
use drumline_store::{OpenError, StoreError};

use crate::settings_args::{Choice, ShownIn};

/// The part of the helps about the outbox that is meant. Paragraphs are lines, since a terminal is as wide as it is.
pub(crate) const WHICH_OUTBOX: &str = "\
The outbox is that of DRUMLINE_OUTBOX_URL, postgres://… or redis://…; without it, that of DRUMLINE_STORE_URL if it is one of these. A \
table of PostgreSQL is made by `{program} outbox migrate`; Redis needs none.";

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
    /// Its URL.
    pub(crate) url: SecretUrl,
}

impl OpenedOutbox {
    /// Opens the outbox of the settings, which must be one that other processes see, too.
    pub(crate) async fn of(settings: &Settings) -> Result<Self, ExitError> {
        let url = url(settings)?.clone();
        let opened = outbox::open(url.expose().as_str(), settings.outbox_keep).await;
        let outbox = opened.map_err(|error| cannot_be_opened(&url, &error))?;
        Ok(Self { outbox, url })
    }

    /// The end of a command whose outbox does not answer any more, or refuses something.
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

/// The end of a command that has no outbox.
pub(crate) fn cannot_be_opened(url: &SecretUrl, error: &OpenError) -> ExitError {
    if error.is_wrong_setting() {
        ExitError::usage(format!("outbox_url: {error}"))
    } else {
        ExitError::unavailable(format!("the outbox {url} cannot be used: {error}"))
    }
}
