//! The shares of tenants: the message groups of a standard queue, each of which may have a part of the queue's slots.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::job_class::Tenant;
use super::limit_reason::LimitReason;
use super::percent::Percent;
use super::wait::LimitWait;

/// The tenants of all queues that limit them. A message without a group has no tenant, and is not limited.
#[derive(Debug, Default)]
pub(super) struct Tenants(HashMap<Arc<str>, OfQueue>);

#[derive(Debug, Default)]
struct OfQueue {
    /// The maximum number of slots of each tenant.
    most: usize,
    /// The slots of the tenants: at most the queue's slots, and so bounded.
    running: HashMap<Arc<str>, usize>,
}

impl Tenants {
    /// Limits each tenant of a queue with this many slots to a share of them, and to at least one.
    pub(super) fn set_share(&mut self, queue: &Arc<str>, share: Percent, slots: NonZeroUsize) {
        self.0.entry(Arc::clone(queue)).or_default().most = share.of(slots.get()).max(1);
    }

    /// Returns the tenant of a message of this group, if the queue limits its tenants.
    pub(super) fn of_message(&self, queue: &Arc<str>, group: Option<&str>) -> Option<Tenant> {
        let group = Arc::from(group.filter(|_| self.0.contains_key(queue))?);
        Some(Tenant { queue: Arc::clone(queue), group })
    }

    /// Returns an error while a tenant has its share. `None` stands for no tenant.
    pub(super) fn check(&self, tenant: Option<&Tenant>) -> Result<(), LimitWait> {
        let of_queue = tenant.and_then(|tenant| Some((self.0.get(&tenant.queue)?, &tenant.group)));
        match of_queue {
            Some((queue, group)) if queue.running.get(group).is_some_and(|count| *count >= queue.most) => {
                Err(LimitWait { reason: LimitReason::Tenant, until: None })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the number of slots that a tenant may have, from 1.
    pub(super) fn most(&self, tenant: &Tenant) -> u32 {
        let most = self.0.get(&tenant.queue).map_or(1, |queue| queue.most);
        u32::try_from(most).unwrap_or(u32::MAX).max(1)
    }

    /// Gives a slot to a tenant.
    pub(super) fn take(&mut self, tenant: Option<&Tenant>) {
        if let Some(tenant) = tenant
            && let Some(queue) = self.0.get_mut(&tenant.queue)
        {
            *queue.running.entry(Arc::clone(&tenant.group)).or_default() += 1;
        }
    }

    /// A slot of a tenant is free.
    pub(super) fn free(&mut self, tenant: Option<&Tenant>) {
        let Some(tenant) = tenant else { return };
        let Some(queue) = self.0.get_mut(&tenant.queue) else { return };
        if let Some(count) = queue.running.get_mut(&tenant.group) {
            *count -= 1;
            if *count == 0 {
                queue.running.remove(&tenant.group);
            }
        }
    }
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
