//! Checks the server settings that determine if it keeps jobs.

use std::collections::HashMap;

use crate::open::OpenError;
use crate::redis::connection::Connection;
use crate::store::StoreError;

/// Refuses a server that may remove jobs to free memory, and warns if it loses them when it restarts. A server that does not
/// show its settings is accepted: the documentation lists the required settings.
pub(super) async fn check(connection: &Connection) -> Result<(), OpenError> {
    let mut call = ::redis::pipe();
    call.cmd("INFO").arg("memory").cmd("INFO").arg("persistence");
    let Ok((memory, persistence)) = connection.send::<(String, String)>(&call).await else { return Ok(()) };
    let settings = settings(&memory, &persistence);
    if let Some(policy) = evicts(&settings) {
        let text = format!(
            "this Redis evicts keys when its memory is full (maxmemory-policy {policy}), and with them jobs that were not sent: set it \
             to noeviction"
        );
        return Err(OpenError::Unavailable(StoreError::Refused(text.into())));
    }
    if settings.get("aof_enabled") == Some(&"0") {
        tracing::warn!("redis has no append-only file: jobs since its last snapshot are lost with a restart");
    }
    Ok(())
}

fn settings<'a>(memory: &'a str, persistence: &'a str) -> HashMap<&'a str, &'a str> {
    memory.lines().chain(persistence.lines()).filter_map(|line| line.trim_end().split_once(':')).collect()
}

/// Returns the policy by which a server may evict the keys of an outbox. The keys do not expire, so `volatile-…` does not evict
/// them.
fn evicts<'a>(settings: &HashMap<&str, &'a str>) -> Option<&'a str> {
    let policy = settings.get("maxmemory_policy").filter(|policy| policy.starts_with("allkeys-"))?;
    settings.get("maxmemory").is_none_or(|maxmemory| *maxmemory != "0").then_some(*policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_evicts_keys_without_expiry_is_found() {
        let table = [
            ("maxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n", Some("allkeys-lru")),
            ("# Memory\r\nmaxmemory_policy:allkeys-random\r\n", Some("allkeys-random")),
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", None),
            ("maxmemory:1000\r\nmaxmemory_policy:volatile-lru\r\n", None),
            ("maxmemory:1000\r\nmaxmemory_policy:noeviction\r\n", None),
            ("", None),
        ];
        for (memory, policy) in table {
            assert_eq!(evicts(&settings(memory, "aof_enabled:1\r\n")), policy, "{memory}");
        }
    }
}
