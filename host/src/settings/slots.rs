//! The slots that the queues of a worker share if one of them has a weight.

use std::num::NonZeroUsize;

use drumline::core::{Priority, reserved_slots};

use super::effective::Effective;
use super::problem::Problem;
use super::queue::QueueSettings;
use super::reader::{Reader, Reading};
use super::values;
use crate::shown::Shown;

impl Reader<'_> {
    /// Returns the number of slots that the queues share; `None` if each has its own, or if a problem has been noted.
    pub(super) fn shared_slots(&mut self, queues: &[QueueSettings]) -> Option<NonZeroUsize> {
        let is_shared = queues.len() > 1 && queues.iter().any(QueueSettings::has_slot_rules);
        if !is_shared || self.reading == Reading::Function {
            return None;
        }
        let size = self.get("concurrency", None, values::concurrency)?;
        for queue in queues.iter().filter(|queue| queue.concurrency > size) {
            let text = format!(
                "is {} for {}, and all queues together share {size} slots, since one has a weight, a max_age or a priority: \
                 raise the concurrency of the process (at the top of the file, or DRUMLINE_CONCURRENCY), or lower the queue's",
                queue.concurrency,
                Shown::Urls.of(queue.url.as_str()),
            );
            self.problems.push(Problem::new("concurrency".to_owned(), text));
        }
        let critical = queues.iter().filter(|queue| queue.priority == Priority::Critical).count();
        let kept = if critical > 0 { reserved_slots(size.get()) } else { 0 };
        let least = queues.len() - critical + critical.max(kept);
        if size.get() < least {
            let text = format!(
                "is {size}, and {} queues share these slots: it must be at least {least}, since a queue without messages keeps one \
                 slot for its open receive",
                queues.len(),
            );
            self.problems.push(Problem::new("concurrency".to_owned(), text));
            return None;
        }
        self.show_shared(kept);
        Some(size)
    }

    /// Shows what follows for the queues.
    fn show_shared(&mut self, kept: usize) {
        let Some(size) = self.effective.last().cloned() else { return };
        let unset = self.effective.iter_mut().filter(|setting| setting.key == "weight");
        for weight in unset.filter(|setting| setting.value.is_none()) {
            weight.value = Some("1".to_owned());
        }
        let slots = size.value.unwrap_or_default();
        let value = if kept == 0 { slots } else { format!("{slots}, of which {kept} for critical queues") };
        self.effective.push(Effective {
            queue: None,
            key: "shared_slots".to_owned(),
            value: Some(value),
            origin: size.origin,
        });
    }
}
