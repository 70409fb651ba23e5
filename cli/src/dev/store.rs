//! The store of `dev`: a file, so that histories outlive the worker. Its claims apply to one start only, like the messages of
//! the embedded queue.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use drumline_runtime::Environment;
use drumline_store::{Location, OpenError, reach};

use super::example::{is_plain, quoted};

/// The file in the folder of `dev`.
const FILE: &str = "jobs.db";

/// The store and the scope that `dev` chooses if neither the environment nor the program sets them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DevStore {
    url: Option<String>,
    scope: Option<String>,
    /// The reason why there is no file.
    problem: Option<String>,
}

impl DevStore {
    /// Chooses the store and the scope, and makes the folder. If there can be no file, histories are kept in memory.
    pub(super) async fn choose(folder: &Path, environment: &Environment) -> Self {
        let is_free = |name: &str| environment.value(name).is_none();
        let scope = is_free("DRUMLINE_SCOPE").then(scope_of_this_start);
        if environment.has_store() || !is_free("DRUMLINE_STORE_URL") {
            return Self { url: None, scope, problem: None };
        }
        match file(folder).await {
            Ok(url) => Self { url: Some(url), scope, problem: None },
            Err(error) => Self { url: None, scope, problem: Some(error) },
        }
    }

    /// Adds the chosen values to the flags of a command line.
    pub(super) fn add_to(&self, flags: &mut BTreeMap<String, String>) {
        for (key, value) in [("store_url", &self.url), ("scope", &self.scope)] {
            if let Some(value) = value {
                flags.insert(key.to_owned(), value.clone());
            }
        }
    }

    /// Returns a sentence about the place of histories and the command to read them; `None` if the environment or the program
    /// sets the store.
    pub(super) fn notice(&self, program: &str) -> Option<String> {
        if let Some(problem) = &self.problem {
            return Some(format!("Histories end with this process, as they are kept in memory: {problem}"));
        }
        let url = self.url.as_ref()?;
        let url = if is_plain(url) { url.clone() } else { quoted(url) };
        Some(format!("Histories are kept beyond this process:\n  {program} jobs show ID --store-url {url}"))
    }
}

/// Returns a scope that is different for each start: the messages of the embedded queue end with the process, and so must their
/// claims.
fn scope_of_this_start() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("dev-{}-{}", since.as_millis(), std::process::id())
}

async fn file(folder: &Path) -> Result<String, String> {
    let folder = std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let location = Location::File(folder.join(FILE));
    let url = location.to_string();
    // Parsed again, because this build may lack the store.
    let location: Location = url.parse().map_err(|error: OpenError| error.to_string())?;
    reach(&location).await.map_err(|error| error.to_string())?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment::of(variables.iter().copied())
    }

    fn keys(store: &DevStore) -> Vec<String> {
        let mut flags = BTreeMap::new();
        store.add_to(&mut flags);
        flags.into_keys().collect()
    }

    #[tokio::test]
    async fn the_store_is_a_file_in_its_folder_unless_another_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("it's new");
        let store = DevStore::choose(&dir, &environment(&[])).await;
        let url = store.url.as_ref().unwrap();
        assert!(url.starts_with("file:/") && url.ends_with("/it's new/jobs.db"), "{url}");
        assert!(store.notice("orders").unwrap().contains("orders jobs show ID --store-url '"));
        assert_eq!(keys(&store), ["scope", "store_url"]);

        let named = DevStore::choose(&dir, &environment(&[("DRUMLINE_STORE_URL", "memory:")])).await;
        assert_eq!((keys(&named), named.notice("orders")), (vec!["scope".to_owned()], None));
        let named = DevStore::choose(&dir, &environment(&[("DRUMLINE_SCOPE", "mine")])).await;
        assert_eq!(keys(&named), ["store_url"]);
    }

    #[tokio::test]
    async fn without_a_folder_histories_are_in_memory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let store = DevStore::choose(&file.path().join("folder"), &environment(&[])).await;
        assert_eq!(keys(&store), ["scope"]);
        assert!(store.notice("orders").unwrap().starts_with("Histories end with this process"));
    }
}
