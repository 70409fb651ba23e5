//! A batch whose large messages were offloaded or compressed.

use futures_util::future::join_all;

use crate::delivery::BEHIND;
use crate::pack::Outgoing;
use crate::payload::{OffloadError, PayloadStore};
use crate::send::{NotTaken, Reply, Why};

/// A batch that can be sent, and the messages that cannot be sent.
#[derive(Debug)]
pub(crate) struct Offloaded {
    pub(crate) ready: Vec<Outgoing>,
    /// The refused messages with their indexes in the batch.
    pub(crate) refused: Vec<(usize, Outgoing, NotTaken)>,
}

impl Offloaded {
    /// Creates a batch that is sent unchanged.
    pub(crate) fn unchanged(batch: Vec<Outgoing>) -> Self {
        Self { ready: batch, refused: Vec::new() }
    }

    /// Puts the bodies of large messages into the store. In a FIFO queue, messages behind an unsendable one of their group are
    /// not sent either.
    pub(crate) async fn by(store: &PayloadStore, batch: Vec<Outgoing>, is_fifo: bool) -> Self {
        let offloading = batch.into_iter().map(async |message| {
            if !store.is_large(&message) {
                return (message, None);
            }
            // The next attempt needs the original message.
            match store.offload(message.clone()).await {
                Ok(message) => (message, None),
                Err(error) => (message, Some(not_taken(&error))),
            }
        });
        let mut offloaded = Self::unchanged(Vec::new());
        for (place, (message, problem)) in join_all(offloading).await.into_iter().enumerate() {
            let is_behind =
                is_fifo && offloaded.refused.iter().any(|(_, other, _)| other.group == message.group);
            match problem {
                Some(problem) => offloaded.refused.push((place, message, problem)),
                None if is_behind => {
                    let text = BEHIND.to_owned();
                    offloaded.refused.push((place, message, NotTaken { why: Why::Unavailable, text }));
                }
                None => offloaded.ready.push(message),
            }
        }
        offloaded
    }

    /// Returns the batch in its original order, with the result of each message. If the request failed as a whole, all of them
    /// can be sent again.
    pub(crate) fn answered(self, mut reply: Reply) -> (Vec<Outgoing>, Reply) {
        let mut batch = self.ready;
        for (place, message, not_taken) in self.refused {
            batch.insert(place, message);
            if let Ok(answers) = &mut reply {
                answers.insert(place, Err(not_taken));
            }
        }
        (batch, reply)
    }
}

fn not_taken(error: &OffloadError) -> NotTaken {
    let why = match error {
        OffloadError::NotPut { .. } => Why::Unavailable,
        OffloadError::NoRoom { .. } | OffloadError::TooLarge { .. } => Why::Refused,
    };
    NotTaken { why, text: error.to_string() }
}
