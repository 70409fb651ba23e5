//! Unique keys of an outbox in memory.

use super::table::Table;
use crate::outbox::added::Added;
use crate::outbox::job::OutboxJob;
use crate::outbox::rows::RowState;
use crate::outbox::rules::{due_ms, later};
use crate::outbox::unique::{OnConflict, Unique};

impl Table {
    /// Adds a job unless another one holds its key.
    pub(super) fn add_unique(&mut self, job: &OutboxJob, unique: &Unique, now: i64) -> Added {
        self.end_leases(now);
        if let Some(holder) = self.holder(&unique.key, now) {
            if holder == job.id {
                return Added::New;
            }
            if unique.take_from.as_ref() != Some(&holder) {
                return self.conflict(holder, job, unique, now);
            }
        }
        // The call is repeated, and the job has lost its key meanwhile.
        if let Some(row) = self.get(&job.id) {
            let id = job.id.clone();
            return if row.state == RowState::Sent { Added::Sent { id } } else { Added::Waiting { id } };
        }
        self.add(job, now);
        if let Some(row) = self.get_mut(&job.id) {
            row.unique_key = Some(unique.key.clone());
        }
        self.keys.insert(unique.key.clone(), (job.id.clone(), later(now, unique.window)));
        Added::New
    }

    fn holder(&self, key: &str, now: i64) -> Option<String> {
        self.keys.get(key).filter(|(_, until)| *until > now).map(|(holder, _)| holder.clone())
    }

    fn conflict(&mut self, id: String, job: &OutboxJob, unique: &Unique, now: i64) -> Added {
        let row = self.get_mut(&id).expect("a job that holds a key is there");
        if row.state == RowState::Sent {
            return Added::Sent { id };
        }
        let may_change = row.state == RowState::Waiting && !row.was_taken;
        let due = due_ms(job.due, now);
        let due = match unique.on_conflict {
            OnConflict::Keep => return Added::Waiting { id },
            OnConflict::Replace => due,
            OnConflict::Debounce { at_most } => due.min(later(row.added_ms, at_most)),
        };
        if !may_change {
            return Added::Waiting { id };
        }
        row.job = OutboxJob { id: id.clone(), ..job.clone() };
        row.due_ms = due;
        Added::Replaced { id }
    }
}
