//! The tenants with their own label in metrics: those with the most recent starts.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::type_labels::OTHER_TYPE;

/// The number of tenants of a queue with their own label; further ones count as [`OTHER_TENANT`].
pub const MAX_TENANTS: usize = 20;

/// The label of the tenants beyond [`MAX_TENANTS`].
pub const OTHER_TENANT: &str = OTHER_TYPE;

/// The time after which a start counts half: long enough that tenants do not alternate, short enough that a tenant that floods
/// a queue gets its label within minutes.
const HALF_LIFE: Duration = Duration::from_secs(600);

/// The number of tenants whose starts are counted. A further tenant replaces the one with the fewest starts.
const MAX_COUNTED: usize = 1000;

/// A tenant takes the label of another one if it has this multiple of its starts, so that two similar ones do not alternate.
const LEAD: f64 = 1.25;

/// The tenants of a queue, by their starts.
///
/// ```
/// use drumline_runtime::TenantLabels;
/// # #[allow(clippy::disallowed_methods)]
/// let now = std::time::Instant::now();
/// let tenants = TenantLabels::default();
/// assert_eq!(tenants.started("acme", now).label(), "acme");
/// assert_eq!(tenants.label("acme"), "acme");
/// assert_eq!(tenants.label("globex"), "other");
/// ```
#[derive(Debug, Default)]
pub struct TenantLabels(Mutex<Tenants>);

#[derive(Debug, Default)]
struct Tenants {
    counted: HashMap<Arc<str>, Starts>,
    named: HashSet<Arc<str>>,
}

/// The starts of a tenant; each counts half after each half-life.
#[derive(Debug, Clone, Copy)]
struct Starts {
    count: f64,
    at: Instant,
}

/// The label of a tenant whose job starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantStart {
    name: Option<Arc<str>>,
    /// The tenant that has lost its label to this one.
    pub ended: Option<Arc<str>>,
}

impl TenantStart {
    /// The label.
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(OTHER_TENANT)
    }
}

impl TenantLabels {
    /// Counts a start, and returns the tenant's label.
    pub fn started(&self, tenant: &str, now: Instant) -> TenantStart {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).started(tenant, now)
    }

    /// Returns the label of a tenant.
    pub fn label<'a>(&self, tenant: &'a str) -> &'a str {
        let tenants = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.named.contains(tenant) { tenant } else { OTHER_TENANT }
    }
}

impl Starts {
    fn by(self, now: Instant) -> f64 {
        let half_lives = now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.count * (-half_lives).exp2()
    }
}

impl Tenants {
    fn started(&mut self, tenant: &str, now: Instant) -> TenantStart {
        let (tenant, count) = self.count(tenant, now);
        if self.named.contains(&tenant) {
            return TenantStart { name: Some(tenant), ended: None };
        }
        let ended = if self.named.len() < MAX_TENANTS {
            None
        } else {
            match self.fewest(now, |tenants, name| tenants.named.contains(name)) {
                Some((last, fewest)) if count > LEAD * fewest => Some(last),
                _ => return TenantStart { name: None, ended: None },
            }
        };
        if let Some(ended) = &ended {
            self.named.remove(ended);
        }
        self.named.insert(Arc::clone(&tenant));
        TenantStart { name: Some(tenant), ended }
    }

    /// Counts a start; returns the tenant's name and its recent starts.
    fn count(&mut self, tenant: &str, now: Instant) -> (Arc<str>, f64) {
        if let Some((name, starts)) = self.counted.get_key_value(tenant) {
            let (name, count) = (Arc::clone(name), starts.by(now) + 1.0);
            self.counted.insert(Arc::clone(&name), Starts { count, at: now });
            return (name, count);
        }
        let mut count = 1.0;
        if self.counted.len() >= MAX_COUNTED
            && let Some((last, fewest)) = self.fewest(now, |tenants, name| !tenants.named.contains(name))
        {
            // It may have had as many starts before, so that a frequent tenant gets a name among any number of others.
            count += fewest;
            self.counted.remove(&last);
        }
        let name: Arc<str> = tenant.into();
        self.counted.insert(Arc::clone(&name), Starts { count, at: now });
        (name, count)
    }

    /// Returns the tenant with the fewest recent starts among some.
    fn fewest(&self, now: Instant, among: impl Fn(&Self, &str) -> bool) -> Option<(Arc<str>, f64)> {
        let counted = self.counted.iter().filter(|(name, _)| among(self, name));
        let counted = counted.map(|(name, starts)| (name, starts.by(now)));
        let fewest = counted.min_by(|(_, one), (_, other)| one.total_cmp(other));
        fewest.map(|(name, starts)| (Arc::clone(name), starts))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn start(tenants: &TenantLabels, tenant: &str, times: usize, at: Instant) -> Vec<TenantStart> {
        (0..times).map(|_| tenants.started(tenant, at)).collect()
    }

    #[test]
    fn a_tenant_with_more_starts_takes_over_a_label() {
        let (tenants, at) = (TenantLabels::default(), now());
        for n in 0..MAX_TENANTS {
            start(&tenants, &format!("t{n}"), n + 2, at);
        }
        assert_eq!(tenants.label("t0"), "t0");
        let starts = start(&tenants, "flood", 3, at);
        let labels: Vec<&str> = starts.iter().map(TenantStart::label).collect();
        assert_eq!(labels, ["other", "other", "flood"], "three starts are more than 1.25 times two");
        assert_eq!(starts[2].ended.as_deref(), Some("t0"));
        assert_eq!((tenants.label("t0"), tenants.label("flood")), ("other", "flood"));
        assert_eq!(start(&tenants, "t0", 1, at)[0].label(), "other", "three are no more than three");
    }

    #[test]
    fn starts_of_long_ago_count_little() {
        let (tenants, begun) = (TenantLabels::default(), now());
        for n in 0..MAX_TENANTS {
            start(&tenants, &format!("t{n}"), 100, begun);
        }
        assert_eq!(start(&tenants, "new", 2, begun)[1].label(), "other");
        let later = begun + HALF_LIFE * 8;
        assert_eq!(
            start(&tenants, "new", 1, later)[0].label(),
            "new",
            "100 starts are less than one after 80 minutes"
        );
    }

    #[test]
    fn a_frequent_tenant_gets_a_label_among_many_rare_ones() {
        let (tenants, begun) = (TenantLabels::default(), now());
        let mut named = false;
        for n in 0..3_000_u32 {
            let at = begun + Duration::from_millis(u64::from(n));
            start(&tenants, &format!("rare{n}"), 1, at);
            if n % 10 == 0 {
                named = start(&tenants, "frequent", 1, at)[0].label() == "frequent";
            }
        }
        assert!(named);
        let inner = tenants.0.lock().unwrap();
        assert!(inner.counted.len() <= MAX_COUNTED && inner.named.len() == MAX_TENANTS);
        assert!(inner.named.iter().all(|name| inner.counted.contains_key(name)));
    }
}
