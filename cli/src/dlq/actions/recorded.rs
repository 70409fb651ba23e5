//! The store from which the commands about actions read.

use drumline_consumer::ExitError;
use drumline_runtime::Environment;
use drumline_store::StoreError;

use crate::dlq::action_store::ActionStore;
use crate::job_lookup::HistorySettings;
use crate::settings_args::SettingsArgs;

/// The settings that determine the store.
pub(super) type StoreArgs = SettingsArgs<HistorySettings>;

pub(super) async fn open(args: &StoreArgs, environment: &Environment) -> Result<ActionStore, ExitError> {
    ActionStore::open(&args.read_for_tool(environment)?).await
}

/// Returns the error of a command whose store does not answer.
pub(in crate::dlq) fn unread(store: &ActionStore, error: &StoreError) -> ExitError {
    ExitError::unavailable(format!("the actions in {} cannot be read: {error}", store.name()))
}

/// Returns the error of a command about an unknown action.
pub(in crate::dlq) fn unknown(store: &ActionStore, name: &str) -> ExitError {
    ExitError::other(format!("{} has no action {name}: `dlq actions` lists those that it has", store.name()))
}
