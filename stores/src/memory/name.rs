//! Identities as records keep them: mostly in place, and without what requests share among them.

use std::sync::Arc;

use drumline::message::Identity;

use super::text::Text;

/// As long as the key of a queue's ARN, a type, no source and a UUID, and a little more.
const SHORT_KEY: usize = 118;

/// The names of a job. The identity itself would be some pieces of cold memory to free when its record is forgotten.
#[derive(Debug)]
pub(super) struct Name {
    key: Text<SHORT_KEY>,
    job_id: JobId,
    /// Shared by all jobs of a queue and of a type.
    scope: Arc<str>,
    job_type: Arc<str>,
    source: Option<Arc<str>>,
}

#[derive(Debug)]
enum JobId {
    /// As so many bytes at the end of the key, where the id stands: most jobs have one id, which hardly ever needs escapes.
    EndOfKey(u16),
    Other(Box<str>),
}

impl Name {
    pub(super) fn is(&self, key: &str) -> bool {
        self.key.is(key)
    }

    pub(super) fn key(&self) -> String {
        self.key.to_string()
    }

    /// The bytes of the job id, which is a text.
    pub(super) fn job_id(&self) -> &[u8] {
        match &self.job_id {
            JobId::EndOfKey(len) => {
                let key = self.key.bytes();
                &key[key.len() - usize::from(*len)..]
            }
            JobId::Other(job_id) => job_id.as_bytes(),
        }
    }

    pub(super) fn job_id_text(&self) -> String {
        String::from_utf8_lossy(self.job_id()).into_owned()
    }

    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    pub(super) fn job_type(&self) -> &str {
        &self.job_type
    }

    pub(super) fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The bytes that producers choose.
    pub(super) fn weight(&self) -> usize {
        let job_id = match &self.job_id {
            JobId::EndOfKey(_) => 0,
            JobId::Other(job_id) => job_id.len(),
        };
        self.key.len() + job_id + self.job_type.len() + self.source.as_ref().map_or(0, |source| source.len())
    }
}

impl From<&Identity> for Name {
    fn from(identity: &Identity) -> Self {
        let (key, job_id) = (identity.key(), identity.job_id());
        let job_id = match u16::try_from(job_id.len()) {
            Ok(len) if key.ends_with(&**job_id) => JobId::EndOfKey(len),
            _ => JobId::Other((**job_id).into()),
        };
        Self {
            key: (**key).into(),
            job_id,
            scope: Arc::clone(identity.scope()),
            job_type: Arc::clone(identity.job_type()),
            source: identity.source().cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_its_identity() {
        let long = "x".repeat(2_000);
        for id in ["1", "", "ä😀", "50%", "a\0", &long] {
            for job_id in [id, "other", ""] {
                for source in [None, Some("/shop")] {
                    let identity = Identity::new("queue", "type", source, id).with_job_id(job_id);
                    let name = Name::from(&identity);
                    assert!(name.is(identity.key()) && !name.is(id), "{identity:?}");
                    assert_eq!((&*name.key(), &*name.job_id_text()), (&**identity.key(), job_id));
                    assert_eq!((name.scope(), name.job_type(), name.source()), ("queue", "type", source));
                }
            }
        }
    }
}
