//! SIGHUP: rereads the settings, and applies those that can change without a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::Arc;

use drumline::core::Limits;
use drumline_runtime::{Effective, Problems, Settings, check_descriptors};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::control::Control;

/// Rereads the settings of the process.
pub(crate) type Reread = Arc<dyn Fn() -> Result<Settings, Problems> + Send + Sync>;

/// The task that waits for SIGHUP. Dropping it ends the task.
pub(super) struct Rereading {
    task: JoinHandle<()>,
}

impl Rereading {
    /// Rereads the settings at each SIGHUP. In a terminal, the signal still ends the process, because its window was closed.
    pub(super) fn start(read: Reread, reload: Reload) -> Option<Self> {
        if std::io::stdin().is_terminal() {
            return None;
        }
        let hangups = signal(SignalKind::hangup());
        let hangups = hangups.map_err(|error| warn!(%error, "SIGHUP cannot be caught")).ok()?;
        Some(Self { task: tokio::spawn(follow(hangups, read, reload)) })
    }
}

impl Drop for Rereading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(mut hangups: Signal, read: Reread, reload: Reload) {
    while hangups.recv().await.is_some() {
        match read() {
            Ok(settings) => reload.apply(&settings),
            Err(problems) => error!(%problems, "settings not changed by SIGHUP"),
        }
    }
}

/// The values with which new settings are compared, and the parts that they change.
pub(super) struct Reload {
    /// The settings at the start.
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    pub(super) control: Control,
    /// The names of the queues, in the order of the settings.
    pub(super) names: Vec<String>,
    pub(super) descriptors: Option<u64>,
}

impl Reload {
    fn apply(&self, new: &Settings) {
        if let Err(problem) = check_descriptors(new, self.descriptors) {
            return error!(problem, "settings not changed by SIGHUP");
        }
        let old = &self.settings;
        self.limits.set_rules(new.limits.types.clone());
        for (queue, name) in old.queues.iter().zip(&self.names) {
            if let Some(new) = new.queues.iter().find(|new| new.url == queue.url) {
                self.control.configure(name, new.concurrency);
            }
        }
        let needs_restart = needing_restart(&old.effective, &new.effective);
        let needs_restart = needs_restart.into_iter().collect::<Vec<_>>().join(", ");
        if needs_restart.is_empty() {
            info!("settings reread");
        } else {
            warn!(needs_restart, "settings reread: some changes need a restart");
        }
    }
}

/// Returns the changed settings that are read only at the start.
fn needing_restart(old: &[Effective], new: &[Effective]) -> BTreeSet<String> {
    let by_key = |settings: &[Effective]| -> BTreeMap<(Option<String>, String), Option<String>> {
        let settings = settings
            .iter()
            .filter(|setting| setting.key != "concurrency" && !setting.key.starts_with("limits."));
        settings
            .map(|setting| ((setting.queue.clone(), setting.key.clone()), setting.value.clone()))
            .collect()
    };
    let (old, new) = (by_key(old), by_key(new));
    let keys = old.keys().chain(new.keys());
    keys.filter(|key| old.get(*key) != new.get(*key)).map(|(_, key)| key.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            let url = ("DRUMLINE_QUEUE_URL", "http://127.0.0.1:9324/000000000000/jobs");
            found.or_else(|| (name == url.0).then_some(&url)).map(|(_, value)| (*value).to_owned())
        };
        Settings::read(&BTreeMap::new(), variable, None).unwrap()
    }

    #[test]
    fn what_is_read_at_the_start_only_is_named() {
        let old = settings(&[("DRUMLINE_CONCURRENCY", "5")]);
        let needs = |variables: &[(&str, &str)]| {
            let new = settings(variables);
            needing_restart(&old.effective, &new.effective).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(needs(&[("DRUMLINE_CONCURRENCY", "7")]), [""; 0]);
        let changed = [("DRUMLINE_HANDLER_TIMEOUT", "9m"), ("DRUMLINE_LOG", "debug")];
        assert_eq!(needs(&changed), ["handler_timeout", "log"]);
        let url = "http://127.0.0.1:9324/000000000000/mail";
        assert!(needs(&[("DRUMLINE_QUEUE_URL", url)]).contains(&"handler_timeout".to_owned()));
    }
}
