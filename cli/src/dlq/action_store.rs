//! The place where actions are recorded: the store that workers share, or files on this machine.

use std::sync::Arc;
use std::time::Duration;

use drumline_consumer::ExitError;
use drumline_dlq::action::{ActionLock, ActionRecord};
use drumline_runtime::Settings;
use drumline_store::{MAX_DOCUMENT_KEEP, Store, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::action_files::ActionFiles;
use super::journal;
use crate::format::note;
use crate::job_lookup::{Histories, LookupError};

/// The kinds of documents.
const ACTIONS: &str = "dlq-actions";
const LOCKS: &str = "dlq-locks";

/// The longest time that one of these calls may take. A store answers or fails within about three seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// A place for records of actions and locks of DLQs.
#[derive(Clone)]
pub(super) enum ActionStore {
    Shared(Arc<dyn Store>),
    Files(ActionFiles),
    /// Records are lost, because this machine cannot keep them either.
    Nowhere,
}

/// A value with the text from which it was read. A change must replace this text.
pub(super) struct Read<T> {
    pub(super) value: T,
    text: String,
}

impl ActionStore {
    /// Opens the store of the settings. If the store keeps no documents or cannot be reached, actions are recorded in files on
    /// this machine, so that an operator can act while the store is down.
    pub(super) async fn open(settings: &Settings) -> Result<Self, ExitError> {
        let location = &settings.store.location;
        let why = match Histories::open(settings).await {
            Ok(Histories::Store(store)) => match patiently(store.document(ACTIONS, "any")).await {
                Ok(_) => return Ok(Self::Shared(store)),
                Err(error) => format!("the store {location}: {error}"),
            },
            Err(LookupError::Settings(text)) if location.outlives_its_process() => {
                return Err(ExitError::usage(text));
            }
            // The store is the memory of a worker.
            Ok(Histories::Worker { .. }) | Err(LookupError::Settings(_)) => return Ok(Self::files()),
            Err(LookupError::Unavailable(text)) => text,
        };
        note(&format!(
            "actions are recorded on this machine only, and other operators do not see them: {why}"
        ));
        Ok(Self::files())
    }

    /// Uses the folder of journals. An operator must be able to act even if there is none.
    fn files() -> Self {
        let folder =
            journal::folder().ok().filter(|folder| crate::state_folder::create_folder(folder).is_ok());
        folder.map_or(Self::Nowhere, |folder| Self::Files(ActionFiles::new(folder)))
    }

    /// Returns the name of the place for messages.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Shared(_) => "the store".to_owned(),
            Self::Files(files) => files.folder().display().to_string(),
            Self::Nowhere => "no folder of this machine".to_owned(),
        }
    }

    pub(super) async fn action(&self, name: &str) -> Result<Option<Read<ActionRecord>>, StoreError> {
        self.read(ACTIONS, name).await
    }

    /// Returns the actions, the one with the latest report first. Actions that this version cannot read are left out.
    pub(super) async fn actions(&self) -> Result<Vec<ActionRecord>, StoreError> {
        let documents = match self {
            Self::Shared(store) => patiently(store.documents(ACTIONS)).await?,
            Self::Files(files) => files.list(ACTIONS).map_err(|error| failed(files, &error))?,
            Self::Nowhere => Vec::new(),
        };
        Ok(documents.iter().filter_map(|document| serde_json::from_str(&document.text).ok()).collect())
    }

    /// Writes an action if its record has not changed since it was read. `None` means that there must be no record yet.
    pub(super) async fn put_action(
        &self,
        before: Option<&Read<ActionRecord>>,
        after: &ActionRecord,
    ) -> Result<bool, StoreError> {
        self.put(ACTIONS, &after.name, before.map(|read| &*read.text), after).await
    }

    pub(super) async fn lock(&self, dlq: &str) -> Result<Option<Read<ActionLock>>, StoreError> {
        self.read(LOCKS, dlq).await
    }

    pub(super) async fn put_lock(
        &self,
        dlq: &str,
        before: Option<&Read<ActionLock>>,
        after: &ActionLock,
    ) -> Result<bool, StoreError> {
        self.put(LOCKS, dlq, before.map(|read| &*read.text), after).await
    }

    async fn read<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Result<Option<Read<T>>, StoreError> {
        let text = match self {
            Self::Shared(store) => patiently(store.document(kind, name)).await?,
            Self::Files(files) => files.get(kind, name).map_err(|error| failed(files, &error))?,
            Self::Nowhere => None,
        };
        let Some(text) = text else { return Ok(None) };
        let value = serde_json::from_str(&text).map_err(|_| {
            let text = format!("{name}: its record cannot be read: it is of a newer version, or damaged");
            StoreError::Refused(text.into())
        })?;
        Ok(Some(Read { value, text }))
    }

    async fn put(
        &self,
        kind: &str,
        name: &str,
        before: Option<&str>,
        after: &impl Serialize,
    ) -> Result<bool, StoreError> {
        let after = serde_json::to_string(after).expect("it is made of texts and numbers");
        match self {
            Self::Shared(store) => {
                patiently(store.put_document(kind, name, before, &after, MAX_DOCUMENT_KEEP)).await
            }
            Self::Files(files) => {
                files.put(kind, name, before, &after).map_err(|error| failed(files, &error))
            }
            Self::Nowhere => Ok(true),
        }
    }
}

async fn patiently<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let silent = |_| StoreError::Unanswered(format!("no answer within {} s", PATIENCE.as_secs()).into());
    tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|elapsed| Err(silent(elapsed)))
}

fn failed(files: &ActionFiles, error: &std::io::Error) -> StoreError {
    StoreError::Unanswered(format!("{}: {error}", files.folder().display()).into())
}
