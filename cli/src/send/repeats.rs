//! Detects repeated values of CSV columns that would make two records one job.

use std::collections::HashMap;

use drumline_dlq::journal::deduplication_id;

use super::record::{Field, Fields};

/// The hashes of earlier values, with the line of each: 16 bytes and a line number per value.
#[derive(Default)]
pub(super) struct Repeats {
    lines: HashMap<u128, usize>,
    is_noted: bool,
}

impl Repeats {
    /// Adds the values of a record. Returns a note for the first record that repeats an idempotency key, because its effect
    /// happens only once.
    ///
    /// # Errors
    ///
    /// Returns an error with the earlier line if the record repeats a job id or a deduplication id.
    pub(super) fn add(&mut self, line: usize, fields: &Fields) -> Result<Option<String>, String> {
        let key = fields.idempotency_key.as_deref();
        let earlier_key = key.and_then(|key| self.earlier(Field::IdempotencyKey, key, line));
        let ids = [
            ("jobId", Field::JobId, fields.job_id.as_deref()),
            ("deduplicationId", Field::DeduplicationId, fields.deduplication_id.as_deref()),
        ];
        let mut refused = None;
        for (name, field, value) in ids {
            let earlier = value.and_then(|value| self.earlier(field, value, line));
            refused = refused
                .or_else(|| Some(format!("line {} has the same {name}, so both would be one job", earlier?)));
        }
        if let Some(why) = refused {
            return Err(why);
        }
        let note = earlier_key.filter(|_| !self.is_noted).map(|earlier| {
            format!("line {line} has the idempotencyKey of line {earlier}: the effect of such jobs happens once (noted once)")
        });
        self.is_noted |= note.is_some();
        Ok(note)
    }

    /// Adds a value. Returns the line of an earlier record with the same value.
    fn earlier(&mut self, field: Field, value: &str, line: usize) -> Option<usize> {
        let hash = u128::from_str_radix(&deduplication_id(&format!("{field:?}"), value), 16).ok()?;
        let first = *self.lines.entry(hash).or_insert(line);
        (first != line).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_once_and_keys_are_noted_once() {
        let fields = |field: Field, value: &str| {
            let mut fields = Fields::default();
            fields.set(field, value);
            fields
        };
        let mut repeats = Repeats::default();
        let mut add = |line, field, value| repeats.add(line, &fields(field, value));
        assert_eq!(add(2, Field::JobId, "a"), Ok(None));
        assert_eq!(add(3, Field::DeduplicationId, "a"), Ok(None), "another field");
        assert_eq!(add(4, Field::JobId, ""), Ok(None));
        assert_eq!(add(5, Field::JobId, ""), Ok(None), "an empty cell is no value");
        for (field, says) in [(Field::JobId, "line 2 has the same jobId"), (Field::DeduplicationId, "line 3")]
        {
            assert!(add(6, field, "a").is_err_and(|why| why.contains(says)), "{field:?}");
        }
        assert_eq!(add(7, Field::IdempotencyKey, "k"), Ok(None));
        let note = add(8, Field::IdempotencyKey, "k").ok().flatten();
        assert!(note.is_some_and(|note| note.starts_with("line 8 has the idempotencyKey of line 7")));
        assert_eq!(add(9, Field::IdempotencyKey, "k"), Ok(None));
    }
}
