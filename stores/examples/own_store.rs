//! A custom store: turns a table of texts, here a map, into a store of claims and histories. It passes the tests of every
//! store: `cargo test -p drumline-store --features conformance --example own_store`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use drumline_store::{Change, RecordStore, Records, Retention, Store, StoreError};

/// The table: in a real store, a table in your database.
#[derive(Clone, Default)]
struct Table(Arc<Mutex<HashMap<String, (String, SystemTime)>>>);

impl Records for Table {
    async fn read(&self, keys: &[String]) -> Result<Vec<Option<String>>, StoreError> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(keys.iter().map(|key| rows.get(key).map(|(text, _)| text.clone())).collect())
    }

    async fn swap(&self, changes: &[Change]) -> Result<bool, StoreError> {
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = |change: &Change| rows.get(&change.key).map(|(text, _)| text.clone());
        if changes.iter().any(|change| text(change) != change.before) {
            return Ok(false);
        }
        for change in changes {
            rows.insert(change.key.clone(), (change.after.clone(), change.expires));
        }
        // A database would remove expired rows only now and then.
        let now = SystemTime::now();
        rows.retain(|_, (_, expires)| *expires > now);
        Ok(true)
    }
}

/// Returns the store, for `Consumer::store` and similar methods.
fn store(table: Table, owner: Arc<str>, keep: Retention) -> Arc<dyn Store> {
    Arc::new(RecordStore::new(table, owner, keep))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StoreError> {
    let store = store(Table::default(), "worker-1".into(), Retention::default());
    // A service passes it to its host: `Consumer::new(settings, router).store(store)`.
    store.ping().await
}

#[cfg(test)]
mod tests {
    use drumline_store::OpenError;
    use drumline_store::conformance::Subject;

    use super::*;

    fn subject() -> Subject {
        let table = Table::default();
        Subject::new(move |owner, keep| {
            let store = store(table.clone(), owner, keep);
            async { Ok::<_, OpenError>(store) }
        })
    }

    drumline_store::conformance!(subject());
}
